"""The rows of a file in the shape of a table; those that do not fit, with the reason."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.duck import literal, quote
from ml_assets.sources.casts import cast, kind_of, named
from ml_assets.sources.formats import arrow
from ml_assets.sources.spec import POSITION, REASON

if TYPE_CHECKING:
    import duckdb

    from ml_assets.sources.schema import Fit, Shape

QUARANTINED = pa.schema([("position", pa.int64()), ("reason", pa.string()), ("row", pa.string())])
"""What the quarantine says of a row: its number in the file from 1, why, and the row as JSON."""


def conform(
    plan: "Fit", batches: Iterable[pa.RecordBatch], connection: "duckdb.DuckDBPyConnection"
) -> Iterator[tuple[pa.Table, pa.Table, dict[str, int]]]:
    """The rows of a file, batch by batch, in the shape of the table.

    Yields:
        The rows that fit, with their number in the file (`_position`, from 1); those that do not, as
        `position`, `reason` and `row` (JSON of what was delivered); and the count of unfit values by column.
    """
    done = 0
    sql, counts = _rows_sql(plan), _counts_sql(plan)
    for batch in batches:
        numbers = pa.array(np.arange(done + 1, done + 1 + batch.num_rows))
        raw = pa.Table.from_batches([batch]).append_column(POSITION, numbers)
        done += batch.num_rows
        rows = arrow(connection, sql, rows=raw)
        unfit = pc.is_valid(rows[REASON])
        fitting = rows.filter(pc.invert(unfit)).drop_columns([REASON])
        bad = rows.filter(unfit).select([POSITION, REASON])
        found = arrow(connection, counts, rows=raw).to_pylist()[0] if bad.num_rows else {}
        yield (
            widen(fitting, plan.shape, POSITION),
            quarantined(connection, raw, bad),
            {column: count for column, count in found.items() if count},
        )


def widen(rows: pa.Table, shape: "Shape", *more: str) -> pa.Table:
    """`rows` with the columns of `shape` in its order, null where they had none, then the columns `more`."""
    columns = [
        rows[name].cast(type_) if name in rows.column_names else pa.nulls(rows.num_rows, type_)
        for name, type_ in shape.fields.items()
    ]
    return pa.table([*columns, *(rows[name] for name in more)], names=[*shape.fields, *more])


def quarantined(connection: "duckdb.DuckDBPyConnection", rows: pa.Table, bad: pa.Table) -> pa.Table:
    """The rows of the quarantine: `position`, `reason`, and the row as JSON.

    Args:
        connection: DuckDB.
        rows: all rows, with `_position`.
        bad: `_position` and `_reason` of those to take; several reasons of a row are joined.
    """
    named = ", ".join(f"{quote(name)} := r.{quote(name)}" for name in rows.column_names if name != POSITION)
    sql = f"""
        SELECT b.position, b.reason, CAST(to_json(struct_pack({named})) AS VARCHAR) AS row
        FROM (SELECT {POSITION} AS position, string_agg({REASON}, '; ' ORDER BY {REASON}) AS reason
              FROM bad GROUP BY {POSITION}) b
        JOIN rows r ON r.{POSITION} = b.position ORDER BY b.position"""
    if not bad.num_rows:
        return QUARANTINED.empty_table()
    found = arrow(connection, sql, rows=rows, bad=bad)
    return found.cast(QUARANTINED)


def _present(column: str, source: pa.DataType, target: pa.DataType) -> str:
    name = quote(column)
    if kind_of(source) == "string" and kind_of(target) != "string":
        return f"coalesce(trim({name}) <> '', false)"
    return f"coalesce(NOT isnan({name}), false)" if kind_of(source) == "double" else f"{name} IS NOT NULL"


def _unfit(plan: "Fit", column: str, value: str) -> str:
    return f"({_present(column, plan.sources[column], plan.shape.fields[column])} AND {value} IS NULL)"


def _casts(plan: "Fit") -> str:
    casts = [f"{cast(c, s, plan.shape.fields[c])} AS {quote(f'{c} cast')}" for c, s in plan.sources.items()]
    return f"(SELECT *, {', '.join(casts)} FROM rows)"


def _changing(plan: "Fit") -> list[str]:
    return [column for column, source in plan.sources.items() if source != plan.shape.fields[column]]


def _rows_sql(plan: "Fit") -> str:
    """The cast values, and why a row does not fit: null where it does."""
    values = ", ".join(f"{quote(f'{column} cast')} AS {quote(column)}" for column in plan.sources)
    unfit = [f"CASE WHEN {_unfit(plan, c, quote(f'{c} cast'))} THEN {_why(plan, c)} END" for c in _changing(plan)]
    timeless = [
        f"CASE WHEN NOT {_present(c, plan.sources[c], target)} THEN {literal(f'{c} is null')} END"
        for c, target in plan.shape.fields.items()
        if c in plan.times
    ]
    reason = f"nullif(concat_ws('; ', {', '.join([*unfit, *timeless])}), '')"
    return f"SELECT {POSITION}, {values}, {reason} AS {REASON} FROM {_casts(plan)}"


def _counts_sql(plan: "Fit") -> str:
    counts = [f"count(*) FILTER (WHERE {_unfit(plan, c, quote(f'{c} cast'))}) AS {quote(c)}" for c in _changing(plan)]
    return f"SELECT {', '.join(counts) or '0 AS none'} FROM {_casts(plan)}"


def _why(plan: "Fit", column: str) -> str:
    value = f"left(CAST({quote(column)} AS VARCHAR), 100)"
    shown = f"chr(39) || {value} || chr(39)" if kind_of(plan.sources[column]) == "string" else value
    return f"{literal(f'{column}: ')} || {shown} || {literal(f' is no {named(plan.shape.fields[column])}')}"
