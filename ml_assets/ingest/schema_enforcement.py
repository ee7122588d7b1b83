"""The rows of a file in the shape of a table; those that do not fit, with the reason."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.ingest.casts import cast, is_filled, kind_of, type_name
from ml_assets.ingest.content import map_columns, query_arrow
from ml_assets.ingest.remedies import number_remedy, time_remedy
from ml_assets.ingest.stored_types import outside_calendar
from ml_assets.spec.source import POSITION, REASON
from ml_assets.storage.duck import quote

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    from ml_assets.ingest.schema import Fit, Shape

    _Places = NDArray[np.int64]

QUARANTINED = pa.schema([("position", pa.int64()), ("reason", pa.string()), ("row", pa.string())])
"""What the quarantine says of a row: its number in the file from 1, why, and the row as JSON."""

_SHOWN = 100  # characters of a value in a reason


def enforce_schema(
    plan: "Fit", batches: Iterable[pa.RecordBatch], connection: "duckdb.DuckDBPyConnection"
) -> Iterator[tuple[pa.Table, pa.Table, dict[str, int]]]:
    """The rows of a file, batch by batch, in the shape of the table.

    Yields:
        The rows that fit, with their number in the file (`_position`, from 1); those that do not, as
        `position`, `reason` and `row` (JSON of what was delivered); and the count of unfit values by column.
    """
    done = 0
    for batch in batches:
        raw = pa.Table.from_batches([batch])
        numbers = pa.chunked_array([pa.array(np.arange(done + 1, done + 1 + batch.num_rows), pa.int64())])
        done += batch.num_rows
        values = _values(plan, raw, connection)
        unfit = {column: rows for column in plan.sources if len(rows := _unfit(plan, raw[column], values, column))}
        reasons = _reasons(plan, raw, values, unfit)
        bad = pa.array(sorted(reasons), pa.int64())
        rows = pa.table([*values.values(), numbers], names=[*values, POSITION])
        keep = np.ones(batch.num_rows, dtype=bool)
        keep[bad.to_numpy()] = False
        texts = pa.array([reasons[nr] for nr in bad.to_pylist()], pa.string())
        why = pa.table([numbers.take(bad), texts], names=[POSITION, REASON])
        yield (
            widen(rows.filter(pa.array(keep)) if len(bad) else rows, plan.shape, POSITION),
            quarantine_rows(connection, raw.append_column(POSITION, numbers), why),
            {column: len(places) for column, places in unfit.items()},
        )


def widen(rows: pa.Table, shape: "Shape", *more: str) -> pa.Table:
    """`rows` with the columns of `shape` in its order, null where they had none, then the columns `more`."""
    present = set(rows.column_names)
    columns = [
        rows[name].cast(type_) if name in present else pa.nulls(rows.num_rows, type_)
        for name, type_ in shape.fields.items()
    ]
    return pa.table([*columns, *(rows[name] for name in more)], names=[*shape.fields, *more])


def quarantine_rows(connection: "duckdb.DuckDBPyConnection", rows: pa.Table, bad: pa.Table) -> pa.Table:
    """The rows of the quarantine: `position`, `reason`, and the row as JSON.

    Args:
        connection: DuckDB.
        rows: all rows, with `_position` in ascending order.
        bad: `_position` and `_reason` of those to take; several reasons of a row are joined.
    """
    if not bad.num_rows:
        return QUARANTINED.empty_table()
    reasons: dict[int, list[str]] = {}
    for position, reason in zip(bad[POSITION].to_pylist(), bad[REASON].to_pylist(), strict=True):
        reasons.setdefault(position, []).append(reason)
    positions = sorted(reasons)
    places = np.searchsorted(rows[POSITION].to_numpy(), positions)
    joined = ["; ".join(sorted(reasons[position])) for position in positions]
    rejected = rows.drop_columns([POSITION]).take(pa.array(places))
    return pa.table([positions, joined, _json(connection, rejected)], schema=QUARANTINED)


def _json(connection: "duckdb.DuckDBPyConnection", rows: pa.Table) -> pa.ChunkedArray:
    """Each row as JSON; NaN and infinity as Python writes them, times that no calendar has as their numbers."""
    columns, parts = dict[str, pa.ChunkedArray](), list[str]()
    for nr, name in enumerate(rows.column_names):
        alias, column = f"c{nr}", rows[name]
        columns[alias], expression = _on_calendar(column), alias
        if columns[alias] is not column:  # DuckDB would end over some of them, and take its connection along
            columns[f"{alias}_number"] = pc.if_else(outside_calendar(column), _numbers(column), None)
            expression = f"coalesce({alias}_number, CAST({alias} AS VARCHAR))"
        parts.append(f"{quote(name)} := {expression}")
    sql = f"SELECT CAST(to_json(struct_pack({', '.join(parts)})) AS VARCHAR) AS row FROM rows"
    return query_arrow(connection, sql, rows=pa.table(columns))["row"].cast(pa.string())


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int32() if column.type == pa.date32() else pa.int64()).cast(pa.string())


def _values(plan: "Fit", raw: pa.Table, connection: "duckdb.DuckDBPyConnection") -> dict[str, pa.ChunkedArray]:
    """The columns in the types of the table, null where a value does not fit.

    A column that has its type already never leaves Arrow; those of one type become another together.
    """
    changes: dict[tuple[pa.DataType, pa.DataType], list[str]] = {}
    for column, source in plan.sources.items():
        changes.setdefault((source, plan.shape.fields[column]), []).append(column)
    values: dict[str, pa.ChunkedArray] = {}
    for (source, target), columns in changes.items():
        if source == target:
            values |= {column: _same(raw[column]) for column in columns}
            continue
        sources = [_on_calendar(raw[column]) for column in columns]
        results = map_columns(connection, cast("c", source, target, plan.text), sources)
        values |= {column: result.cast(target) for column, result in zip(columns, results, strict=True)}
    return {column: values[column] for column in plan.sources}


def _same(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without NaN, which is missing, and without times that no calendar has."""
    if column.type == pa.float64():
        nan = pc.is_nan(column)
        return pc.if_else(nan, None, column) if pc.any(nan).as_py() else column
    return _on_calendar(column)


def _on_calendar(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without times that no calendar has; itself where it has none."""
    outside = outside_calendar(column)
    return column if outside is None else pc.if_else(outside, None, column)


def _unfit(plan: "Fit", delivered: pa.ChunkedArray, values: dict[str, pa.ChunkedArray], column: str) -> "_Places":
    """The places of values that were delivered and are no more: they do not fit the type."""
    if values[column].null_count == delivered.null_count:
        return np.array([], np.int64)
    is_lost = pc.and_(pc.is_null(values[column]), pc.is_valid(delivered))
    places: _Places = np.flatnonzero(is_lost.to_numpy())
    lost_values = delivered.take(pa.array(places))
    missing = np.zeros(len(places), dtype=bool)
    if delivered.type == pa.float64():
        missing = pc.is_nan(lost_values).to_numpy()
    elif delivered.type == pa.string() and plan.shape.fields[column] != pa.string():
        missing = np.array([not is_filled(value) for value in lost_values.to_pylist()])
    unfit: _Places = places[~missing.astype(bool)]
    return unfit


def _reasons(plan: "Fit", raw: pa.Table, values: dict[str, pa.ChunkedArray], unfit: dict[str, Any]) -> dict[int, str]:
    """Why rows do not fit, by their place in the batch."""
    reasons: dict[int, list[str]] = {}
    for column, places in unfit.items():
        delivered = raw[column].take(pa.array(places))
        for place, value in zip(places.tolist(), _shown(delivered), strict=True):
            reasons.setdefault(place, []).append(_why(plan, column, value))
    for column in plan.times:
        missing = np.flatnonzero(pc.is_null(values[column]).to_numpy())
        for place in np.setdiff1d(missing, unfit.get(column, [])).tolist():
            reasons.setdefault(place, []).append(f"{column} is null")
    return {place: "; ".join(each) for place, each in reasons.items()}


def _shown(values: pa.ChunkedArray) -> list[str]:
    if kind_of(values.type) == "string":
        return [f"'{value[:_SHOWN]}'" for value in values.to_pylist()]
    return [value[:_SHOWN] for value in values.cast(pa.string()).to_pylist()]


def _why(plan: "Fit", column: str, value: str) -> str:
    target = plan.shape.fields[column]
    kind = kind_of(target)
    reason = f"{column}: {value} is not {'an' if kind == 'integer' else 'a'} {type_name(target)}"
    text = value.strip("'")
    if kind in ("timestamp", "date"):
        return reason + time_remedy(text)
    return reason + (number_remedy(column, text) if kind in ("integer", "double") else "")
