"""Rows that no source may hold, whatever its declaration: of the future, outside of the calendar, without their key."""

from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.ingest.content import query_arrow
from ml_assets.ingest.schema_enforcement import QUARANTINED, quarantine_rows
from ml_assets.spec.source import POSITION, REASON
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.timestamps import FIRST, microseconds, shift

if TYPE_CHECKING:
    import duckdb

    from ml_assets.spec.source import SourceSpec


def check_rows(
    rows: pa.Table, spec: "SourceSpec", now: datetime, connection: "duckdb.DuckDBPyConnection"
) -> tuple[pa.Table, pa.Table]:
    """The rows that may be taken, and those that go to the quarantine.

    A time after `now` and the source's tolerance is a typing error or a marker for "open end"; believed, it would say
    that the feed is known up to then, or hide the row for ever. Planned dates belong into another column.

    Args:
        rows: in the shape of the table, with `_position`.
        spec: the source.
        now: when the file is taken, naive UTC.
        connection: writes reasons and rows as text.
    """
    last = shift(now, spec.tolerance)
    conditions = [_within(rows[column], FIRST, last) for column in spec.times]
    conditions += [pc.is_valid(rows[column]) for column in spec.key]
    fits = conditions[0]
    for part in conditions[1:]:
        fits = pc.and_(fits, part)
    if pc.all(fits).as_py() is not False:
        return rows, QUARANTINED.empty_table()
    refused = rows.filter(pc.invert(fits))
    future = f"is in the future (now is {now:%Y-%m-%d %H:%M} UTC, and tolerance {_days(spec)})"
    whys = [_why(column, f"> {_moment(last)}", future) for column in spec.times]
    whys += [_why(column, f"< {_moment(FIRST)}", "is before the year 1") for column in spec.times]
    whys += [
        f"CASE WHEN {quote(column)} IS NULL THEN {literal(f'{column} is null, and part of the key')} END"
        for column in spec.key
    ]
    reasons = f"SELECT {POSITION}, concat_ws('; ', {', '.join(whys)}) AS {REASON} FROM rows"
    return rows.filter(fits), quarantine_rows(connection, refused, query_arrow(connection, reasons, rows=refused))


def _within(column: pa.ChunkedArray, first: datetime, last: datetime) -> pa.ChunkedArray:
    """As numbers: Arrow's times reach further than Python's."""
    numbers = column.cast(pa.int64())
    return pc.and_(pc.greater_equal(numbers, microseconds(first)), pc.less_equal(numbers, microseconds(last)))


def _moment(moment: datetime) -> str:
    return f"make_timestamp({microseconds(moment)})"


def _why(column: str, wrong: str, why: str) -> str:
    name = quote(column)
    text = f"{literal(f'{column}: ')} || CAST({name} AS VARCHAR) || {literal(f' {why}')}"
    return f"CASE WHEN {name} {wrong} THEN {text} END"


def _days(spec: "SourceSpec") -> str:
    return str(spec.model_dump()["tolerance"])
