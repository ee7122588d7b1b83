"""DuckDB in memory, and names and values in its SQL: what a query needs before there is a lake."""

import contextlib
import functools
import os
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
def memory(**settings: str | bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own to DuckDB in memory, with one thread: sums of floats then do not depend on scheduling.

    What is registered and created as temporary is seen by this connection only, and gone with it. Opening a database
    takes 15 ms and a connection to one 0.3 ms, so a process has one for the same `settings`, which are DuckDB's own and
    hold for a whole database: they are given here, and no query sets one.
    An internal error of DuckDB ends the queries that run on the same database; the next connection has another one.

    >>> with memory() as connection:
    ...     connection.sql("SELECT 1 + 1").fetchall()
    [(2,)]
    """
    key = os.getpid(), tuple(sorted(settings.items()))  # a forked process must not share its parent's
    try:
        connection = _database(*key).cursor()
        connection.execute("SELECT 1").fetchall()
    except duckdb.FatalException:  # an error of DuckDB's own has ended the database: a fault of one query is not all's
        _database.cache_clear()
        connection = _database(*key).cursor()
    with connection:
        yield connection


@functools.cache
def _database(process: int, settings: tuple[tuple[str, str | bool], ...]) -> duckdb.DuckDBPyConnection:  # noqa: ARG001 - a key
    # Without the cache of files: it would fill the memory that other queries, and other libraries, need.
    database = duckdb.connect(":memory:", config={"threads": 1, "enable_external_file_cache": False})
    for name, value in settings:  # those of an extension are refused in `config`
        database.execute(f"SET GLOBAL {name} = {literal(value)}").fetchall()
    return database


def outcome(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> dict[str, str] | None:
    """The columns that a query gives, and their types; None where it names what is not there. No row is read."""
    try:
        relation = connection.sql(sql, params=dict(parameters))
    except (duckdb.BinderException, duckdb.CatalogException):
        return None
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


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
    # Named columns: a folder above the lake that looks like `key=value` is not a column of the table.
    columns = ", ".join(quote(name) for name in names)
    if places:
        columns += f", {PATH}, file_row_number AS {ROW}"
        options += f", filename = {literal(PATH)}, file_row_number = true"
    read = f"FROM read_parquet([{', '.join(map(literal, files))}], union_by_name = true, {options})"
    return f"(SELECT {columns} FROM ({read} UNION ALL BY NAME FROM {empty}))"
