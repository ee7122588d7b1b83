"""A process that takes events and kills itself: `python -m ml_assets_tests.monitoring.taking LAKE URL WHERE NUMBER`.

WHERE is `before` or `after` a page in the lake, or `mark`: the lake has a table, the event store was not told.
"""

import os
import signal
import sys
from collections.abc import Mapping
from datetime import date
from itertools import count

from ml_assets.events.rows import Kind
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.storage.lake import Lake, Rows

DUE = date(2026, 8, 30)
_TIMES = count(1)


def _perhaps(place: str) -> None:
    if place == sys.argv[3] and next(_TIMES) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)


class FatalLake(Lake):
    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        _perhaps("before")
        version = super().append(table, rows, records=records)
        _perhaps("after")
        return version


class FatalStore(EventStore):
    def mark_exported(self, kind: Kind, model: str, sequence: int) -> None:
        _perhaps("mark")
        super().mark_exported(kind, model, sequence)


if __name__ == "__main__":
    with FatalStore(sys.argv[2]) as store:
        take(FatalLake(sys.argv[1]), store, "churn", DUE, limit=7)
