"""A batch of files: read, judged, and committed in one transaction."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError
from ml_assets.ingest import ledger
from ml_assets.ingest.files import Arrival, Identity, require_content, require_unchanged
from ml_assets.ingest.readers.formats import read
from ml_assets.ingest.row_buffer import RowBuffer
from ml_assets.ingest.row_checks import check_rows
from ml_assets.ingest.row_times import RowTimes
from ml_assets.ingest.schema import Shape, fit, schema_drift
from ml_assets.ingest.schema_enforcement import QUARANTINED, enforce_schema, quarantine_rows, widen
from ml_assets.spec.source import FILE_COLUMN, POSITION, REASON, Expectation, SourceSpec

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    from ml_assets.ingest.expectations import ExpectationResult
    from ml_assets.ingest.report import SchemaDrift
    from ml_assets.storage.lake import Lake


@dataclass
class LoadedFile:
    """A file that fits the table, before it is decided what becomes of its rows.

    Args:
        rows: the rows that fit, with their number in the file.
        bad: the rows that do not: position, reason, JSON.
        held: lets go of both.
        waiting: its columns that are new to the table and hold no value.
        found: what each expectation says, once they were asked.
        replaces: the content, or contents, whose place it takes.
        attempt: how often its content was read with this; more than once only of a document that was refused.
    """

    arrival: Arrival
    sha: str
    shape: Shape
    drift: "tuple[SchemaDrift, ...]"
    rows: RowBuffer
    bad: RowBuffer
    held: ExitStack
    waiting: tuple[str, ...] = ()
    found: "list[ExpectationResult]" = field(default_factory=list)
    replaces: str = ""
    attempt: int = 1

    @property
    def record(self) -> str:
        """The key under which the table records that it holds the file."""
        return ledger.file_record(self.sha, self.attempt)


def load(
    arrival: Arrival,
    identity: Identity,
    shape: Shape | None,
    spec: SourceSpec,
    connection: "duckdb.DuckDBPyConnection",
    now: datetime,
) -> LoadedFile:
    """Read a file into the shape of the table; close it when its rows are no longer needed.

    Args:
        arrival: the file.
        identity: its content, as it was when it was looked at.
        shape: of the table; None before its first file.
        spec: the source.
        connection: where SQL is run.
        now: when it is taken, in naive UTC.

    Raises:
        DataError: the file is refused; the message names it and the remedy.
    """
    require_content(arrival)
    unfit: Counter[str] = Counter()
    with ExitStack() as resources, ExitStack() as reading:
        file = read(arrival, spec, reading)
        plan = fit(arrival.name, file, shape, spec, connection)
        if absent := [column for column in spec.key if column not in plan.sources]:
            raise DataError(f"{arrival.name}: misses column {', '.join(absent)} of the key: deliver the file with it")
        rows, bad = resources.enter_context(RowBuffer()), resources.enter_context(RowBuffer())
        for fitting, refused, counts in enforce_schema(plan, file.batches(), connection):
            admitted, barred = check_rows(fitting, spec, now, connection)
            rows.add(admitted)
            bad.add(refused)
            bad.add(barred)
            unfit.update(counts)
        if not rows.rows + bad.rows:
            raise DataError(f"{arrival.name}: holds no rows, deliver it again or remove it")
        _require_times(arrival, spec, unfit, rows, bad)
        require_unchanged(arrival, identity)
        return LoadedFile(
            arrival, identity.sha, plan.shape, schema_drift(plan, unfit), rows, bad, resources.pop_all(), plan.waiting
        )


def _require_times(arrival: Arrival, spec: SourceSpec, unfit: Counter[str], rows: RowBuffer, bad: RowBuffer) -> None:
    """Refuse a file whose times are written in another way than the source declares: it is read once that is put right.

    Raises:
        DataError: the time of no row can be read.
    """
    if not rows.rows and bad.rows in (unfit[column] for column in spec.times):
        reason = next(iter(bad))["reason"][0].as_py()
        raise DataError(f"{arrival.name}: the time of none of its {bad.rows:,} rows can be read. {reason}")


def commit(
    lake: "Lake",
    table: str,
    files: list[LoadedFile],
    spec: SourceSpec,
    connection: "duckdb.DuckDBPyConnection",
    delivered: datetime,
    announced: Mapping[str, int] | None = None,
) -> list[ledger.Entry]:
    """Write a batch: ledger, quarantine, and last the rows, in one transaction with the record of each file.

    A file whose record stands already (its ledger row was lost) is entered again and not added.

    Args:
        lake: where the tables are.
        table: the table of the rows.
        files: what is committed.
        spec: the source.
        connection: writes rows as JSON.
        delivered: when the files came, naive UTC.
        announced: records of the ledger, in one transaction with its rows.

    Raises:
        LakeError: another machine committed a batch at the same time; nothing of this one counts.
    """
    batch = ledger.last_batch(lake, table) + 1
    with ExitStack() as resources:
        quarantine = resources.enter_context(RowBuffer())
        entries = [_settle(file, batch, spec, quarantine, connection, delivered) for file in files]
        ledger.announce(lake, table, entries, announced)
        if quarantine.rows:
            lake.append(ledger.quarantine_table(table), _reader(quarantine))
        counts = lake.records(table, [file.record for file in files])
        turns = {file.sha: counts.get(file.record, 0) for file in files}
        fresh = [file for file in files if turns[file.sha] % 2 == 0]
        shape = files[-1].shape
        schema = pa.schema([*shape.schema, (FILE_COLUMN, pa.string())])
        tables = (_signed(widen(rows, shape), file) for file in fresh for rows in _accepted(file, spec))
        batches = (part for rows in tables for part in rows.to_batches())
        # A reader is never written twice, so a conflict is an error and not a second copy.
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        added = {file.record: turns[file.sha] + 1 for file in fresh}
        lake.append(table, reader, records={**added, ledger.BATCH_RECORD: batch})
    return entries


def _settle(
    file: LoadedFile,
    batch: int,
    spec: SourceSpec,
    quarantine: RowBuffer,
    connection: "duckdb.DuckDBPyConnection",
    delivered: datetime,
) -> ledger.Entry:
    """The ledger row of a file, and its quarantined rows into `quarantine`."""
    before = quarantine.rows
    for refused in file.bad:
        quarantine.add(_signed(refused, file, named=True))
    span, start = RowTimes(delivered), 0
    for rows in file.rows:
        bad = _breaking(file, rows, start, spec)
        quarantine.add(_signed(quarantine_rows(connection, rows, bad), file, named=True))
        start += rows.num_rows
    for rows in _accepted(file, spec):
        span.add(rows, spec)
    return ledger.Entry(
        sha=file.sha,
        path=file.arrival.name,
        size=file.arrival.size,
        mtime=file.arrival.mtime,
        batch=batch,
        accepted=span.accepted,
        quarantined=quarantine.rows - before,
        earliest=span.earliest,
        latest=span.latest,
        earliest_known=span.known,
        results=json.dumps(_results(file, spec)),
        drift=json.dumps([asdict(verdict) for verdict in file.drift]),
        delivered=delivered,
        reached=span.reached or (delivered if span.accepted else None),
        replaces=file.replaces,
    )


def _results(file: LoadedFile, spec: SourceSpec) -> dict[str, Any]:
    pairs = zip(spec.expectations, file.found, strict=True)
    return {
        expectation.key: {
            "success": result.success,
            "elements": result.elements,
            "unexpected": result.unexpected,
            "examples": list(result.examples),
        }
        for expectation, result in pairs
    }


def _quarantining(file: LoadedFile, spec: SourceSpec) -> "list[tuple[Expectation, ExpectationResult]]":
    pairs = zip(spec.expectations, file.found, strict=True)
    return [(expectation, result) for expectation, result in pairs if expectation.severity == "quarantine"]


def _accepted(file: LoadedFile, spec: SourceSpec) -> Iterator[pa.Table]:
    """The rows of a file that no quarantining expectation names."""
    bad = [result.rows for _, result in _quarantining(file, spec)]
    barred = np.unique(np.concatenate([np.array([], np.int64), *bad]))
    start = 0
    for rows in file.rows:
        keep = np.ones(rows.num_rows, dtype=bool)
        keep[_within(barred, start, rows.num_rows)] = False
        start += rows.num_rows
        yield rows.filter(pa.array(keep)).drop_columns([POSITION])


def _breaking(file: LoadedFile, rows: pa.Table, start: int, spec: SourceSpec) -> pa.Table:
    """Number and reason of the rows in one table of a file that a quarantining expectation names."""
    schema = pa.schema([(POSITION, pa.int64()), (REASON, pa.string())])
    tables = [schema.empty_table()]
    for expectation, result in _quarantining(file, spec):
        failing = rows.take(pa.array(_within(result.rows, start, rows.num_rows)))
        tables.append(pa.table([failing[POSITION], _reasons(expectation, failing)], schema=schema))
    return pa.concat_tables(tables)


def _reasons(expectation: Expectation, rows: pa.Table) -> pa.ChunkedArray:
    """`amount: -5 breaks expect_column_values_to_be_between(min_value=0)`, for each row."""
    own = {"column", "column_A", "column_B", "column_list", "mostly", "meta", "notes", "description"}
    arguments = ", ".join(f"{name}={value}" for name, value in expectation.kwargs.items() if name not in own)
    broken = f"{expectation.type}({arguments[:100]})"
    values = [pc.binary_join_element_wise(f"{column}: ", _text(rows[column]), "") for column in expectation.columns]
    joined = pc.binary_join_element_wise(*values, ", ")
    return pc.binary_join_element_wise(joined, f" breaks {broken}", "")


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    nested = pa.types.is_nested(column.type) or pa.types.is_binary(column.type)
    text = pa.nulls(len(column), pa.string()) if nested else column.cast(pa.string())
    return pc.utf8_slice_codeunits(pc.fill_null(text, "null"), 0, 100)


def _within(rows: "NDArray[np.int64]", start: int, count: int) -> "NDArray[np.int64]":
    """Those of the sorted `rows` of a file that lie in its table from `start`, counted from there."""
    low, high = np.searchsorted(rows, [start, start + count])
    places: NDArray[np.int64] = rows[low:high] - start
    return places


def _signed(rows: pa.Table, file: LoadedFile, *, named: bool = False) -> pa.Table:
    """`rows` with the file that they came from: its content, and for people its path."""
    signed = rows.append_column(FILE_COLUMN, pa.array([file.sha] * rows.num_rows, pa.string()))
    if not named:
        return signed
    return signed.append_column("file", pa.array([file.arrival.name] * rows.num_rows, pa.string()))


def _reader(rows: RowBuffer) -> pa.RecordBatchReader:
    schema = pa.schema([*QUARANTINED, (FILE_COLUMN, pa.string()), ("file", pa.string())])
    return pa.RecordBatchReader.from_batches(schema, (part for table in rows for part in table.to_batches()))
