"""The times of the rows of a file, from which the ledger says how far a feed is known."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.spec.source import SourceSpec


@dataclass
class RowTimes:
    """The times of a file's accepted rows, and the last one that is not after `now`."""

    now: datetime
    accepted: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    known: datetime | None = None
    reached: datetime | None = None

    def add(self, rows: pa.Table, spec: SourceSpec) -> None:
        """Take the rows of one table of the file into account."""
        if not rows.num_rows:
            return
        self.accepted += rows.num_rows
        events = rows[spec.event_time]
        first, last = pc.min_max(events).as_py().values()
        earliest_known = pc.min(pc.max_element_wise(*(rows[column] for column in spec.times))).as_py()
        past = pc.max(events.filter(pc.less_equal(events, pa.scalar(self.now, events.type)))).as_py()
        self.earliest = min(self.earliest or first, first)
        self.latest = max(self.latest or last, last)
        self.known = min(self.known or earliest_known, earliest_known)
        self.reached = max(filter(None, (self.reached, past)), default=None)
