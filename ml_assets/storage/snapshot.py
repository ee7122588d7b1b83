"""A version of a Delta table: its schema, its files and what its writes recorded, each read once."""

import json
import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from ml_assets.storage.compaction import TableFile
from ml_assets.storage.timestamps import shift

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

# A column of times, from (inclusive; None = unbounded), to (exclusive).
Window = tuple[str, datetime | None, datetime]

_STATISTICS = timedelta(milliseconds=1)  # Delta keeps the statistics of times in milliseconds
_CHECKPOINT = re.compile(r"_delta_log/(\d{20})\.checkpoint\.parquet")
_FEW = 3  # keys that deltalake looks up one by one: each takes some milliseconds, all of them together about ten


class TableSnapshot:
    """An open version of a table. Nothing is written through it, so what it says does not change."""

    def __init__(self, table: deltalake.DeltaTable) -> None:
        self._table = table
        self.version = int(table.version())
        self._single: dict[str, int | None] = {}

    @property
    def identity(self) -> tuple[str, int]:
        """The id that the table was created with, and the version."""
        return str(self._table.metadata().id), self.version

    @property
    def partition_columns(self) -> list[str]:
        """The columns by which the table is cut into folders."""
        return self._table.metadata().partition_columns

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return schema_of(self._table)

    @cached_property
    def dataset(self) -> "Dataset":
        """The rows as an Arrow dataset."""
        return self._table.to_pyarrow_dataset()

    def is_current(self) -> bool:
        """Whether no commit came since, by one look into the log; False where the table is gone."""
        try:
            return int(self._table._table.get_latest_version()) == self.version  # noqa: SLF001 - no public name
        except DeltaError:
            return False

    def files(self, within: Window | None = None) -> list[TableFile]:
        """The files in the order of `Lake.files`; of a window those that may hold rows of it."""
        actions = self._actions if within is None else self._actions.filter(overlap(self._actions, within))
        columns = (actions[name].to_pylist() for name in ("path", "size_bytes", "modification_time"))
        return [TableFile(*row) for row in zip(*columns, strict=True)]

    def records(self, keys: Collection[str]) -> dict[str, int]:
        """The numbers that application transactions recorded, of those `keys` that have one."""
        numbers = {key: self._record(key) if len(keys) <= _FEW else self._transactions.get(key) for key in keys}
        return {key: int(number) for key, number in numbers.items() if number is not None}

    def _record(self, key: str) -> int | None:
        if key not in self._single:
            self._single[key] = self._table.transaction_version(key)
        return self._single[key]

    @cached_property
    def _actions(self) -> pa.Table:
        """What the log says of each file, in their order."""
        actions = pa.table(self._table.get_add_actions(flatten=True))
        dates = [name for name in actions.column_names if name.startswith("partition.")]
        return actions.sort_by([(name, "ascending") for name in (*dates, "modification_time", "path")])

    @cached_property
    def _transactions(self) -> dict[str, int]:
        """Every record, read from the log itself: deltalake reads the whole log anew for each key."""
        return {action["appId"]: action["version"] for action in _transaction_actions(store(self._table), self.version)}


def schema_of(table: deltalake.DeltaTable) -> pa.Schema:
    """The Arrow schema of an open table."""
    return pa.schema(table.schema().to_arrow())


def store(table: deltalake.DeltaTable) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The folder of a table, as Arrow writes and reads it."""
    from pyarrow.fs import PyFileSystem  # not at load

    return PyFileSystem(DeltaStorageHandler.from_table(table._table))  # noqa: SLF001 - deltalake's own recipe


def overlap(actions: pa.Table, within: Window) -> pa.ChunkedArray:
    """Which files may hold rows of a window; one without statistics may."""
    column, start, end = within
    low, high = (_statistic(actions, f"{which}.{column}") for which in ("min", "max"))
    last = shift(end, _STATISTICS)
    before_end = pc.fill_null(pc.less(low, pa.scalar(last)), fill_value=True)
    if start is None:
        return before_end
    first = shift(start, -_STATISTICS)
    return pc.and_(before_end, pc.fill_null(pc.greater_equal(high, pa.scalar(first)), fill_value=True))


def _statistic(actions: pa.Table, name: str) -> pa.ChunkedArray:
    kind = pa.timestamp("us")
    return actions[name].cast(kind) if name in actions.column_names else pa.nulls(len(actions), kind)


def _transaction_actions(log: Any, version: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - pyarrow has no types
    """The `txn` actions up to a version, the last of an application last (Delta protocol, "Action Reconciliation")."""
    from pyarrow import fs, parquet  # not at load

    paths = (info.path for info in log.get_file_info(fs.FileSelector("_delta_log")))
    numbers = [int(match[1]) for match in map(_CHECKPOINT.fullmatch, paths) if match]
    checkpoint = max((number for number in numbers if number <= version), default=None)
    if checkpoint is not None:
        path = f"_delta_log/{checkpoint:020}.checkpoint.parquet"
        yield from parquet.read_table(path, filesystem=log, columns=["txn"])["txn"].drop_null().to_pylist()
    for number in range(0 if checkpoint is None else checkpoint + 1, version + 1):
        with log.open_input_stream(f"_delta_log/{number:020}.json") as commit:
            lines = commit.read().splitlines()
        yield from (action["txn"] for action in map(json.loads, lines) if "txn" in action)
