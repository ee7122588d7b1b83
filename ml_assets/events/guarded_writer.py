"""A writer that notices when its file is taken away while it is open."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ml_assets.events.database import parse, path
from ml_assets.events.rows import Event, EventStoreError
from ml_assets.events.store import EventStore
from ml_assets.events.writer import Writer


def open_writer(store: EventStore, url: str) -> Writer:
    """Open the writer of an event store: of a file, one that notices when the file is replaced."""
    file = path(parse(url))
    return store.writer() if file is None else GuardedWriter(store, file)


class GuardedWriter:
    """A writer to a file that acknowledges only what can be found again.

    A file that was removed, or replaced by another one, can be written to as long as it is open: SQLite says nothing,
    and what was committed is gone with the connection. So the names are looked at after each commit.

    Args:
        store: whose connections are given up as well.
        file: of the store; its log lies beside it.
    """

    def __init__(self, store: EventStore, file: Path) -> None:
        self._store = store
        self._writer = store.writer()
        self._files = (file, file.with_name(f"{file.name}-wal"))
        self._identities: tuple[object, ...] | None = None

    def take(self) -> bool | None:
        """See `Writer`."""
        return self._writer.take()

    def insert(self, rows: Sequence[Event]) -> None:
        """See `Writer`."""
        self._writer.insert(rows)

    def write(self, rows: Sequence[Event]) -> None:
        """See `Writer`."""
        try:
            self._writer.write(rows)
        except EventStoreError:  # it has closed its connection: the next one may be to another file
            self._identities = None
            raise
        now = tuple(map(_identity, self._files))
        if None in now or self._identities not in {None, now}:
            self.close()
            self._store.close()  # or its tables would be looked for in the old file
            raise EventStoreError(
                f"event store {self._files[0]}: it was removed or replaced while it was open; restore it, or leave it: "
                "a new one is made at the next write"
            )
        self._identities = now

    def close(self) -> None:
        """See `Writer`."""
        self._identities = None
        self._writer.close()


def _identity(file: Path) -> object:
    with contextlib.suppress(OSError):
        stat = file.stat()
        return stat.st_dev, stat.st_ino
    return None
