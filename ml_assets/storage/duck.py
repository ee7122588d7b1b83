"""DuckDB in memory, and names and values in its SQL: what a query needs before there is a lake."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import duckdb

QueryError = duckdb.Error
Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


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
