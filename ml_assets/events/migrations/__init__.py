"""Changes of the event store's layout: Alembic's revisions, run on a connection that somebody has locked.

A revision of this folder changes a table that exists, in SQLite and in Postgres, in the caller's transaction. It finds
the layout of the revision before it; of a store without a version, whatever a release before versions made: a32b370, or
a later one, or the part of it that a killed process had made.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import op
from alembic.config import Config
from alembic.operations import BatchOperations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from ml_assets.events.schema import LAYOUT

_ONE = threading.Lock()  # Alembic's `op` is one for a process
_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}
_NUMBERED = {"sqlite_autoincrement": True, "sqlite_strict": True}


def migrate(connection: Connection) -> None:
    """Bring a store to the last revision, in the transaction of the connection."""
    script = ScriptDirectory(str(Path(__file__).parent))
    upgrades = script._upgrade_revs  # noqa: SLF001 - what `alembic upgrade` runs; its public form needs an env.py
    with _ONE, EnvironmentContext(Config(), script, fn=lambda revision, _: upgrades("head", revision)) as environment:
        environment.configure(connection=connection, version_table=LAYOUT.name)
        environment.run_migrations()


@contextmanager
def alter(table: str) -> Iterator[BatchOperations]:
    """Alter a table.

    SQLite writes it anew: strict, as it was, and never giving out again the number of a row that was deleted.
    """
    connection = op.get_bind()
    last = _last_number(connection, table)
    with op.batch_alter_table(table, naming_convention=_NAMES, table_kwargs=_NUMBERED) as batch:
        yield batch
    if last is not None:
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :last)"), {"table": table, "last": last})


def columns(table: str) -> dict[str, bool]:
    """The columns of a table: name → whether it may be null; none where the table is not there."""
    inspector = inspect(op.get_bind())
    if not inspector.has_table(table):
        return {}
    return {column["name"]: bool(column["nullable"]) for column in inspector.get_columns(table)}


def _last_number(connection: Connection, table: str) -> int | None:
    """The last number that SQLite gave out; None where it gave out none, and in Postgres, which keeps it by itself."""
    if connection.dialect.name != "sqlite":
        return None
    query = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    last: int | None = connection.execute(query, {"table": table}).scalar()
    return last
