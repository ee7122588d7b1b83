"""One DuckDB for a process: an internal error ends it for those who use it, and for nobody after them."""

import duckdb
import pytest

from ml_assets.storage.duck import memory

# DuckDB 2 cannot write so early a moment, and takes its own failure for a fault of the whole database.
_FATAL = "SELECT CAST(make_timestamp(-9223372036854775806 + range) AS VARCHAR) FROM range(3)"


def test_a_database_that_an_internal_error_ended_is_replaced() -> None:
    own = {"memory_limit": "1GiB"}  # a database of these settings is nobody else's in this process
    with memory(**own) as connection:
        with pytest.raises(duckdb.InternalException):
            connection.sql(_FATAL).fetchall()
        with pytest.raises(duckdb.FatalException):
            connection.sql("SELECT 1").fetchall()
    with memory(**own) as connection:
        assert connection.sql("SELECT 1").fetchall() == [(1,)]


def test_connections_see_nothing_of_each_other() -> None:
    with memory() as first, memory() as second:
        first.register("rows", first.sql("SELECT 1 AS x").to_arrow_table())
        with pytest.raises(duckdb.CatalogException):
            second.sql("SELECT x FROM rows").fetchall()
