"""What is read of a Delta table that `lake.py` opened, and done to it."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction

from ml_assets import parquet
from ml_assets.moments import shift

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
# A column of times, from (inclusive; None = unbounded), to (exclusive).
Window = tuple[str, datetime | None, datetime]

_STATISTICS = timedelta(milliseconds=1)  # Delta keeps the statistics of times in milliseconds


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


def records(found: Any, keys: Collection[str]) -> dict[str, int]:  # noqa: ANN401 - deltalake has no types
    """The numbers that application transactions recorded, of those `keys` that have one."""
    numbers = {key: found.transaction_version(key) for key in keys}
    return {key: int(number) for key, number in numbers.items() if number is not None}


def _store(found: Any) -> Any:  # noqa: ANN401 - deltalake has no types
    """The folder of a table, as Arrow writes and reads it."""
    from pyarrow.fs import PyFileSystem  # not at load

    return PyFileSystem(DeltaStorageHandler.from_table(found._table))  # noqa: SLF001 - deltalake's own recipe


def appending(rows: Rows) -> Callable[[Any, deltalake.CommitProperties], None]:
    """What adds rows, in their order, to a table, and may be called again after a conflict: they are written once.

    New columns can come in the same transaction through deltalake only, as one batch.
    """
    staged: list[AddAction] | None = None
    whole: pa.Table | None = None

    def append(found: Any, commit: deltalake.CommitProperties) -> None:  # noqa: ANN401 - deltalake has no types
        nonlocal staged, whole
        schema = pa.schema(found.schema().to_arrow())
        if staged is None and (whole or not set(rows.schema.names) <= set(schema.names)):
            whole = whole or (rows if isinstance(rows, pa.Table) else rows.read_all()).combine_chunks()
            deltalake.write_deltalake(found, whole, mode="append", schema_mode="merge", commit_properties=commit)
            return
        if staged is None:
            reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
            typed = reader.cast(pa.schema([schema.field(name) for name in rows.schema.names]))
            staged = parquet.write(_store(found), typed)
        found.create_write_transaction(staged, "append", schema, commit_properties=commit)

    return append


def without(found: Any, column: str, values: Sequence[str]) -> list[AddAction | RemoveAction]:  # noqa: ANN401 - deltalake has no types
    """What takes rows out of a table without partitions: those whose `column` is one of `values`.

    Each file that holds some is written anew in its place, which the time of its first writing says.
    """
    from pyarrow import dataset  # not at load

    gone = pc.field(column).isin([*values])
    store, now, actions = _store(found), int(time.time() * 1000), list[AddAction | RemoveAction]()
    schema = pa.schema(found.schema().to_arrow())
    for file in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        rows = dataset.dataset(unquote(file["path"]), schema=schema, filesystem=store, format="parquet")
        if not rows.count_rows(filter=gone):
            continue
        kept = rows.scanner(filter=~gone, use_threads=False).to_reader()
        actions.append(RemoveAction(file["path"], data_change=True, deletion_timestamp=now, size=file["size_bytes"]))
        actions += parquet.write(store, kept, file["modification_time"])
    return actions
