"""The event store: exposures, predictions and outcomes, written by servers, taken once by the graph, kept as declared.

What an error of the store means: nothing was acknowledged. The events may be there all the same (the answer of a commit
can be lost on its way), never in part.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from sqlalchemy import Connection, Table, delete, func, select, text

from ml_assets.serving.event_database import create, engine, name, parse, path, settled, translated
from ml_assets.serving.event_tables import AGED_BY, EXPORTED, TABLES, Exposure, Kind, Outcome, Prediction
from ml_assets.serving.event_writer import PostgresWriter, SqliteWriter, Writer

PATIENCE = 2.0  # seconds until a store that does not answer is an error
_MARK = """
    INSERT INTO exported (name, sequence) VALUES (:name, :sequence) ON CONFLICT (name)
    DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > exported.sequence
"""
E = TypeVar("E", Prediction, Exposure, Outcome)


@dataclass(frozen=True)
class Page(Generic[E]):
    """Rows in the order of their commits.

    Args:
        rows: at most as many as were asked for.
        last: the sequence of the last one, to ask from next; where there are no rows, what was asked from.
    """

    rows: tuple[E, ...]
    last: int


@dataclass(frozen=True)
class Health:
    """How large the store is, and how far the graph is behind.

    Args:
        size: bytes on disk, the log of SQLite included.
        behind: for each table, rows that the graph has not taken, at most: numbers without a row count too.
    """

    size: int
    behind: Mapping[str, int]


class EventStore:
    """One store; several processes may hold it. Nothing is opened before it is used.

    Args:
        url: `sqlite:///…` or `postgresql://…`; what is said of it shows no password.
        patience: seconds until a database that does not answer is an error.

    Raises:
        DeclarationError: the URL is none of an event store, or its driver is missing.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self._url = parse(url)
        self._patience = patience
        self._engine = engine(self._url, patience)
        self._prepared = False

    @property
    def name(self) -> str:
        """The store without its secrets, for people."""
        return name(self._url)

    def writer(self) -> Writer:
        """What a journal writes to."""
        file = path(self._url)
        if file is not None:
            return SqliteWriter(file, self._patience, self._create)
        return PostgresWriter(engine(self._url, self._patience, statements=True), self._create)

    def read_since(self, kind: type[E], sequence: int, limit: int) -> Page[E]:
        """At most `limit` rows after `sequence`, none skipped and none twice, whoever writes meanwhile.

        Keep `last` in the same transaction as the rows, and start again from there: then each row is taken once.

        Raises:
            EventStoreError: the database does not answer.
        """
        table = TABLES[kind]
        with translated(self._url):
            last = self._last(table)
            chosen = select(table).where(table.c.sequence > sequence, table.c.sequence <= last)
            with self._begin() as connection:
                found = connection.execute(chosen.order_by(table.c.sequence).limit(limit)).all()
        rows = tuple(kind._make(row[1:]) for row in found)
        return Page(rows, int(found[-1][0]) if found else sequence)

    def mark_exported(self, kind: Kind, sequence: int) -> None:
        """Say that the graph has all rows up to `sequence` for good: they may be deleted. The mark never goes back."""
        with translated(self._url), self._begin() as connection:
            connection.execute(text(_MARK), {"name": TABLES[kind].name, "sequence": sequence})

    def exported(self, kind: Kind) -> int:
        """Up to which sequence the graph has said that it has a table; 0 before it has said anything."""
        with translated(self._url), self._begin() as connection:
            return self._marked(connection, TABLES[kind]) or 0

    def retain(self, before: int, *, batch: int = 1000) -> int:
        """Delete what the graph has taken and what is older; how many rows went.

        Writers wait for one batch at most. Rows go in their order and up to the first that is younger. The file of
        SQLite does not shrink; its pages are used again.

        Args:
            before: microseconds since 1970, UTC.
            batch: rows a transaction.
        """
        return sum(self._retain(kind, before, batch) for kind in TABLES)

    def ping(self) -> None:
        """Ask the database anything.

        Raises:
            EventStoreError: it does not answer.
        """
        with translated(self._url), self._begin() as connection:
            connection.execute(select(EXPORTED.c.name).limit(1)).all()

    def health(self) -> Health:
        """See `Health`; raises like `ping`."""
        with translated(self._url), self._begin() as connection:
            behind = {
                table.name: (_greatest(connection, table) or 0) - (self._marked(connection, table) or 0)
                for table in TABLES.values()
            }
            return Health(self._size(connection), {table: max(0, rows) for table, rows in behind.items()})

    def close(self) -> None:
        """Close the connections; a writer closes its own."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create(self) -> None:
        create(self._engine, self._patience)
        self._prepared = True

    def _begin(self) -> AbstractContextManager[Connection]:
        if not self._prepared:
            self._create()
        return self._engine.begin()

    def _last(self, table: Table) -> int:
        """The number up to which every row is there; its lock is given back before anything is read."""
        with self._begin() as connection:
            settled(connection)
            return _greatest(connection, table) or 0

    def _marked(self, connection: Connection, table: Table) -> int | None:
        found = connection.execute(select(EXPORTED.c.sequence).where(EXPORTED.c.name == table.name)).scalar()
        return None if found is None else int(found)

    def _retain(self, kind: Kind, before: int, batch: int) -> int:
        table, deleted, gone = TABLES[kind], 0, batch
        with translated(self._url):
            end = self._end(table, before, AGED_BY[kind])
            some = select(table.c.sequence).where(table.c.sequence <= end).order_by(table.c.sequence).limit(batch)
            while gone == batch:
                with self._begin() as connection:
                    gone = connection.execute(delete(table).where(table.c.sequence.in_(some))).rowcount
                deleted += gone
        return deleted

    def _end(self, table: Table, before: int, age: str) -> int:
        """The last sequence that may go. Only old rows are looked at, and no lock is held."""
        young = select(table.c.sequence).where(table.c[age] >= before).order_by(table.c.sequence).limit(1)
        with self._begin() as connection:
            taken = self._marked(connection, table) or 0
            first = connection.execute(young).scalar()
        return taken if first is None else min(taken, int(first) - 1)

    def _size(self, connection: Connection) -> int:
        file = path(self._url)
        if file is None:
            sizes = [text(f"SELECT pg_total_relation_size('{table.name}')") for table in TABLES.values()]
            return sum(int(connection.execute(size).scalar_one()) for size in sizes)
        parts = (file, file.with_name(f"{file.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())


def _greatest(connection: Connection, table: Table) -> int | None:
    found = connection.execute(select(func.max(table.c.sequence))).scalar()
    return None if found is None else int(found)
