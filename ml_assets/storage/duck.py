"""DuckDB in memory, and names and values in its SQL: what a query needs before there is a lake."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import duckdb

QueryError = duckdb.Error
Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]

PATH, ROW = "_lake_path", "_lake_row"
"""Where a row lies: the Parquet file, and its number in it."""


def quote(name: str) -> str:
    """A SQL identifier that means exactly `name`."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A SQL string literal of `value`."""
    return "'" + str(value).replace("'", "''") + "'"


@contextlib.contextmanager
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in memory, with one thread: sums of floats then do not depend on the scheduling of threads."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


def outcome(connection: duckdb.DuckDBPyConnection, sql: str, asked: Mapping[str, object]) -> dict[str, str] | None:
    """The columns that a query gives, and their types; None where it names what is not there. No row is read."""
    try:
        found = connection.sql(sql, params=dict(asked))
    except (duckdb.BinderException, duckdb.CatalogException):
        return None
    return dict(zip(found.columns, map(str, found.types), strict=True))


def number_rows(rows: str) -> str:
    """Rows of one file, or of a store whose files are not told apart, with their places in `PATH` and `ROW`."""
    return f"(SELECT *, '' AS {PATH}, row_number() OVER () AS {ROW} FROM {rows})"


def parquet_rows(
    files: Sequence[str], names: Sequence[str], dates: Sequence[str], empty: str, *, places: bool = False
) -> str:
    """A SQL relation over Parquet files of one table, in their order.

    Args:
        files: paths; at least one.
        names: the columns of the table, which a file of before a column came lacks.
        dates: those of them that folders of the form `name=date` hold.
        empty: a relation without rows that has the columns in their types.
        places: each row says where it lies, in `PATH` and `ROW`.
    """
    hive = ", ".join(f"{quote(name)}: 'DATE'" for name in dates)
    options = f"hive_partitioning = true, hive_types = {{{hive}}}" if hive else "hive_partitioning = false"
    # Named columns: a folder above the lake that looks like `key=value` is no column of the table.
    columns = ", ".join(quote(name) for name in names)
    if places:
        columns += f", {PATH}, file_row_number AS {ROW}"
        options += f", filename = {literal(PATH)}, file_row_number = true"
    read = f"FROM read_parquet([{', '.join(map(literal, files))}], union_by_name = true, {options})"
    return f"(SELECT {columns} FROM ({read} UNION ALL BY NAME FROM {empty}))"
