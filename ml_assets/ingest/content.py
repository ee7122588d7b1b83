"""What a file holds, whatever its format: the columns, and its rows batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.errors import DataError

if TYPE_CHECKING:
    import duckdb

BATCH = 250_000
"""Rows in memory at once, about, of a table of up to 32 columns: a batch of text is 8 MB."""

COLUMNS = 5_000
"""The columns that a file may have."""

_CELLS = 32 * BATCH


def batch_rows(columns: int) -> int:
    """How many rows of a file with so many columns are read at once."""
    return max(1, min(BATCH, _CELLS // max(columns, 1)))


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Args:
        schema: the columns; text files have strings only.
        batches: reads the file from its start.
        rows: how many there are, as a second reader counts them; None where there is no second one.
        text: the types of the columns are not known from the file.
        quoted: columns of a JSON file that hold strings, and so no numbers.
        mixed: those of `quoted` that hold numbers as well.
        undecided: columns that hold no value and say no type.
    """

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    rows: int | None = None
    text: bool = False
    quoted: frozenset[str] = frozenset()
    mixed: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()


def require_names(file: str, names: list[str]) -> None:
    """Refuse columns that cannot be told apart or named in a query.

    Raises:
        DataError: too many of them, one without a name or with a character that no query can hold, or two of one name.
    """
    if len(names) > COLUMNS:
        raise DataError(f"{file}: has {len(names):,} columns and a file may have {COLUMNS:,}: deliver it in parts")
    by_casefold: dict[str, str] = {}
    for name in names:
        if not name.strip():
            raise DataError(f"{file}: a column has no name, give each one a name")
        if bad := next((sign for sign in name if sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff"), None):
            raise DataError(f"{file}: column {name!r} has the character {bad!r} in its name, rename it")
        key = name.casefold()
        if key in by_casefold:
            raise DataError(f"{file}: columns {by_casefold[key]!r} and {name!r} have one name, rename one")
        by_casefold[key] = name


def query_arrow(connection: "duckdb.DuckDBPyConnection", sql: str, **tables: pa.Table) -> pa.Table:
    """The result of a query over Arrow tables, in their order."""
    for name, rows in tables.items():
        connection.register(name, rows)
    try:
        result: pa.Table = connection.sql(sql).to_arrow_table()
        return result
    finally:
        for name in tables:
            connection.unregister(name)


def map_columns(
    connection: "duckdb.DuckDBPyConnection", expression: str, columns: Sequence[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    """A SQL expression of `c` over several columns of one type and length.

    They are one long column to DuckDB, which needs as long to plan an expression as to run it over thousands of rows.
    """
    if not columns:
        return []
    whole = pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)
    results = query_arrow(connection, f"SELECT {expression} AS c FROM rows", rows=pa.table({"c": whole}))["c"]
    rows = len(columns[0])
    return [results.slice(nr * rows, rows) for nr in range(len(columns))]
