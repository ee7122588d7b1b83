"""The database under the event store: its URL, its engine, its errors. SQLite by default, Postgres in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as Sqlite
from typing import Any

from filelock import Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from ml_assets.errors import DeclarationError
from ml_assets.events.rows import EventStoreError

_OF_EVENT = {"22", "23", "54"}  # classes of SQLSTATE: data, constraints, limits such as the size of an index row
_FORMS = "ML_ASSETS_EVENT_STORE is sqlite:///path/to/events.db or postgresql://user:password@host/database"
# Writers share it; a reader takes it alone for a moment, and nobody is in a transaction then (`wait_for_writers`).
_LOCK = "hashtextextended('ml_assets events in ' || current_schema(), 0)"
SHARE = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_ALONE = f"SELECT pg_advisory_xact_lock({_LOCK})"


def parse_url(url: str) -> URL:
    """The URL of an event store, its driver chosen.

    Raises:
        DeclarationError: it is not one. The URL may hold a password, and is not repeated.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DeclarationError(f"this is not the URL of an event store; {_FORMS}") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise DeclarationError(f"an event store cannot be kept in {backend!r}; {_FORMS}")
    if not parsed.database or ":memory:" in parsed.database or parsed.query:
        raise DeclarationError(f"an event store that outlives its process is a file; {_FORMS}")
    return parsed


def shown_name(url: URL) -> str:
    """The part of a URL that may be shown: no user, no password, no parameter."""
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite store; None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def make_engine(url: URL, patience: float, *, statements: bool = False) -> Engine:
    """An engine that gives up waiting for locks and connections after `patience` seconds; nothing is opened yet.

    Args:
        url: from `parse_url`.
        patience: seconds.
        statements: Postgres cuts off a statement after `patience` as well.

    Raises:
        DeclarationError: the driver of Postgres is not installed.
    """
    arguments = {"timeout": patience} if sqlite_file(url) else _network(patience)
    try:
        database = create_engine(url, connect_args=arguments, hide_parameters=True, pool_size=1, max_overflow=3)
    except ModuleNotFoundError as missing:
        raise DeclarationError(f"{shown_name(url)} needs psycopg: pip install 'ml-assets[postgres]'") from missing
    event.listen(database, "handle_error", _give_up)
    event.listen(database, "connect", _full if sqlite_file(url) else _bounded(patience, statements=statements))
    return database


def _network(patience: float) -> dict[str, int]:
    """A server that does not answer is given up; libpq waits for a connection no shorter than two seconds."""
    return {"connect_timeout": max(2, round(patience)), "tcp_user_timeout": round(1000 * patience)}


def is_event_error(error: BaseException | None) -> bool:
    """Tell an error that one event causes from one of the database, or of the way to it."""
    state = sqlstate(error)
    if state is None:
        return isinstance(error, DataError | IntegrityError | ProgrammingError)
    return state[:2] in _OF_EVENT


def sqlstate(error: BaseException | None) -> str | None:
    """The five characters by which Postgres says what an error is; None where it said nothing, and of SQLite."""
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def _give_up(context: ExceptionContext) -> None:
    """Use no connection again that failed over anything but an event.

    What is wrong may be the connection's alone, and then for ever: made while the server was read-only, or kept by a
    pooler to what was the primary. A new one costs milliseconds, and only where something has failed.
    """
    if not is_event_error(context.sqlalchemy_exception):
        context.is_disconnect = True


def _full(connection: Sqlite, _record: object) -> None:
    """Make deletions and marks as durable as what was written."""
    connection.execute("PRAGMA synchronous = FULL")


def _bounded(patience: float, *, statements: bool) -> Any:  # noqa: ANN401 - psycopg need not be installed
    milliseconds = round(1000 * patience)

    def set_limits(connection: Any, _record: object) -> None:  # noqa: ANN401 - the same
        connection.execute("SET synchronous_commit = on")  # whatever the server's default: a commit is on disk
        connection.execute(f"SET lock_timeout = {milliseconds}")
        connection.execute(f"SET statement_timeout = {milliseconds if statements else 0}")
        connection.commit()

    return set_limits


def wait_for_writers(connection: Connection) -> None:
    """In a transaction of Postgres: wait until no writer is in the middle of one, and let none begin until it ends.

    Sequences are given out before the commit, so a row may appear behind one with a higher number; a reader that has
    passed it would never see it. After this, all numbers that were given out are visible or will never be. SQLite has
    one writer at a time: there the order of the numbers is the order of the commits.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(_ALONE))


@contextmanager
def as_store_errors(url: URL) -> Iterator[None]:
    """Errors of the database as `EventStoreError`, without SQL, parameters or secrets."""
    try:
        yield
    except DBAPIError as error:
        raise EventStoreError(
            f"event store {shown_name(url)}: {driver_message(error)}; see ML_ASSETS_EVENT_STORE in README.md"
        ) from error
    except (SQLAlchemyError, OSError, Timeout) as error:
        raise EventStoreError(f"event store {shown_name(url)}: {error}") from error


def driver_message(error: DBAPIError) -> str:
    """The message of the driver, without the details, which repeat the row."""
    return str(error.orig).partition("\n")[0]
