"""The record of every ingested file: `<table>_files`, beside the table and its quarantine.

A batch of files is written in the order ledger, quarantine, table. Only the last of the three is a promise:
it carries Delta's own record of the batch's number and of each file, in one transaction with the rows. A
ledger row with a higher number than the table's is what a crash left: it does not count, and the next ingest
removes it. What was taken back is a row of its own, so nothing that was once true is lost.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.ingest.deliveries import standing_deliveries
from ml_assets.spec.source import FILE_COLUMN
from ml_assets.storage.duck import literal, quote

if TYPE_CHECKING:
    from ml_assets.storage.lake import Lake

BATCH_RECORD = "ingest"
"""The key under which the table records the number of its last batch."""

_LEDGERS = 32
_READ: dict[tuple[str, str, str, int], "tuple[Entry, ...]"] = {}
"""Ledgers that were read, by table and version."""

_TIME = pa.timestamp("us")
_SCHEMA = pa.schema(
    [
        (FILE_COLUMN, pa.string()),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime", pa.string()),
        ("batch", pa.int64()),
        ("accepted", pa.int64()),
        ("quarantined", pa.int64()),
        ("earliest", _TIME),
        ("latest", _TIME),
        ("earliest_known", _TIME),
        ("results", pa.string()),
        ("drift", pa.string()),
        ("source", pa.string()),
        ("delivered", _TIME),
        ("reached", _TIME),
        ("replaces", pa.string()),
        ("undone", pa.bool_()),
    ]
)
# Each batch adds a small file to the ledger; beyond this many they are written anew as one.
_SCATTERED = 64


@dataclass(frozen=True)
class Entry:
    """One delivery of a file, or that it was taken back.

    Args:
        sha: SHA-256 of its content: its identity.
        path: where it was found, with `size` and `mtime` as they were then.
        batch: the number of the transaction that committed it.
        earliest: the first event time of its accepted rows; None where it has none.
        latest: the last one.
        earliest_known: the minimum over its accepted rows of max(event time, known-at time).
        results: JSON, by expectation: success, elements, unexpected, examples.
        drift: JSON, the schema verdicts.
        delivered: when it was taken; None of a ledger that did not say so yet.
        reached: how far the feed is known by it: its last event time that is not after `delivered`, else `delivered`.
        replaces: the content, or contents (joined by commas), whose place it takes from `delivered` on.
        undone: the delivery of this content was taken back.
    """

    sha: str
    path: str
    size: int
    mtime: str
    batch: int
    accepted: int = 0
    quarantined: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    earliest_known: datetime | None = None
    results: str = "{}"
    drift: str = "[]"
    delivered: datetime | None = None
    reached: datetime | None = None
    replaces: str = ""
    undone: bool = False

    @property
    def added(self) -> list[str]:
        """The columns that the file added to the table."""
        return [verdict["column"] for verdict in json.loads(self.drift) if verdict["verdict"] == "added"]


def files_table(table: str) -> str:
    """The name of the ledger of a table."""
    return f"{table}_files"


def quarantine_table(table: str) -> str:
    """The name of the quarantine of a table."""
    return f"{table}_quarantine"


def file_record(sha: str, attempt: int = 1) -> str:
    """The key under which the table counts how often a file came and went: an odd number while it holds its rows.

    `attempt` says how often it was read: one that was refused may be read again.
    """
    return f"file:{sha}" if attempt == 1 else f"file:{sha}:{attempt}"


def last_batch(lake: "Lake", table: str, version: int | None = None) -> int:
    """The number of the last batch of a version; 0 before the first."""
    return lake.record(table, BATCH_RECORD, version) or 0


def committed_entries(lake: "Lake", table: str, version: int | None = None) -> list[Entry]:
    """What was committed up to a version, in order; what a crash left behind does not count."""
    last = last_batch(lake, table, version)  # read first: a batch that commits meanwhile is then left out whole
    return [entry for entry in _entries(lake, table) if entry.batch <= last]


def announce(lake: "Lake", table: str, entries: Iterable[Entry], records: Mapping[str, int] | None = None) -> None:
    """Write the ledger rows of a batch, before its rows.

    Args:
        lake: where the ledger is.
        table: whose ledger.
        entries: of the batch.
        records: what the ledger records with them, in one transaction.
    """
    lake.append(files_table(table), _table(table, entries), records=records)


def recover(lake: "Lake", table: str) -> list[Entry]:
    """Everything that was committed; what a crash left in the ledger and the quarantine is removed.

    The quarantine goes first: while the ledger still names the files, a second crash loses nothing. A ledger that
    is scattered over many small files is gathered.
    """
    last = last_batch(lake, table)
    entries = _entries(lake, table)
    committed = [entry for entry in entries if entry.batch <= last]
    left = [entry for entry in entries if entry.batch > last]
    clean_quarantine(lake, table, committed, left)
    if left or (entries and len(lake.files(files_table(table))) > _SCATTERED):
        rewrite(lake, table, committed)
    return committed


def clean_quarantine(lake: "Lake", table: str, kept: Sequence[Entry], left: Iterable[Entry] = ()) -> None:
    """Remove from the quarantine what no committed entry stands for.

    That is what a crash left, what was taken back, and the earlier attempts of a document that was read again: of those
    the position is the number of the attempt.

    Args:
        lake: where the tables are.
        table: the table.
        kept: the committed entries.
        left: entries that were not committed.
    """
    stands = standing_deliveries(kept)
    # An entry of a standing file that has no rows of its own only says that it is seen again, or not any more.
    doubtful = {entry.sha for entry in left if entry.quarantined or entry.accepted}
    doubtful |= {entry.sha for entry in kept if entry.undone and entry.sha not in stands}
    doubtful |= {sha for sha, one in stands.items() if one.attempts > 1}
    if not doubtful or lake.version(quarantine_table(table)) is None:
        return
    among = ", ".join(map(literal, sorted(doubtful)))
    rows = lake.query(f"SELECT * FROM t WHERE {FILE_COLUMN} IN ({among})", t=quarantine_table(table))
    pairs = zip(rows[FILE_COLUMN].to_pylist(), rows["position"].to_pylist(), strict=True)
    lasting = [sha in stands and position == stands[sha].attempts for sha, position in pairs]
    if not all(lasting):
        stays = rows.filter(pa.array(lasting, pa.bool_())).cast(lake.schema(quarantine_table(table)))
        lake.replace(quarantine_table(table), stays, column=FILE_COLUMN, values=sorted(doubtful), partitioned=False)


def rewrite(lake: "Lake", table: str, entries: Iterable[Entry]) -> None:
    """Write the ledger anew."""
    lake.replace(files_table(table), _table(table, entries), column="source", values=[table], partitioned=False)


def _entries(lake: "Lake", table: str) -> tuple[Entry, ...]:
    """The ledger as it stands. A version never changes, and each view of a run asks for it: it is read once."""
    identity = lake.identity(files_table(table))
    if identity is None:
        return ()
    key = (lake.root, table, *identity)
    if key not in _READ:
        if len(_READ) >= _LEDGERS:
            _READ.clear()
        _READ[key] = _read(lake, table)
    return _READ[key]


def _read(lake: "Lake", table: str) -> tuple[Entry, ...]:
    present = set(lake.schema(files_table(table)).names)  # an older ledger says less
    columns = [name for name in _SCHEMA.names if name in present and name not in (FILE_COLUMN, "source")]
    sql = f"SELECT {FILE_COLUMN} AS sha, {', '.join(map(quote, columns))} FROM files ORDER BY batch, path"
    rows = lake.query(sql, files=files_table(table)).to_pylist()
    return tuple(_entry(row) for row in rows)


def _entry(row: Mapping[str, object]) -> Entry:
    entry = Entry(**row)  # type: ignore[arg-type]
    # A ledger that does not say when files came was written before the times of rows were looked at.
    reached = entry.latest if entry.delivered is None else entry.reached
    return replace(entry, replaces=entry.replaces or "", undone=bool(entry.undone), reached=reached)


def _table(table: str, entries: Iterable[Entry]) -> pa.Table:
    rows = [{**asdict(entry), FILE_COLUMN: entry.sha, "source": table} for entry in entries]
    return pa.Table.from_pylist([{name: row[name] for name in _SCHEMA.names} for row in rows], schema=_SCHEMA)
