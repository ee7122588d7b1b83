"""Rows that correct others: which rows of a table share a key, and what that means for a window of time.

A row of a key that is delivered first is seen by its own times, as in a source without a key. One that a later delivery
brings is seen by windows that end after that delivery (and after it was known), and then instead of the earlier ones.
So nothing that was computed before a correction came changes by it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.ingest import ledger
from ml_assets.ingest.deliveries import ALWAYS, Delivery, standing_deliveries
from ml_assets.ingest.keyed import Keyed
from ml_assets.ingest.report import FilePart, Ingest
from ml_assets.spec.source import FILE_COLUMN
from ml_assets.storage.duck import PATH, ROW, literal, quote
from ml_assets.storage.timestamps import FIRST, LAST

if TYPE_CHECKING:
    import duckdb

    from ml_assets.storage.lake import Lake


_TABLES = 16
_READ: dict[object, "Corrections"] = {}
"""Corrections that were read, by table, version and key: a version never changes."""


@dataclass(frozen=True)
class Corrections:
    """The rows of a version of a table that windows do not see by their own times alone.

    Args:
        files: the files that were replaced, or replaced others, by content.
        rows: the rows whose key occurs more than once: where they lie, `_file`, `event`, `known`, `place` (their
            order), `delivery` (its rank), `delivered`, `fresh` (of the first delivery of the key), `id` (of the key).
        parts: by file that holds such rows, its rows by when they are seen.
    """

    files: dict[str, Delivery]
    rows: pa.Table | None = None
    parts: dict[str, tuple[FilePart, ...]] | None = None

    def hidden_files(self, end: datetime) -> list[str]:
        """The files of which a window that ends at `end` (exclusive) sees no row."""
        return [sha for sha, one in self.files.items() if not one.holds(end)]

    def superseded_rows(self, connection: "duckdb.DuckDBPyConnection", end: datetime) -> pa.Table | None:
        """Where the rows lie in whose place such a window sees another one of their key, or none."""
        if self.rows is None or not self.rows.num_rows:
            return None
        among = ", ".join(map(literal, self.hidden_files(end))) or "''"
        at = f"TIMESTAMP {literal(end)}"
        connection.register("_shared_keys", self.rows)
        try:
            passed: pa.Table = connection.sql(
                f"SELECT {PATH}, {ROW} FROM _shared_keys WHERE place NOT IN (SELECT place FROM _shared_keys "
                f"WHERE event < {at} AND known < {at} AND (fresh OR delivered < {at}) "
                f"AND {FILE_COLUMN} NOT IN ({among}) "
                "QUALIFY row_number() OVER (PARTITION BY id ORDER BY delivery DESC, known DESC, place DESC) = 1)"
            ).to_arrow_table()
        finally:
            connection.unregister("_shared_keys")
        return passed


def corrections(lake: "Lake", source: Keyed, version: int) -> Corrections:
    """What corrects what in a version of a table. Without a key and replaced files there is nothing to be read."""
    deliveries = standing_deliveries(ledger.committed_entries(lake, source.table, version))
    files = {sha: one for sha, one in deliveries.items() if one.shown != ALWAYS}
    if not source.key:
        return Corrections(files)
    identity = lake.identity(source.table)
    key = (lake.root, source, identity and identity[0], version)
    if key not in _READ:
        if len(_READ) >= _TABLES:
            _READ.clear()
        _READ[key] = _read(lake, source, version, deliveries, files)
    return _READ[key]


def arrived_files(lake: "Lake", source: Keyed, version: int | None) -> list[Ingest]:
    """The files that hold rows of a version of a table, with when their rows are seen; empty without a table."""
    at = lake.version(source.table) if version is None else version
    if at is None:
        return []
    parts = corrections(lake, source, at).parts or {}
    return [
        Ingest(sha, one.entry.earliest_known, one.entry.latest, one.entry.reached, one.shown, parts.get(sha))
        for sha, one in standing_deliveries(ledger.committed_entries(lake, source.table, at)).items()
        if one.entry.earliest_known and one.entry.latest
    ]


def visible_rows(
    lake: "Lake",
    connection: "duckdb.DuckDBPyConnection",
    source: Keyed,
    window: tuple[datetime | None, datetime],
    version: int | None = None,
    corrected: Corrections | None = None,
) -> str:
    """A SQL relation of the rows of a table that a window sees, without `_file`, for a FROM clause on `connection`.

    Args:
        lake: where the table is.
        connection: on which the relation is used.
        source: the table.
        window: event times from (inclusive, None: unbounded), to (exclusive); a row counts only if it was known, and if
            it corrects another delivered, before the end.
        version: of the table; default: the current one.
        corrected: `corrections` of this version, where the caller has them.
    """
    start, end = window
    at = lake.version(source.table) or 0 if version is None else version
    applied = corrections(lake, source, at) if corrected is None else corrected
    hidden, passed = applied.hidden_files(end), applied.superseded_rows(connection, end)
    event = quote(source.event_time)
    bounds = [f"{event} < TIMESTAMP {literal(end)}"]
    bounds += [f"{event} >= TIMESTAMP {literal(start)}"] if start else []
    bounds += [f"{quote(source.known_at)} < TIMESTAMP {literal(end)}"] if source.known_at else []
    bounds += [f"{FILE_COLUMN} NOT IN ({', '.join(map(literal, hidden))})"] if hidden else []
    within, places = (source.event_time, start, end), passed is not None
    rows = lake.relation(connection, source.table, at, within=within, places=places)
    without, more = "", FILE_COLUMN
    if passed is not None:
        # Rows that are passed over are taken out of the others, which so keep their order, and sums their digits.
        connection.register(gone := f"_passed_over_{source.table}", passed)
        without, more = f"ANTI JOIN {quote(gone)} USING ({PATH}, {ROW})", f"{FILE_COLUMN}, {PATH}, {ROW}"
    return f"(SELECT * EXCLUDE ({more}) FROM {rows} {without} WHERE {' AND '.join(bounds)})"


def current(lake: "Lake", connection: "duckdb.DuckDBPyConnection", source: Keyed) -> str:
    """A SQL relation of the rows that are in force now: each the last of its key, none of a file that was replaced."""
    return visible_rows(lake, connection, source, (None, LAST))


def current_rows(lake: "Lake", connection: "duckdb.DuckDBPyConnection", table: str) -> str:
    """A SQL relation of the rows of all files that were not replaced."""
    deliveries = standing_deliveries(ledger.committed_entries(lake, table))
    hidden = ", ".join(literal(sha) for sha, one in deliveries.items() if not one.holds(LAST)) or "''"
    rows = lake.relation(connection, table)
    return f"(SELECT * EXCLUDE ({FILE_COLUMN}) FROM {rows} WHERE {FILE_COLUMN} NOT IN ({hidden}))"


def withdrawn_files(lake: "Lake", table: str) -> list[str]:
    """The files of a table that were taken back or replaced, by SHA-256."""
    entries = ledger.committed_entries(lake, table)
    in_force = {sha for sha, one in standing_deliveries(entries).items() if one.holds(LAST)}
    return sorted({entry.sha for entry in entries} - in_force)


def _read(
    lake: "Lake", source: Keyed, version: int, deliveries: dict[str, Delivery], files: dict[str, Delivery]
) -> Corrections:
    event, known_at = quote(source.event_time), quote(source.known_at or source.event_time)
    names = [f"_key{nr}" for nr in range(len(source.key))]
    key, aliased = ", ".join(names), ", ".join(f"{quote(c)} AS {n}" for c, n in zip(source.key, names, strict=True))
    with lake.connect() as connection:
        rows = lake.relation(connection, source.table, version, places=True)
        connection.register("_deliveries", _ranked(deliveries))
        keyed = f"(SELECT {aliased}, {PATH}, {ROW}, {FILE_COLUMN}, {event} AS event, {known_at} AS known FROM {rows})"
        repeated = f"(SELECT {aliased} FROM {rows} GROUP BY ALL HAVING count(*) > 1)"
        shared_rows: pa.Table = connection.sql(
            f"SELECT * EXCLUDE ({key}), dense_rank() OVER (ORDER BY {key}) AS id, "
            f"delivery = min(delivery) OVER (PARTITION BY {key}) AS fresh, "
            f"max(event) OVER (PARTITION BY {key} ORDER BY delivery) AS reach "
            f"FROM {keyed} SEMI JOIN {repeated} USING ({key}) JOIN _deliveries USING ({FILE_COLUMN})"
        ).to_arrow_table()
        shared = _placed(shared_rows, lake.files(source.table, version))
        connection.register("_shared", shared)
        parts = _parts(connection, rows, event, known_at)
    return Corrections(files, shared.drop_columns(["reach"]), parts)


def _ranked(deliveries: dict[str, Delivery]) -> pa.Table:
    """The files with the rank of their delivery; those of an older ledger came first."""
    at = [one.entry.delivered or FIRST for one in deliveries.values()]
    ranks = {moment: rank for rank, moment in enumerate(sorted(set(at)))}
    return pa.table({
        FILE_COLUMN: pa.array([*deliveries], pa.string()),
        "delivered": pa.array(at, pa.timestamp("us")),
        "delivery": pa.array([ranks[moment] for moment in at], pa.int64()),
    })  # fmt: skip


def _placed(rows: pa.Table, files: list[str]) -> pa.Table:
    """`rows` with their order in the table."""
    nr = pc.fill_null(pc.index_in(rows[PATH], value_set=pa.array(files, pa.string())), 0).cast(pa.int64())
    return rows.append_column("place", pc.add(pc.shift_left(nr, 40), rows[ROW]))


def _parts(
    connection: "duckdb.DuckDBPyConnection", rows: str, event: str, known: str
) -> dict[str, tuple[FilePart, ...]]:
    """By file that holds rows of a shared key: those that are seen by their own times, and those that correct."""
    sql = (
        f"SELECT r.{FILE_COLUMN} AS sha, min(greatest(r.{event}, r.{known})) AS earliest, "
        f"max(coalesce(s.reach, r.{event})) AS latest, "
        "CASE WHEN s.fresh THEN NULL ELSE s.delivered END AS since "
        f"FROM {rows} AS r LEFT JOIN _shared AS s ON s.{PATH} = r.{PATH} AND s.{ROW} = r.{ROW} "
        f"WHERE r.{FILE_COLUMN} IN (SELECT {FILE_COLUMN} FROM _shared) GROUP BY ALL"
    )
    parts: dict[str, tuple[FilePart, ...]] = {}
    for row in connection.sql(sql).to_arrow_table().to_pylist():
        parts[row["sha"]] = (*parts.get(row["sha"], ()), FilePart(row["earliest"], row["latest"], row["since"]))
    return parts
