"""The event store: the rows that servers write, that the graph takes once, and that are kept as declared.

An error of the store means that nothing was acknowledged. The events may be there all the same (the answer of a commit
can be lost on its way), never in part.
"""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import Connection, Row, Select, Table, delete, func, select, text

from ml_assets.events.database import (
    as_store_errors,
    make_engine,
    parse_url,
    shown_name,
    sqlite_file,
    wait_for_writers,
)
from ml_assets.events.layout import create_tables
from ml_assets.events.retention import delete_old, exported_mark
from ml_assets.events.rows import Event, Kind, Outcome
from ml_assets.events.schema import EVENTS, EXPORTED, IDENTITY
from ml_assets.events.writer import PostgresWriter, SqliteWriter, Writer

PATIENCE = 2.0  # seconds until a store that does not answer is an error
_MARK = """
    INSERT INTO exported (name, model, sequence) VALUES (:name, :model, :sequence) ON CONFLICT (name, model)
    DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > exported.sequence
"""
# Rows that nobody has taken, from the first that may be one.
_BEHIND = """
    SELECT count(*) FROM (
        SELECT 1 FROM {table} LEFT JOIN exported ON exported.name = '{table}' AND exported.model = {table}.model
        WHERE {table}.sequence > (SELECT coalesce(min(sequence), 0) FROM exported WHERE name = '{table}')
        AND {table}.sequence > coalesce(exported.sequence, 0) LIMIT {most}
    ) AS waiting
"""
_COUNTED = 100_000
_STEP = 10_000  # sequences that are looked through again rather than marked
E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class EventPage(Generic[E]):
    """Rows in the order of their commits.

    Args:
        rows: at most as many as were asked for.
        last: the sequence of the last one, to ask from next; where all are there, the last of the table: what lies
            between are rows of other models.
    """

    rows: tuple[E, ...]
    last: int


@dataclass(frozen=True)
class StoreHealth:
    """The size of the store, and how far the graph is behind.

    Args:
        size: bytes on disk, the log of SQLite included.
        behind: for each table, rows that the graph has not taken, at most 100,000. Those of a model that it never
            takes count from the first row on that another model waits for.
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
        self._url = parse_url(url)
        self._patience = patience
        self._engine = make_engine(self._url, patience)
        self._prepared = False

    @property
    def name(self) -> str:
        """The store without its secrets, for people."""
        return shown_name(self._url)

    @property
    def identity(self) -> str:
        """Which store it is: one that was made where another had been has a name of its own.

        Raises:
            EventStoreError: the database does not answer.
        """
        with as_store_errors(self._url), self._begin() as connection:
            return str(connection.execute(select(IDENTITY.c.id)).scalar_one())

    @property
    def exists(self) -> bool:
        """False where an SQLite file is missing; true for a server, which is not asked."""
        file = sqlite_file(self._url)
        return file is None or file.exists()

    def writer(self) -> Writer:
        """A writer for a journal."""
        file = sqlite_file(self._url)
        if file is not None:
            return SqliteWriter(file, self._patience, self._create, self.close)
        return PostgresWriter(make_engine(self._url, self._patience, statements=True), self._create)

    def read_since(self, kind: type[E], sequence: int, limit: int, *, model: str) -> EventPage[E]:
        """At most `limit` rows of a model after `sequence`, none skipped and none twice, whoever writes meanwhile.

        Keep `last` in the same transaction as the rows, and start again from there: then each row is taken once.

        Args:
            kind: of the rows.
            sequence: the last one that the caller has; 0: none.
            limit: rows of the page, at most.
            model: the model's folder.

        Raises:
            EventStoreError: the database does not answer.
        """
        table = EVENTS[kind].table
        with as_store_errors(self._url):
            last = self._last(table)
            query = select(table).where(table.c.model == model, table.c.sequence > sequence, table.c.sequence <= last)
            with self._begin() as connection:
                stored = connection.execute(query.order_by(table.c.sequence).limit(limit)).all()
        rows = tuple(_row(kind, row) for row in stored)
        return EventPage(rows, int(stored[-1][0]) if len(stored) == limit else max(sequence, last))

    def last(self, kind: Kind) -> int:
        """The number up to which every row of a kind is there, whoever writes meanwhile; 0 before the first."""
        with as_store_errors(self._url):
            return self._last(EVENTS[kind].table)

    def find(self, kind: type[E], prediction_id: str) -> E | None:
        """The row of that id, of a kind that has one; None where none was recorded, or it was deleted."""
        table = EVENTS[kind].table
        with as_store_errors(self._url), self._begin() as connection:
            row = connection.execute(select(table).where(table.c.prediction_id == prediction_id)).one_or_none()
        return None if row is None else _row(kind, row)

    def outcomes_of(self, prediction_id: str) -> tuple[Outcome, ...]:
        """The outcomes of a prediction, in the order of arrival; the one observed last is in force."""
        table = EVENTS[Outcome].table
        query = select(table).where(table.c.prediction_id == prediction_id).order_by(table.c.sequence)
        with as_store_errors(self._url), self._begin() as connection:
            return tuple(Outcome._make(row[1:]) for row in connection.execute(query))

    def select(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a query over the tables of `events.schema`, for the modules beside this one.

        Raises:
            EventStoreError: the database does not answer.
        """
        with as_store_errors(self._url), self._begin() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def mark_exported(self, kind: Kind, model: str, sequence: int) -> None:
        """Say that the graph has all rows of a model up to `sequence` for good: they may be deleted.

        The mark never goes back.
        """
        values = {"name": EVENTS[kind].table.name, "model": model, "sequence": sequence}
        with as_store_errors(self._url), self._begin() as connection:
            connection.execute(text(_MARK), values)

    def exported_until(self, kind: Kind, model: str) -> int:
        """Up to which sequence the graph has said that it has a model's rows; 0 before it has said anything."""
        with as_store_errors(self._url), self._begin() as connection:
            return exported_mark(connection, EVENTS[kind].table, model)

    def retain(self, model: str, before: int, *, spared: Collection[str] = (), batch: int = 1000) -> int:
        """Delete what the graph has taken of a model and what is older; how many rows went.

        Writers wait for one batch at most. Rows go in their order and up to the first that is younger. The file of
        SQLite does not shrink; its pages are used again.

        Args:
            model: the model's folder; rows of others stay.
            before: microseconds since 1970, UTC.
            spared: names of experiments and of stages whose units are counted still: their rows stay.
            batch: rows a transaction.
        """
        with as_store_errors(self._url):
            return sum(delete_old(self._begin, kind, model, before, spared, batch) for kind in EVENTS)

    def count(self, model: str) -> int:
        """Count the rows of a model."""
        with as_store_errors(self._url), self._begin() as connection:
            counts = [select(func.count()).where(table.c.model == model) for table in _tables()]
            return sum(int(connection.execute(query).scalar_one()) for query in counts)

    def forget(self, model: str) -> None:
        """Delete every row of a model, taken or not, in one transaction; may be called again."""
        with as_store_errors(self._url), self._begin() as connection:
            for table in (*_tables(), EXPORTED):
                connection.execute(delete(table).where(table.c.model == model))

    def ping(self) -> None:
        """Ask the database anything.

        Raises:
            EventStoreError: it does not answer.
        """
        with as_store_errors(self._url), self._begin() as connection:
            connection.execute(select(EXPORTED.c.name).limit(1)).all()

    def health(self) -> StoreHealth:
        """See `StoreHealth`; raises like `ping`."""
        with as_store_errors(self._url), self._begin() as connection:
            counts = {table.name: text(_BEHIND.format(table=table.name, most=_COUNTED)) for table in _tables()}
            behind = {table: int(connection.execute(count).scalar_one()) for table, count in counts.items()}
            return StoreHealth(self._size(connection), behind)

    def count_behind(self, model: str) -> dict[str, int]:
        """For each table, rows of a model that the graph has not taken; at most 100,000 are counted."""
        with as_store_errors(self._url), self._begin() as connection:
            return {table.name: _behind(connection, table, model) for table in _tables()}

    def has_waiting(self, model: str) -> bool:
        """Tell whether there are rows of a model that the graph has not taken.

        The rows of other models that were looked through are not looked through again.
        """
        return any(self._waiting(kind, model) for kind in EVENTS)

    def close(self) -> None:
        """Close the connections; a writer closes its own."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create(self) -> None:
        create_tables(self._engine, self._patience)
        self._prepared = True

    def _begin(self) -> AbstractContextManager[Connection]:
        if not self._prepared:
            self._create()
        return self._engine.begin()

    def _last(self, table: Table) -> int:
        """The number up to which every row is there; its lock is given back before anything is read."""
        with self._begin() as connection:
            wait_for_writers(connection)
            return int(connection.execute(select(func.coalesce(func.max(table.c.sequence), 0))).scalar_one())

    def _waiting(self, kind: Any, model: str) -> bool:  # noqa: ANN401 - each kind has its own page
        mark = self.exported_until(kind, model)
        page = self.read_since(kind, mark, 1, model=model)
        if not page.rows and page.last - mark > _STEP:
            self.mark_exported(kind, model, page.last)
        return bool(page.rows)

    def _size(self, connection: Connection) -> int:
        file = sqlite_file(self._url)
        if file is None:
            sizes = [text(f"SELECT pg_total_relation_size('{table.name}')") for table in _tables()]
            return sum(int(connection.execute(size).scalar_one()) for size in sizes)
        parts = (file, file.with_name(f"{file.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())


def _row(kind: type[E], columns: Row[Any]) -> E:
    make: Any = kind  # a NamedTuple, which mypy does not take for a protocol with a constructor
    row: E = make(*columns[1:])
    return row


def _tables() -> list[Table]:
    return [kind.table for kind in EVENTS.values()]


def _behind(connection: Connection, table: Table, model: str) -> int:
    exported = exported_mark(connection, table, model)
    rows = select(table.c.sequence).where(table.c.model == model, table.c.sequence > exported).limit(_COUNTED)
    return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())
