"""The online store in one SQLite file: no server, any number of readers beside one writer at a time."""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.errors import OnlineStoreError
from ml_assets.features.online.codec import KnownLayouts, Packed, RecordLayout, require_entities, unpack
from ml_assets.features.online.schema import OnlineRecord, Schema, incomplete_reason
from ml_assets.storage.files import atomic_path, hold_lock

if TYPE_CHECKING:
    import pyarrow as pa

_TABLES = """
CREATE TABLE record (
    model TEXT NOT NULL, entity TEXT NOT NULL, as_of TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (model, entity)
) WITHOUT ROWID;
CREATE TABLE declared (fingerprint INTEGER PRIMARY KEY, schema TEXT NOT NULL);
CREATE TABLE finished (model TEXT PRIMARY KEY, as_of TEXT NOT NULL);
"""
_UPSERT = (
    "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET as_of = excluded.as_of, value = excluded.value "
    "WHERE excluded.as_of >= record.as_of"
)
_FINISH = (
    "INSERT INTO finished VALUES (?, ?) ON CONFLICT DO UPDATE SET as_of = excluded.as_of "
    "WHERE excluded.as_of > finished.as_of"
)
_ONE = "SELECT value FROM record WHERE model = ? AND entity = ?"
# One row for each question, in the order of the questions: the left side of a LEFT JOIN is the outer loop.
_MANY = "WITH asked (name) AS (VALUES {}) SELECT value FROM asked LEFT JOIN record ON model = ? AND entity = name"
# The sets of a folder: `churn@1a2b…`; without a LIKE, to which `_` is any letter.
_OF = "(model = ? OR substr(model, 1, instr(model, '@') - 1) = ?)"

_ENTITIES_AT_ONCE = 512
_STEP = 16  # numbers of entities are filled up to a multiple of it, so that 32 statements stay prepared
_MAPPED = 1 << 30  # bytes; a read of a hundred takes 0.6 of the time that it takes through SQLite's own cache
_WAIT = 30.0  # seconds for another writer; a transaction of ours takes a tenth of one


class SqliteStore:
    """`OnlineStore` over a file, which is made where there is none. A connection serves one read at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = KnownLayouts(self._load)
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        try:
            _require(path)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    @property
    def name(self) -> str:
        """See `OnlineStore`."""
        return f"sqlite at {self._path}"

    def write(self, schema: Schema, batches: "Iterable[pa.RecordBatch]", as_of: date) -> int:
        """See `OnlineStore`; a transaction for some thousand records, during which nobody waits for `batches`."""
        with self._writing() as connection:
            return _write(connection, schema, batches, as_of)

    def read(self, model: str, entities: Sequence[str]) -> list[OnlineRecord | None]:
        """See `OnlineStore`."""
        layouts = self._known
        return [
            None if data is None else unpack(data, entity, layouts)
            for entity, (data,) in zip(entities, self._values(model, entities), strict=False)
        ]

    def finish(self, schema: Schema, as_of: date) -> None:
        """See `OnlineStore`."""
        with self._writing() as connection:
            connection.execute(_FINISH, (schema.model, str(as_of)))

    def last_finished(self, model: str) -> date | None:
        """See `OnlineStore`."""
        rows = self._select("SELECT as_of FROM finished WHERE model = ?", (model,))
        return date.fromisoformat(rows[0][0]) if rows else None

    def loss_reason(self, model: str) -> str | None:
        """See `OnlineStore`."""
        return incomplete_reason(self.name, model) if self.last_finished(model) is None else None

    def sets(self, folder: str) -> list[str]:
        """See `OnlineStore`."""
        sql = f"SELECT DISTINCT model FROM record WHERE {_OF} UNION SELECT model FROM finished WHERE {_OF}"
        rows = self._select(sql, (folder,) * 4)
        return [model for (model,) in rows]

    def forget(self, folder: str) -> None:
        """See `OnlineStore`; in one transaction."""
        with self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("record", "finished"):
                connection.execute(f"DELETE FROM {table} WHERE {_OF}", (folder, folder))
            connection.execute("COMMIT")

    def ping(self) -> None:
        """See `OnlineStore`."""
        self._select("SELECT 1 FROM record LIMIT 1", ())

    def close(self) -> None:
        """See `OnlineStore`; a read under way ends first."""
        self._closed = True
        with suppress(IndexError):  # until none is left, whoever else takes one
            while True:
                self._idle.pop().close()

    def _values(self, model: str, entities: Sequence[str]) -> Iterable[tuple[bytes | None]]:
        """The value of each entity, in order; there may be more at the end."""
        require_entities(entities)
        if len(entities) == 1:
            return self._select(_ONE, (model, entities[0])) or [(None,)]
        starts = range(0, len(entities), _ENTITIES_AT_ONCE)
        return chain.from_iterable(self._many(model, entities[i : i + _ENTITIES_AT_ONCE]) for i in starts)

    def _many(self, model: str, entities: Sequence[str]) -> list[tuple[bytes | None]]:
        filled = -len(entities) % _STEP
        return self._select(_many(len(entities) + filled), (*entities, *repeat(entities[-1], filled), model))

    def _load(self, fingerprint: int) -> str | None:
        rows = self._select("SELECT fingerprint, schema FROM declared WHERE fingerprint = ?", (fingerprint,))
        return next((schema for _, schema in rows), None)

    def _select(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(f"PRAGMA mmap_size = {_MAPPED}")
        try:
            rows = connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            connection.close()
            raise self._error(error) from error
        self._idle.append(connection)
        if self._closed:
            self.close()
        return rows

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            # Not FULL: a power cut then loses the last moments and no more.
            with closing(self._connect("PRAGMA synchronous = NORMAL")) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _connect(self, pragma: str) -> sqlite3.Connection:
        if self._closed:
            raise self._error("it was closed")
        # mode=rw makes no empty file where the store was removed. Autocommit: a transaction is where BEGIN says so.
        # A connection is used by one thread after the other, never by two at once.
        where = f"{self._path.absolute().as_uri()}?mode=rw"
        try:
            connection = sqlite3.connect(where, _WAIT, isolation_level=None, check_same_thread=False, uri=True)
            connection.execute(pragma)
        except sqlite3.Error as error:
            raise self._error(error) from error
        return connection

    def _error(self, reason: object) -> OnlineStoreError:
        return OnlineStoreError(f"the online store {self._path}: {reason}")


@cache
def _many(entities: int) -> str:
    return _MANY.format(",".join(["(?)"] * entities))


def _write(connection: sqlite3.Connection, schema: Schema, batches: "Iterable[pa.RecordBatch]", as_of: date) -> int:
    packed = RecordLayout.of(schema).pack(batches, as_of)
    count = sum(_upsert(connection, schema, as_of, rows) for rows in packed)
    _forget(connection, schema, as_of)
    _shorten(connection)
    return count


def _upsert(connection: sqlite3.Connection, schema: Schema, as_of: date, rows: Packed) -> int:
    model, day = schema.model, str(as_of)
    connection.execute("BEGIN IMMEDIATE")  # rolled back when the connection is closed without a COMMIT
    # Each time: what another writer forgets with the last record of a set is there again with the next one.
    declared = (schema.fingerprint, schema.to_json())
    connection.execute("INSERT OR IGNORE INTO declared VALUES (?, ?)", declared)
    count = connection.executemany(_UPSERT, ((model, entity, day, data) for entity, data in rows)).rowcount
    connection.execute("COMMIT")
    return count


def _forget(connection: sqlite3.Connection, schema: Schema, as_of: date) -> None:
    """Delete what is older than it is kept: of this feature set, and of the others of its folder."""
    connection.execute("BEGIN IMMEDIATE")
    declared = [Schema.from_json(text) for (text,) in connection.execute("SELECT schema FROM declared").fetchall()]
    related = {schema, *(other for other in declared if other.folder == schema.folder)}
    for model in {other.model for other in related}:
        keep = max(other.keep for other in related if other.model == model)
        connection.execute("DELETE FROM record WHERE model = ? AND as_of < ?", (model, str(as_of - keep)))
        if not connection.execute("SELECT 1 FROM record WHERE model = ? LIMIT 1", (model,)).fetchone():
            gone = [(other.fingerprint,) for other in related if other.model == model]
            connection.executemany("DELETE FROM declared WHERE fingerprint = ?", gone)
            connection.execute("DELETE FROM finished WHERE model = ?", (model,))
    connection.execute("COMMIT")


def _shorten(connection: sqlite3.Connection) -> None:
    """Start the write-ahead log anew: readers without a pause can keep SQLite from doing so by itself."""
    connection.execute("PRAGMA busy_timeout = 1000")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _require(path: Path) -> None:
    """Make the file under another name, so that nobody meets one without its tables."""
    if path.exists():
        return
    with hold_lock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        with atomic_path(path) as part:
            for suffix in ("-wal", "-shm", "-journal"):
                part.with_name(part.name + suffix).unlink(missing_ok=True)
            with closing(sqlite3.connect(part, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_TABLES)
