"""What a table has had, and what that means for the next file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from ml_assets.errors import DataError
from ml_assets.ingest import ledger
from ml_assets.ingest.deliveries import at_path, standing_deliveries
from ml_assets.ingest.ledger import Entry
from ml_assets.spec.source import FILE_COLUMN
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.timestamps import FIRST, microseconds, moment

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival
    from ml_assets.spec.source import SourceSpec
    from ml_assets.storage.lake import Lake

_BEGUN, _ENDED = "delivery", "delivered"
_TICK = timedelta(microseconds=1)
_RESUMED = timedelta(days=1)  # an ingest that was killed and is run again so soon goes on with its delivery


class FileHistory:
    """The files of a table as its ledger has them.

    Args:
        entries: of the ledger, committed ones.
        spec: the source.
    """

    def __init__(self, entries: Sequence[Entry], spec: "SourceSpec") -> None:
        self._spec, self._last = spec, at_path(entries)
        self._standing = standing_deliveries(entries)
        self.shown = {sha for sha, one in self._standing.items() if not one.by}
        self.hidden = self._standing.keys() - self.shown

    def knows(self, arrival: "Arrival", again: Collection[str]) -> bool:
        """Whether this is, by path, size and time, what was last ingested from there, or taken back.

        What does not say when it was changed is looked at each time. `again` are contents that are read again.
        """
        last = self._last.get(arrival.name)
        if last is None or last.sha in again or not arrival.mtime:
            return False
        return (last.size, last.mtime) == (arrival.size, arrival.mtime)

    def takes_back(self, arrival: "Arrival", sha: str) -> bool:
        """Whether this content was taken back and its store does not say that it came again."""
        last = self._last.get(arrival.name)
        return last is not None and last.undone and last.sha == sha and not arrival.mtime

    def replaces(self, name: str) -> str:
        """The contents whose place a file of this name takes, joined by commas.

        Raises:
            DataError: rows of this path stand, and the source does not say what becomes of them.
        """
        before = [sha for sha in self.shown if self._holds(sha, name)]
        if before and self._spec.changed == "refuse":
            raise DataError(
                f"{name}: was read before and now holds other bytes, so it is held back and its rows of before stay. "
                f"Deliver new rows under a new name, or declare in source {self._spec.name} what to do: `key` (a later "
                "row of a key replaces the earlier one), `on_change: replace` (the file's rows take the place of those "
                "of before) or `on_change: append` (they come on top)"
            )
        return ",".join(sorted(before)) if self._spec.changed == "replace" else ""

    def redelivery(self, arrival: "Arrival", sha: str, replaces: str, at: datetime) -> Entry:
        """What the ledger says of a content whose rows were replaced, and are delivered again.

        Args:
            arrival: the file that holds the content now.
            sha: of the content.
            replaces: the contents whose place it takes, joined by commas.
            at: when it is delivered, in naive UTC.
        """
        others = ",".join(name for name in replaces.split(",") if name != sha)
        return Entry(sha, arrival.name, arrival.size, arrival.mtime, 0, delivered=at, replaces=others)

    def _holds(self, sha: str, name: str) -> bool:
        entry = self._standing[sha].entry
        return entry.path == name and entry.accepted > 0


@dataclass
class DeliveryMoment:
    """When the files of one ingest were delivered: the same moment for all, later than every one before.

    With a key that decides which row is the later one, so a killed ingest that is run again goes on with its moment.
    """

    at: datetime
    keyed: bool
    begun: bool = False

    @classmethod
    def begin(cls, lake: "Lake", table: str, spec: "SourceSpec", entries: Sequence[Entry], now: datetime) -> Self:
        """Choose the moment of an ingest that begins `now`.

        Args:
            lake: where the ledger is.
            table: the table of the source.
            spec: the source.
            entries: the committed ones.
            now: naive UTC.
        """
        last = max((entry.delivered for entry in entries if entry.delivered), default=None)
        recorded = lake.records(ledger.files_table(table), [_BEGUN, _ENDED]) if spec.key else {}
        killed = last is not None and recorded.get(_ENDED) != recorded.get(_BEGUN) == microseconds(last)
        if last is not None and killed and timedelta(0) <= now - last < _RESUMED:
            return cls(last, keyed=True, begun=True)
        # Later than all before, also than one that was killed before it committed: two records would be one.
        begun = None if _BEGUN not in recorded else moment(recorded[_BEGUN])
        before = max(filter(None, (last, begun)), default=None)
        return cls(now if before is None else max(now, before + _TICK), keyed=bool(spec.key))

    def begin_records(self) -> Mapping[str, int] | None:
        """What the first rows of the ledger record with them."""
        if not self.keyed or self.begun:
            return None
        self.begun = True
        return {_BEGUN: microseconds(self.at)}

    def end(self, lake: "Lake", table: str) -> None:
        """Record that nothing of the delivery is left."""
        if self.begun:
            name = ledger.files_table(table)
            lake.append(name, lake.schema(name).empty_table(), records={_ENDED: microseconds(self.at)})


def commit_entry(lake: "Lake", table: str, entry: Entry) -> Entry:
    """Commit what changes no row: an entry of the ledger as a batch of its own."""
    numbered = replace(entry, batch=ledger.last_batch(lake, table) + 1)
    ledger.announce(lake, table, [numbered])
    lake.append(table, lake.schema(table).empty_table(), records={ledger.BATCH_RECORD: numbered.batch})
    return numbered


def bound_reach(lake: "Lake", table: str, spec: "SourceSpec", entries: list[Entry], now: datetime) -> list[Entry]:
    """The entries; those of an older ledger that name a time after `now` get the last time of their rows before it.

    One row of the year 2062 would otherwise say that the feed is known until then.

    Args:
        lake: where the table is.
        table: the table of the source.
        spec: the source.
        entries: the committed ones.
        now: naive UTC.
    """
    believed = [entry.sha for entry in entries if entry.delivered is None and entry.reached and entry.reached > now]
    if not believed:
        return entries
    event = quote(spec.event_time)
    sql = (
        f"SELECT {FILE_COLUMN} AS sha, max({event}) AS reached FROM t "
        f"WHERE {event} <= $now AND {FILE_COLUMN} IN ({', '.join(map(literal, believed))}) GROUP BY {FILE_COLUMN}"
    )
    rows = {row["sha"]: row["reached"] for row in lake.query(sql, {"now": now}, t=table).to_pylist()}
    corrected = [
        replace(entry, reached=rows.get(entry.sha), delivered=FIRST) if entry.sha in believed else entry
        for entry in entries
    ]
    ledger.rewrite(lake, table, corrected)
    return corrected
