"""The layout of an event store: its tables are made, or brought to this release, by one process at a time.

All of it is one transaction, so a process that is killed in the middle leaves the store as it was.
"""

import uuid

from sqlalchemy import Connection, Engine, insert, inspect, select, text

from ml_assets.events.database import as_store_errors, shown_name, sqlite_file
from ml_assets.events.rows import EventStoreError
from ml_assets.events.schema import EVENTS, IDENTITY, LAYOUT, METADATA, VERSION
from ml_assets.storage.files import hold_lock

# Of those that make the tables one goes first; they do not wait for a writer that hangs.
_FIRST = "SELECT pg_advisory_xact_lock(hashtextextended('ml_assets tables in ' || current_schema(), 0))"
_ELSEWHERE = "or name another one in ML_ASSETS_EVENT_STORE; a new one is made by itself"


def create_tables(engine: Engine, patience: float) -> None:
    """Make the tables, or migrate them, whoever of several processes comes first.

    Args:
        engine: of the store.
        patience: seconds to wait for another process that does the same.

    Raises:
        EventStoreError: the database does not answer, a newer release made it, or tables of its names are not ours.
    """
    file = sqlite_file(engine.url)
    with as_store_errors(engine.url):
        if file is None:
            with engine.begin() as connection:
                connection.execute(text(_FIRST))
                _complete(connection)
            return
        with hold_lock(f"{file}.lock", patience=patience), engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            _complete(connection)


def _complete(connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names())
    version = _version(connection, tables)
    if version == VERSION and METADATA.tables.keys() <= tables:
        return
    if version is not None and version > VERSION:
        raise EventStoreError(
            f"event store {shown_name(connection.engine.url)}: its layout is {version}, made by a newer release; this "
            f"one knows layouts up to {VERSION}: upgrade ml_assets, {_ELSEWHERE}"
        )
    if connection.dialect.name == "sqlite":  # Python's binding would begin with the first INSERT only
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if version != VERSION and not tables.isdisjoint(kind.table.name for kind in EVENTS.values()):
        from ml_assets.events.migrations import migrate  # Alembic: only where a layout is an old one

        LAYOUT.create(connection, checkfirst=True)
        migrate(connection)
    METADATA.create_all(connection)
    _require_columns(connection, tables)
    if version is None and _version(connection, {LAYOUT.name}) is None:
        connection.execute(insert(LAYOUT).values(version_num=VERSION))
    if connection.execute(select(IDENTITY)).first() is None:
        connection.execute(insert(IDENTITY).values(id=uuid.uuid4().hex))


def _version(connection: Connection, tables: set[str]) -> str | None:
    """The revision that a store has; None of a new one, and of one that a release before versions made."""
    if LAYOUT.name not in tables:
        return None
    version: str | None = connection.execute(select(LAYOUT.c.version_num)).scalar()
    return version


def _require_columns(connection: Connection, tables: set[str]) -> None:
    """Refuse tables that were there and are not ours: nothing is written half into what is not known.

    Raises:
        EventStoreError: a table has other columns than it is expected to have.
    """
    inspector = inspect(connection)
    for table in METADATA.sorted_tables:
        columns = [column["name"] for column in inspector.get_columns(table.name)]
        if table.name in tables and columns != table.c.keys():
            raise EventStoreError(
                f"event store {shown_name(connection.engine.url)}: its table {table.name} has the columns "
                f"{', '.join(columns)}, not those of this release: move the database away, {_ELSEWHERE}"
            )
