"""Take a delivery back: as if it had never come, in every view and at every as-of date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DataError
from ml_assets.ingest import ledger
from ml_assets.ingest.deliveries import Delivery, standing_deliveries
from ml_assets.ingest.files import arrivals, identify
from ml_assets.spec.source import FILE_COLUMN
from ml_assets.storage.timestamps import FIRST

if TYPE_CHECKING:
    from ml_assets.spec.source import SourceSpec
    from ml_assets.storage.lake import Lake


@dataclass(frozen=True)
class UndoneDelivery:
    """A delivery that is, or was, taken back.

    Args:
        file: its path, as the ledger has it.
        sha: SHA-256 of its content.
        delivered: when it came, naive UTC; None of a ledger that did not say so.
        rows: accepted rows that go.
        quarantined: quarantined rows that go.
        restored: the paths whose rows it had replaced, and which are seen again.
    """

    file: str
    sha: str
    delivered: datetime | None
    rows: int
    quarantined: int
    restored: tuple[str, ...]


def last_delivery(lake: "Lake", table: str, file: str) -> UndoneDelivery:
    """The last delivery of a file that stands.

    Args:
        lake: where the tables are.
        table: of the source.
        file: its path as reports name it, the end of it, or the beginning of its SHA-256.

    Raises:
        DataError: no delivery, or more than one file, is meant.
    """
    standing = standing_deliveries(ledger.committed_entries(lake, table))
    matching = [sha for sha, one in standing.items() if _means(one, file)]
    paths = sorted({standing[sha].entry.path for sha in matching})
    if not matching:
        recent = ", ".join(sorted({one.entry.path for one in standing.values()})[-5:]) or "none"
        raise DataError(f"{table} has no delivery {file!r} that stands: the last ones are {recent}")
    if len(paths) > 1 and file not in paths:
        raise DataError(f"{file!r} may be {' or '.join(paths[:5])} of {table}: write more of the path")
    last = max(
        (sha for sha in matching if file not in paths or standing[sha].entry.path == file), key=[*standing].index
    )
    entry = standing[last].entry
    restored = tuple(one.entry.path for one in standing.values() if one.by == last)
    at = None if entry.delivered == FIRST else entry.delivered
    return UndoneDelivery(entry.path, last, at, entry.accepted, entry.quarantined, restored)


def undo(lake: "Lake", table: str, spec: "SourceSpec", location: Path | str | None, file: str) -> UndoneDelivery:
    """Take back the last delivery of a file: its rows leave the table and the quarantine, and what it replaced returns.

    The file itself is left where it is, and so is every copy of it; none is taken again until it is delivered again:
    changed, touched, or under another name. The removal of the rows is the promise: killed before it, nothing has
    happened; killed after it, the next ingest or `undo` removes what is left in the quarantine.

    Args:
        lake: where the table is.
        table: the table of the source.
        spec: the source.
        location: below which the files lie.
        file: as for `last_delivery`.

    Raises:
        DataError: no delivery, or more than one file, is meant.
        LakeError: another machine wrote the table at the same time; run again.
    """
    with lake.lock(f"ingest/{table}"):
        entries = ledger.recover(lake, table)
        undone = last_delivery(lake, table, file)
        one, batch = standing_deliveries(entries)[undone.sha], ledger.last_batch(lake, table) + 1
        gone = [ledger.Entry(undone.sha, one.entry.path, one.entry.size, one.entry.mtime, batch, undone=True)]
        gone += _copies(entries, one, spec, location, batch)
        ledger.announce(lake, table, gone)
        record = ledger.file_record(undone.sha, one.attempts)
        turn = lake.record(table, record) or 1
        records = {ledger.BATCH_RECORD: batch, record: turn + turn % 2}
        lake.remove(table, column=FILE_COLUMN, values=[undone.sha], records=records)
        ledger.recover(lake, table)
        return undone


def _means(one: Delivery, file: str) -> bool:
    path = one.entry.path
    return path == file or path.endswith(f"/{file}") or (len(file) >= 8 and one.entry.sha.startswith(file))


def _copies(
    entries: Sequence[ledger.Entry],
    one: Delivery,
    spec: "SourceSpec",
    location: Path | str | None,
    batch: int,
) -> list[ledger.Entry]:
    """Other files of the same content that lie in the drop zone: they are not delivered again by lying there."""
    sha, entered = one.entry.sha, {(entry.path, entry.size, entry.mtime) for entry in entries}
    try:
        files = arrivals(spec.files, location)
    except DataError:  # a store that does not answer keeps nobody from taking a delivery back
        return []
    lying = [file for file in files if file.size == one.entry.size and not file.obstacle]
    other = [file for file in lying if (file.name, file.size, file.mtime) not in entered]
    same = [file for file in other if identify(file).sha == sha]
    return [ledger.Entry(sha, file.name, file.size, file.mtime, batch, undone=True) for file in same]
