"""What is done to a Delta table that `lake.py` opened: rows added, taken out, files gathered."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from ml_assets.errors import LakeError, OvertakenError
from ml_assets.storage import parquet
from ml_assets.storage.compaction import TableFile, files_to_gather
from ml_assets.storage.snapshot import TableSnapshot, schema_of, store

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
Write: TypeAlias = Callable[[deltalake.DeltaTable, deltalake.CommitProperties], None]

# Every version stays readable: a run that records versions can be repeated years later.
FOREVER = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
# A reader opens the last checkpoint and each commit since: deltalake's own hundred make an open of 90 commits 30 ms.
NEW_TABLE = FOREVER | {"delta.checkpointInterval": "10"}
_ATTEMPTS = 60
_SHORT = dict.fromkeys(FOREVER, "interval 2 days")


def commit(
    name: str,
    opened: Callable[[], deltalake.DeltaTable],
    write: Write,
    records: Mapping[str, int],
    *,
    adds: bool = False,
    onto: int | None = None,
) -> int:
    """Call `write` until nobody comes in between, unless all records stand; returns the version that it made.

    Args:
        name: of the table, for messages.
        opened: opens the table as it is now.
        write: what is done to it, in one transaction.
        records: key → number, recorded in the same transaction.
        adds: a record that stands alone is another process's write of a part of this one.
        onto: the version that the write was made for; None: any.

    Raises:
        LakeError: other processes changed the table again and again.
        OvertakenError: the table is not at the version `onto`.
    """
    # No retries of deltalake's own: they commit on top of what others wrote, and do not say as which version.
    properties = deltalake.CommitProperties(
        max_commit_retries=0,
        app_transactions=[deltalake.Transaction(key, number) for key, number in records.items()],
    )
    for left in reversed(range(_ATTEMPTS)):
        # The table that was looked at is the one that is written: a commit in between is a conflict.
        current = opened()
        recorded, before = TableSnapshot(current).records(records), int(current.version())
        if records and recorded == dict(records):
            return before
        if onto not in (None, before):
            raise OvertakenError(f"table {name}: another process made version {before}; run again")
        if adds and (done := [key for key in recorded if recorded[key] == records[key]]):
            raise LakeError(f"table {name}: another process committed {done[0]} already; run again")
        try:
            write(current, properties)
        except CommitFailedError as error:
            if not left:
                raise LakeError(f"table {name}: another process is writing it; run again ({error})") from error
        else:
            return before + 1
    raise LakeError(f"table {name}: another process is writing it; run again")


def append_rows(rows: Rows, at: int) -> Write:
    """What adds rows, in their order, to a table, and may be called again after a conflict: they are written once.

    New columns can come in the same transaction through deltalake only, as one batch.

    Args:
        rows: what is added.
        at: milliseconds since 1970, which place the file among the others of its table.
    """
    staged: list[AddAction | RemoveAction] | None = None
    whole: pa.Table | None = None

    def append(table: deltalake.DeltaTable, commit: deltalake.CommitProperties) -> None:
        nonlocal staged, whole
        schema = schema_of(table)
        if staged is None and (whole or not set(rows.schema.names) <= set(schema.names)):
            whole = whole or (rows if isinstance(rows, pa.Table) else rows.read_all()).combine_chunks()
            deltalake.write_deltalake(table, whole, mode="append", schema_mode="merge", commit_properties=commit)
            return
        if staged is None:
            reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
            typed = reader.cast(pa.schema([schema.field(name) for name in rows.schema.names]))
            staged = [*parquet.write(store(table), typed, at)]
        table.create_write_transaction(staged, "append", schema, commit_properties=commit)

    return append


def remove_rows(column: str, values: Sequence[str], now: int) -> Write:
    """What takes rows out of a table without partitions: those whose `column`, of text, is one of `values`.

    Each file that holds some is written anew in its place, which the time of its first writing says; `now` are
    milliseconds since 1970.
    """

    def remove(table: deltalake.DeltaTable, commit: deltalake.CommitProperties) -> None:
        among = pc.field(column).isin([*values])
        folder, schema, actions = store(table), schema_of(table), list[AddAction | RemoveAction]()
        for file in TableSnapshot(table).files():
            if not _scan(folder, file.path, schema, among).count_rows():
                continue
            actions.append(RemoveAction(file.path, data_change=True, deletion_timestamp=now, size=file.size))
            actions += parquet.write(folder, _scan(folder, file.path, schema, ~among).to_reader(), file.at)
        table.create_write_transaction(actions, "append", schema, commit_properties=commit)

    return remove


def compact(table: deltalake.DeltaTable, now: int, kept: timedelta | None) -> bool:
    """Do one step of what `Lake.compact` says; whether there was one."""
    snapshot = TableSnapshot(table)
    files = [] if snapshot.partition_columns else files_to_gather(snapshot.files(), now)
    if not files:
        return False
    alone = deltalake.CommitProperties(max_commit_retries=0)
    with contextlib.suppress(CommitFailedError):  # another one writes: next time
        actions = _gathered(table, snapshot.schema, files, now)
        table.create_write_transaction(actions, "append", snapshot.schema, commit_properties=alone)
        if kept is not None:
            _tidy(table, kept)
    return True


def _gathered(
    table: deltalake.DeltaTable, schema: pa.Schema, files: Sequence[TableFile], now: int
) -> list[AddAction | RemoveAction]:
    """What puts one file, in the place of the last, where consecutive ones are; its rows are theirs, in their order."""
    folder = store(table)
    batches = (batch for file in files for batch in _scan(folder, file.path, schema).to_batches())
    added = parquet.write(folder, pa.RecordBatchReader.from_batches(schema, batches), files[-1].at, changes=False)
    gone = [RemoveAction(file.path, data_change=False, deletion_timestamp=now, size=file.size) for file in files]
    return [*gone, *added]


def _tidy(table: deltalake.DeltaTable, kept: timedelta) -> None:
    """Delete the files that no version of the last time needs, and the log of versions before."""
    configuration = table.metadata().configuration
    if any(configuration.get(name) != value for name, value in _SHORT.items()):
        table.alter.set_table_properties(_SHORT)
    table.update_incremental()  # or vacuum takes what was just committed for what a kill left
    hours = max(round(kept / timedelta(hours=1)), 0)
    table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    table.create_checkpoint()
    table.cleanup_metadata()


def _scan(folder: Any, path: str, schema: pa.Schema, among: Any = None) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A scanner of a file's rows, in their order."""
    from pyarrow import dataset  # not at load

    rows = dataset.dataset(unquote(path), schema=schema, filesystem=folder, format="parquet")
    return rows.scanner(filter=among, use_threads=False)
