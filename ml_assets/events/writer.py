"""One transaction for many events, on a connection that one thread owns. What returns is on disk.

SQLite: WAL with `synchronous = FULL`. A commit is in the log on disk before it returns, so a power cut loses none of
it; a killed process (SIGKILL) loses none with NORMAL either. Group commit pays the disk once for all who wait.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, StatementError

from ml_assets.events.database import SHARE, driver_message, is_event_error, shown_name, sqlstate
from ml_assets.events.rows import Event, EventRefusedError, EventStoreError, group_by_kind
from ml_assets.events.schema import insert_sql

_LOOK = 0.0001  # seconds between two looks at a lock; a commit takes a few times as long
_ROWS = 64  # of a statement
_PAGES = 4_000  # of 4 kB: the log grows to 16 MB before it is moved into the file
_REMEDY = {
    sqlite3.SQLITE_BUSY: "another process holds its write lock; end what writes to it for so long",
    sqlite3.SQLITE_FULL: "its disk is full; free space, writing goes on by itself",
    sqlite3.SQLITE_READONLY: "it cannot be written; give the server's user the file, its folder and its -wal and -shm",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the server's user its folder",
}
# Errors that one event causes, not the store.
_REFUSED = (
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError,
    UnicodeError, OverflowError, TypeError,
)  # fmt: skip

_LATE = {"57014", "55P03"}  # SQLSTATE of what was cut off, itself or its wait for a lock: the patience is over
_ABSENT = {"42P01", "3F000"}  # no such table or schema: another database than the one that was prepared


class Writer(Protocol):
    """The connection that a journal writes to; called by one thread at a time."""

    def take(self) -> bool | None:
        """Begin a transaction, without waiting.

        Returns:
            True: it has begun, `insert` and `write` go on with it. False: somebody else is writing. None: `write` alone
            can say, and may wait.
        """

    def insert(self, rows: Sequence[Event]) -> None:
        """Rows into the transaction that has begun; raises as `write` does, and then none has."""

    def write(self, rows: Sequence[Event]) -> None:
        """All rows in one transaction, or none.

        Raises:
            EventRefusedError: the store works and one of the rows cannot be held.
            EventStoreError: the store cannot be written now. A later call tries anew.
        """

    def close(self) -> None:
        """Give the connection back."""


class SqliteWriter:
    """Writes to a file that several processes write to, and acknowledges a commit only if the file has its name still.

    A file that was removed, or replaced by another one, can be written to as long as it is open: SQLite says nothing,
    and what was committed is gone with the connection. So the identity of the file is compared after each commit.

    Args:
        file: of the store; its log lies beside it.
        patience: seconds until a file that another process writes counts as locked.
        prepare: makes missing tables; called for each new connection.
        disconnect: gives up the other connections to the file; called where it was removed or replaced.
    """

    def __init__(
        self, file: Path, patience: float, prepare: Callable[[], None], disconnect: Callable[[], None]
    ) -> None:
        self._file = file
        self._patience = patience
        self._prepare = prepare
        self._disconnect = disconnect
        self._connection: sqlite3.Connection | None = None
        self._identities: tuple[object, ...] | None = None

    def take(self) -> bool | None:
        """See `Writer`."""
        if self._connection is None:
            return None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return False if _busy(error) else None
        return True

    def insert(self, rows: Sequence[Event]) -> None:
        """See `Writer`."""
        with self._translate_errors():
            _insert_all(self._connect(), rows)

    def write(self, rows: Sequence[Event]) -> None:
        """See `Writer`."""
        with self._translate_errors():
            connection = self._connect()
            if not connection.in_transaction:
                self._begin(connection)
            _insert_all(connection, rows)
            connection.execute("COMMIT")
        self._require_same_file()

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise the errors of SQLite as our own; the connection is given up, and with it the transaction."""
        try:
            yield
        except _REFUSED as error:
            self.close()
            raise EventRefusedError(f"event store {self._file} cannot hold an event: {error}") from error
        except sqlite3.Error as error:
            self.close()
            raise EventStoreError(f"event store {self._file}: {error}{_remedy(error)}") from error

    def close(self) -> None:
        """Give the file up; what was not committed was not written."""
        connection, self._connection, self._identities = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # a full disk may refuse even this; nothing is lost by it
                connection.close()

    def _require_same_file(self) -> None:
        now = tuple(map(_identity, (self._file, self._file.with_name(f"{self._file.name}-wal"))))
        if None in now or self._identities not in {None, now}:
            self.close()
            self._disconnect()  # or its tables would be looked for in the old file
            raise EventStoreError(
                f"event store {self._file}: it was removed or replaced while it was open; restore it, or leave it: "
                "a new one is made at the next write"
            )
        self._identities = now

    def _connect(self) -> sqlite3.Connection:
        self._connection = self._connection or self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self._prepare()
        # Used by one thread at a time, now by one and now by another.
        connection = sqlite3.connect(self._file, timeout=self._patience, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock. SQLite's own patience looks every 100 ms in the end: one of busy workers starves."""
        until = time.monotonic() + self._patience
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > until:
                    raise
                time.sleep(_LOOK)
            else:
                return


def _identity(file: Path) -> object:
    with contextlib.suppress(OSError):
        stat = file.stat()
        return stat.st_dev, stat.st_ino
    return None


def _busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _insert_all(connection: sqlite3.Connection, rows: Sequence[Event]) -> None:
    """Insert many rows by one statement: Python's lock changes hands twice for each, and other threads want it.

    Powers of two, so that a handful of statements stay prepared whatever the number of rows.
    """
    for kind, some in group_by_kind(rows).items():
        start = 0
        while left := len(some) - start:
            count = min(_ROWS, 1 << (left.bit_length() - 1))
            connection.execute(insert_sql(kind, "?", count), tuple(chain.from_iterable(some[start : start + count])))
            start += count


def _remedy(error: sqlite3.Error) -> str:
    # The lower byte is the error; an error of Python's own binding has none.
    remedy = _REMEDY.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return f": {remedy}" if remedy else ""


class PostgresWriter:
    """Writes to a server that many replicas write to, each with one connection.

    Args:
        engine: cuts off what takes too long.
        prepare: makes missing tables; called once, and again after an error says that they are missing.
    """

    def __init__(self, engine: Engine, prepare: Callable[[], None]) -> None:
        self._engine = engine
        self._prepare = prepare
        self._prepared = False

    def take(self) -> bool | None:
        """See `Writer`: there is a network."""
        return None

    def insert(self, rows: Sequence[Event]) -> None:
        """See `Writer`; never called, for nothing is taken without waiting."""
        raise NotImplementedError

    def write(self, rows: Sequence[Event]) -> None:
        """See `Writer`. A connection that is of no use any more is made anew: rows written twice are there once."""
        try:
            self._write(rows)
        except DBAPIError as error:
            if not error.connection_invalidated or sqlstate(error) in _LATE:
                raise self._failure(error) from error
            try:
                self._write(rows)
            except DBAPIError as again:
                raise self._failure(again) from again
        except (StatementError, UnicodeError, OverflowError, TypeError) as error:
            name = shown_name(self._engine.url)
            raise EventRefusedError(f"event store {name} cannot hold an event: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _write(self, rows: Sequence[Event]) -> None:
        if not self._prepared:
            self._prepare()
            self._prepared = True
        try:
            self._insert(rows)
        except DBAPIError as error:
            self._prepared = sqlstate(error) not in _ABSENT
            raise

    def _insert(self, rows: Sequence[Event]) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql(SHARE)
            for kind, some in group_by_kind(rows).items():
                connection.exec_driver_sql(insert_sql(kind, "%s"), some)

    def _failure(self, error: DBAPIError) -> EventStoreError:
        kind = EventRefusedError if is_event_error(error) else EventStoreError
        return kind(f"event store {shown_name(self._engine.url)}: {driver_message(error)}")


def commit(writer: Writer, records: Sequence[Sequence[Event]]) -> list[EventStoreError | None]:
    """Write all records in one transaction and say of each what became of it: None is committed.

    Where the store refuses an event, halves are tried until only the records that hold one are left out: a bad event
    costs the others a few transactions, not their answer.
    """
    try:
        writer.write([*chain.from_iterable(records)])
    except EventRefusedError as refused:
        if len(records) == 1:
            return [refused]
        half = len(records) // 2
        return commit(writer, records[:half]) + commit(writer, records[half:])
    except EventStoreError as error:
        return [error] * len(records)
    except Exception as error:  # noqa: BLE001 - a caller that hears nothing waits for ever
        return [EventStoreError(f"the event store's writer failed: {type(error).__name__}: {error}")] * len(records)
    return [None] * len(records)
