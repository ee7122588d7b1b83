"""A writer that notices when its file is taken away while it is open."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ml_assets.serving.event_database import parse, path
from ml_assets.serving.event_tables import Event, EventStoreError
from ml_assets.serving.event_writer import Writer


def kept(writer: Writer, url: str) -> Writer:
    """The writer of an event store; where that is a file, one that looks after it."""
    file = path(parse(url))
    return writer if file is None else Kept(writer, file)


class Kept:
    """Acknowledges only what can be found again.

    A file that was removed, or replaced by another one, can be written to as long as it is open: SQLite says nothing,
    and what was committed is gone with the connection. So the names are looked at after each commit.

    Args:
        writer: to the file.
        file: of the store; its log lies beside it.
    """

    def __init__(self, writer: Writer, file: Path) -> None:
        self._writer = writer
        self._files = (file, file.with_name(f"{file.name}-wal"))
        self._found: tuple[object, ...] | None = None

    def write(self, rows: Sequence[Event]) -> None:
        """See `Writer`."""
        try:
            self._writer.write(rows)
        except EventStoreError:  # it has closed its connection: the next one may be to another file
            self._found = None
            raise
        now = tuple(map(_identity, self._files))
        if None in now or self._found not in {None, now}:
            self.close()
            raise EventStoreError(
                f"event store {self._files[0]}: it was removed or replaced while it was open; restore it, or leave it: "
                "a new one is made at the next write"
            )
        self._found = now

    def close(self) -> None:
        """See `Writer`."""
        self._found = None
        self._writer.close()


def _identity(file: Path) -> object:
    with contextlib.suppress(OSError):
        found = file.stat()
        return found.st_dev, found.st_ino
    return None
