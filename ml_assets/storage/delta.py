"""What is read of a Delta table that `lake.py` opened, and done to it."""

import contextlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction

from ml_assets.storage import parquet
from ml_assets.storage.compaction import TableFile, due
from ml_assets.storage.timestamps import shift

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
# A column of times, from (inclusive; None = unbounded), to (exclusive).
Window = tuple[str, datetime | None, datetime]

# Every version stays readable: a run that records versions can be repeated years later.
FOREVER = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
_SHORT = dict.fromkeys(FOREVER, "interval 2 days")
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


def appending(rows: Rows, at: int) -> Callable[[Any, deltalake.CommitProperties], None]:
    """What adds rows, in their order, to a table, and may be called again after a conflict: they are written once.

    New columns can come in the same transaction through deltalake only, as one batch.

    Args:
        rows: what is added.
        at: milliseconds since 1970, which place the file among the others of its table.
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
            staged = parquet.write(_store(found), typed, at)
        found.create_write_transaction(staged, "append", schema, commit_properties=commit)

    return append


def parts(found: Any, within: Window | None = None) -> list[TableFile]:  # noqa: ANN401 - deltalake has no types
    """The files of a version, in the order of `Lake.files`; of a window those that may hold rows of it."""
    actions = pa.table(found.get_add_actions(flatten=True))
    chosen = actions if within is None else actions.filter(overlap(actions, within))
    dates = [name for name in chosen.column_names if name.startswith("partition.")]
    ordered = chosen.sort_by([(name, "ascending") for name in (*dates, "modification_time", "path")])
    columns = (ordered[name].to_pylist() for name in ("path", "size_bytes", "modification_time"))
    return [TableFile(*row) for row in zip(*columns, strict=True)]


def compact(found: Any, now: int, kept: timedelta | None) -> bool:  # noqa: ANN401 - deltalake has no types
    """Do one step of what `Lake.compact` says; whether there was one."""
    files = [] if found.metadata().partition_columns else due(parts(found), now)
    if not files:
        return False
    alone = deltalake.CommitProperties(max_commit_retries=0)
    schema = pa.schema(found.schema().to_arrow())
    with contextlib.suppress(CommitFailedError):  # another one writes: next time
        found.create_write_transaction(_gathered(found, files, now), "append", schema, commit_properties=alone)
        if kept is not None:
            _tidy(found, kept)
    return True


def _gathered(found: Any, files: Sequence[TableFile], now: int) -> list[AddAction | RemoveAction]:  # noqa: ANN401 - deltalake has no types
    """What puts one file, in the place of the last, where consecutive ones are; its rows are theirs, in their order."""
    store, schema = _store(found), pa.schema(found.schema().to_arrow())
    batches = (batch for file in files for batch in _rows_of(store, file.path, schema).to_batches())
    added = parquet.write(store, pa.RecordBatchReader.from_batches(schema, batches), files[-1].at, changes=False)
    gone = [RemoveAction(file.path, data_change=False, deletion_timestamp=now, size=file.size) for file in files]
    return [*gone, *added]


def _tidy(found: Any, kept: timedelta) -> None:  # noqa: ANN401 - deltalake has no types
    """Delete the files that no version of the last time needs, and the log of versions before."""
    held = found.metadata().configuration
    if any(held.get(name) != value for name, value in _SHORT.items()):
        found.alter.set_table_properties(_SHORT)
    found.update_incremental()  # or vacuum takes what was just committed for what a kill left
    hours = max(round(kept / timedelta(hours=1)), 0)
    found.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    found.create_checkpoint()
    found.cleanup_metadata()


def _rows_of(store: Any, path: str, schema: pa.Schema, chosen: Any = None) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A scanner of a file's rows, in their order."""
    from pyarrow import dataset  # not at load

    rows = dataset.dataset(unquote(path), schema=schema, filesystem=store, format="parquet")
    return rows.scanner(filter=chosen, use_threads=False)


def without(found: Any, column: str, values: Sequence[str], now: int) -> list[AddAction | RemoveAction]:  # noqa: ANN401 - deltalake has no types
    """What takes rows out of a table without partitions: those whose `column` is one of `values`.

    Each file that holds some is written anew in its place, which the time of its first writing says.

    Args:
        found: the open table.
        column: a column of text.
        values: of the rows that go.
        now: milliseconds since 1970.
    """
    gone = pc.field(column).isin([*values])
    store, actions, schema = _store(found), list[AddAction | RemoveAction](), pa.schema(found.schema().to_arrow())
    for file in parts(found):
        if not _rows_of(store, file.path, schema, gone).count_rows():
            continue
        actions.append(RemoveAction(file.path, data_change=True, deletion_timestamp=now, size=file.size))
        actions += parquet.write(store, _rows_of(store, file.path, schema, ~gone).to_reader(), file.at)
    return actions
