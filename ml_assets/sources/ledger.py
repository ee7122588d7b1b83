"""The record of every ingested file: `<table>_files`, beside the table and its quarantine.

A batch of files is written in the order ledger, quarantine, table. Only the last of the three is a promise:
it carries Delta's own record of the batch's number and of each file, in one transaction with the rows. A
ledger row with a higher number than the table's is what a crash left: it does not count, and the next ingest
removes it.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.duck import literal, quote
from ml_assets.sources.spec import FILE_COLUMN

if TYPE_CHECKING:
    from ml_assets.lake import Lake

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
    ]
)
# Each batch adds a small file to the ledger; beyond this many they are written anew as one.
_SCATTERED = 64


@dataclass(frozen=True)
class Entry:
    """One ingested file.

    Args:
        sha: SHA-256 of its content: its identity.
        path: where it was first found, with `size` and `mtime` as they were then.
        batch: the number of the transaction that committed it.
        earliest: the first event time of its accepted rows; None where it has none.
        latest: the last one.
        earliest_known: the minimum over its accepted rows of max(event time, known-at time).
        results: JSON, by expectation: success, elements, unexpected, examples.
        drift: JSON, the schema verdicts.
    """

    sha: str
    path: str
    size: int
    mtime: str
    batch: int
    accepted: int
    quarantined: int
    earliest: datetime | None
    latest: datetime | None
    earliest_known: datetime | None
    results: str
    drift: str

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
    """The key under which the table records that it holds a file, as it was read at the first or a later attempt."""
    return f"file:{sha}" if attempt == 1 else f"file:{sha}:{attempt}"


def number(lake: "Lake", table: str, version: int | None = None) -> int:
    """The number of the last batch of a version; 0 before the first."""
    return lake.record(table, BATCH_RECORD, version) or 0


def committed(lake: "Lake", table: str, version: int | None = None) -> list[Entry]:
    """Every committed file of a version, in the order of ingest; what a crash left behind does not count."""
    last = number(lake, table, version)  # read first: a batch that commits meanwhile is then left out whole
    return latest(entry for entry in _entries(lake, table) if entry.batch <= last)


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """Of a content that was read again the last entry, in the place of the first."""
    return list({entry.sha: entry for entry in entries}.values())


def announce(lake: "Lake", table: str, entries: Iterable[Entry]) -> None:
    """Write the ledger rows of a batch, before its rows."""
    lake.append(files_table(table), _table(table, entries))


def recover(lake: "Lake", table: str) -> list[Entry]:
    """Every committed file; what a crash left in the ledger and the quarantine is removed.

    The quarantine goes first: while the ledger still names the files, a second crash loses nothing. A ledger that
    is scattered over many small files is gathered.
    """
    last = number(lake, table)
    entries = _entries(lake, table)
    kept = [entry for entry in entries if entry.batch <= last]
    orphans = {entry.sha for entry in entries if entry.batch > last}
    clean(lake, table, kept, orphans)
    if orphans or (entries and len(lake.files(files_table(table))) > _SCATTERED):
        rows = _table(table, kept)
        lake.replace(files_table(table), rows, column="source", values=[table], partitioned=False)
    return latest(kept)


def clean(lake: "Lake", table: str, kept: Iterable[Entry], orphans: Collection[str] = ()) -> None:
    """Remove from the quarantine what no committed entry stands for.

    That is what a crash left, and the earlier attempts of a document that was read again: of those the position is the
    number of the attempt, of which each has an entry.

    Args:
        lake: where the tables are.
        table: the table.
        kept: the committed entries, each attempt one.
        orphans: contents with an entry that was not committed.
    """
    attempts = Counter(entry.sha for entry in kept)
    doubtful = sorted({*orphans, *(sha for sha, times in attempts.items() if times > 1)})
    if not doubtful or lake.version(quarantine_table(table)) is None:
        return
    among = ", ".join(literal(sha) for sha in doubtful)
    rows = lake.query(f"SELECT * FROM t WHERE {FILE_COLUMN} IN ({among})", t=quarantine_table(table))
    pairs = zip(rows[FILE_COLUMN].to_pylist(), rows["position"].to_pylist(), strict=True)
    lasting = [position == attempts[sha] for sha, position in pairs]
    if not all(lasting):
        stays = rows.filter(pa.array(lasting)).cast(lake.schema(quarantine_table(table)))
        lake.replace(quarantine_table(table), stays, column=FILE_COLUMN, values=doubtful, partitioned=False)


def _entries(lake: "Lake", table: str) -> tuple[Entry, ...]:
    """The ledger as it stands. A version never changes, and each view of a run asks for it: it is read once."""
    found = lake.identity(files_table(table))
    if found is None:
        return ()
    key = (lake.root, table, *found)
    if key not in _READ:
        if len(_READ) >= _LEDGERS:
            _READ.clear()
        _READ[key] = _read(lake, table)
    return _READ[key]


def _read(lake: "Lake", table: str) -> tuple[Entry, ...]:
    names = ", ".join(quote(name) for name in _SCHEMA.names if name not in (FILE_COLUMN, "source"))
    sql = f"SELECT {FILE_COLUMN} AS sha, {names} FROM files ORDER BY batch, path"
    return tuple(Entry(**row) for row in lake.query(sql, files=files_table(table)).to_pylist())


def _table(table: str, entries: Iterable[Entry]) -> pa.Table:
    rows = [{**asdict(entry), FILE_COLUMN: entry.sha, "source": table} for entry in entries]
    return pa.Table.from_pylist([{name: row[name] for name in _SCHEMA.names} for row in rows], schema=_SCHEMA)
