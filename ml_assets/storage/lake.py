"""Delta tables, and DuckDB over them. The one module that opens either.

A write and the record that it happened are one transaction: `records` are Delta's own application transactions
(`txn` actions, https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers). A write whose
records are already there is not done again, so a caller that was killed simply calls again.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import unquote

import deltalake
import pyarrow as pa
from deltalake.exceptions import DeltaError, TableNotFoundError

from ml_assets.errors import LakeError
from ml_assets.storage import delta, torn_commit
from ml_assets.storage.duck import Connect, literal, memory, number_rows, parquet_rows, quote
from ml_assets.storage.files import hold_lock
from ml_assets.storage.snapshot import TableSnapshot, Window

if TYPE_CHECKING:
    import duckdb
    from pyarrow.dataset import Dataset

Rows: TypeAlias = delta.Rows


def fingerprint_of(*parts: object) -> int:
    """A 63-bit number for parts with a stable `repr`: what a write records as what its rows are a function of."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


@dataclass(frozen=True)
class Lake:
    """Delta tables below `root`, named like asset keys: `churn/features/purchases`.

    Args:
        root: a folder, or a URL that deltalake understands.
        connect: opens an in-memory DuckDB connection for each query.
        clock: seconds since 1970, by which files are ordered.
    """

    root: str
    connect: Connect = memory
    clock: Callable[[], float] = time.time
    _snapshots: dict[tuple[str, int | None], TableSnapshot] | None = field(default=None, repr=False, compare=False)

    def session(self) -> Self:
        """This lake for one operation, which opens each version of a table once.

        An answer is the same as without a session, whoever else writes: what is shared is what was read of a version,
        and a version never changes. Which one is the newest is asked of the table's log each time, and writes open
        their table anew, so that nothing is written through what is shared.

        A session belongs to one call and ends with it: a table that is removed and made anew counts its versions from
        the start, so over a longer time a number may come to mean other rows.
        """
        return self if self._snapshots is not None else replace(self, _snapshots={})

    def version(self, table: str) -> int | None:
        """The current version of a table; None where there is no table yet."""
        snapshot = self._open(table)
        return None if snapshot is None else snapshot.version

    def identity(self, table: str) -> tuple[str, int] | None:
        """The id that a table was created with, and its current version: together they never mean other rows."""
        snapshot = self._open(table)
        return None if snapshot is None else snapshot.identity

    def record(self, table: str, key: str, version: int | None = None) -> int | None:
        """The number that the last write under `key` recorded, up to a version; None where there was none."""
        return self.records(table, [key], version).get(key)

    def records(self, table: str, keys: Sequence[str], version: int | None = None) -> dict[str, int]:
        """The recorded numbers of those `keys` that have one, up to a version; the table is opened once."""
        snapshot = self._open(table, version)
        return {} if snapshot is None else snapshot.records(keys)

    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        """Add rows (and columns that are new) in one transaction with `records`; returns the version that it made.

        Rows keep their order. Those of a reader are consumed as they come, so memory is bounded by a batch, unless
        they bring new columns. Nothing is written where all `records` stand already.
        """
        write = delta.append_rows(rows, self._now())
        return self._commit(table, write, records or {}, new=rows.schema, adds=True)

    def replace(
        self,
        table: str,
        rows: pa.Table,
        *,
        column: str = "as_of",
        values: Sequence[object],
        partitioned: bool = True,
        records: Mapping[str, int] | None = None,
        onto: int | None = None,
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `rows`, in one transaction with `records`.

        Args:
            table: its name; it need not be there.
            rows: what takes their place.
            column: by which a new table is partitioned, if it is `partitioned`.
            values: of the column; rows without one of them stay.
            partitioned: for dates, of which each is read alone.
            records: key → number.
            onto: the version that the rows were made for; None: any.

        Raises:
            LakeError: other processes changed the same partitions again and again.
            OvertakenError: the table is not at the version `onto`.
        """
        by = [column] if partitioned else None
        where = f"{quote(column)} IN ({', '.join(literal(value) for value in values)})"

        def write(current: deltalake.DeltaTable, commit: deltalake.CommitProperties) -> None:
            how: dict[str, Any] = {"mode": "overwrite", "predicate": where, "schema_mode": "merge", "partition_by": by}
            # One batch: several would be shuffled.
            deltalake.write_deltalake(current, rows.combine_chunks(), commit_properties=commit, **how)

        return self._commit(table, write, records or {}, new=rows.schema, by=by, onto=onto)

    def remove(
        self, table: str, *, column: str, values: Sequence[str], records: Mapping[str, int] | None = None
    ) -> int:
        """Take out the rows whose `column` is one of `values`, in one transaction with `records`; returns the version.

        All other rows keep their place, so that a sum of floats over them keeps its digits.

        Args:
            table: its name.
            column: a column of text.
            values: of the rows that go.
            records: key → number.

        Raises:
            LakeError: there is no such table, or other processes changed it again and again.
        """
        return self._commit(table, delta.remove_rows(column, values, self._now()), records or {})

    def compact(self, table: str, *, kept: timedelta | None = None) -> bool:
        """Write many small files of closed days as one, in their order; whether there were any. Not of dates.

        One file a call, so a call is short; none where another process commits meanwhile. `kept` is how long versions
        of before stay readable; None, where something may name them: for ever.
        """
        current, now = self._load(table), self._now()
        # deltalake counts from the machine's clock
        since = None if kept is None else kept + timedelta(seconds=time.time() - now / 1000)
        return current is not None and delta.compact(current, now, since)

    def drop(self, table: str) -> None:
        """Remove a table with all its versions; nothing where there is none."""
        import fsspec

        system, path = fsspec.core.url_to_fs(f"{self.root}/{table}")
        if self.version(table) is not None:
            system.rm(path, recursive=True)

    def files(self, table: str, version: int | None = None, *, within: Window | None = None) -> list[str]:
        """The Parquet files of a version: date by date in a table of dates, in the order in which they were written.

        `within` leaves out those that by their statistics hold no row in the window.
        """
        return self._files(self._require(table, version), table, within)

    def _files(self, snapshot: TableSnapshot, table: str, within: Window | None) -> list[str]:
        # The log keeps paths percent-encoded (Delta protocol, "Add File"); the folder is the one that we opened.
        return [f"{self.root}/{table}/{unquote(file.path)}" for file in snapshot.files(within)]

    def schema(self, table: str, version: int | None = None) -> pa.Schema:
        """The Arrow schema of a version."""
        return self._require(table, version).schema

    def dataset(self, table: str) -> "Dataset":
        """A table as an Arrow dataset: rows of one partition are read without a query, and without the others."""
        return self._require(table, None).dataset

    def relation(
        self,
        connection: "duckdb.DuckDBPyConnection",
        table: str,
        version: int | None = None,
        *,
        within: Window | None = None,
        places: bool = False,
    ) -> str:
        """A SQL relation over a version of a table, for a FROM clause on `connection`.

        Args:
            connection: where the relation is read.
            table: its name.
            version: of the table; default: the current one.
            within: a hint that lets whole files be left out; rows still have to be filtered.
            places: each row says where it lies, in the columns `PATH` and `ROW`.
        """
        snapshot = self._require(table, version)
        files, schema = self._files(snapshot, table, within), snapshot.schema
        name = f"_lake_{table}@{snapshot.version}"
        if files and "://" in files[0]:
            connection.register(name, snapshot.dataset)
            return number_rows(quote(name)) if places else quote(name)
        # The columns and their types are the table's, whatever these files hold: one may have come with a later file.
        connection.register(empty := f"{name}_empty", schema.empty_table())
        if not files:
            return number_rows(quote(empty)) if places else quote(empty)
        return parquet_rows(files, schema.names, snapshot.partition_columns, quote(empty), places=places)

    @contextlib.contextmanager
    def open(self, **tables: str) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A DuckDB connection with one view per table: `open(p="churn/features/purchases")`."""
        with self.connect() as connection:
            for name, table in tables.items():
                connection.execute(
                    f"CREATE TEMP VIEW {quote(name)} AS SELECT * FROM {self.relation(connection, table)}"
                )
            yield connection

    def query(self, sql: str, parameters: Mapping[str, object] | None = None, **tables: str) -> pa.Table:
        """The result of one query over tables, as Arrow."""
        with self.open(**tables) as connection:
            rows: pa.Table = connection.sql(sql, params=dict(parameters or {})).to_arrow_table()
            return rows

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold `name` among the processes of this machine; it is free again when its holder is killed."""
        if "://" in self.root:  # several machines: Dagster's pools keep the writers apart
            yield
            return
        with hold_lock(Path(self.root) / "_locks" / f"{name.replace('/', '.')}.lock"):
            yield

    def _now(self) -> int:
        return int(self.clock() * 1000)

    def _open(self, table: str, version: int | None = None) -> TableSnapshot | None:
        """A version of a table, by default the newest; None where there is no table."""
        shared = {} if self._snapshots is None else self._snapshots
        snapshot = shared.get((table, version))
        if snapshot is None or (version is None and not snapshot.is_current()):
            if (loaded := self._load(table, version)) is None:
                return None
            snapshot = TableSnapshot(loaded)
            shared[table, version] = shared[table, snapshot.version] = snapshot
        return snapshot

    def _require(self, table: str, version: int | None) -> TableSnapshot:
        snapshot = self._open(table, version)
        if snapshot is None:
            raise self._absent(table)
        return snapshot

    def _absent(self, table: str) -> LakeError:
        return LakeError(f"no table {table} below {self.root}: materialize the asset first")

    def _load(self, table: str, version: int | None = None) -> deltalake.DeltaTable | None:
        try:
            return deltalake.DeltaTable(f"{self.root}/{table}", version=version)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            with self.lock(f"mend/{table}"):
                torn_commit.mend(self.root, table, error)
            return self._load(table, version)

    def _create(self, table: str, new: pa.Schema | None, by: list[str] | None) -> deltalake.DeltaTable:
        if new is None:
            raise self._absent(table)
        with self.lock(f"create/{table}"):
            while (current := self._load(table)) is None:
                # Without rows: Delta lets two creations with some both succeed.
                empty = new.empty_table()
                deltalake.write_deltalake(f"{self.root}/{table}", empty, configuration=delta.NEW_TABLE, partition_by=by)
            return current

    def _commit(
        self,
        table: str,
        write: delta.Write,
        records: Mapping[str, int],
        *,
        new: pa.Schema | None = None,
        by: list[str] | None = None,
        adds: bool = False,
        onto: int | None = None,
    ) -> int:
        def opened() -> deltalake.DeltaTable:
            return self._load(table) or self._create(table, new, by)

        return delta.commit(table, opened, write, records, adds=adds, onto=onto)
