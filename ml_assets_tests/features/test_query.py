"""What a query may say. The walk over DuckDB's own catalogue keeps the list honest when DuckDB grows."""

import contextlib
import re
import time
from datetime import datetime

import pytest

from ml_assets.errors import DeclarationError
from ml_assets.features.query import FeatureQuery, _check_node, _parse, _walk, check
from ml_assets.storage.duck import QueryError, memory, quote

SOURCES = ["orders", "tickets"]


def checked(sql: str) -> FeatureQuery:
    return check(sql, SOURCES, where="shop/view.sql")


def refused(sql: str) -> str:
    with pytest.raises(DeclarationError) as found:
        checked(sql)
    return str(found.value)


def functions(where: str) -> list[str]:
    with memory() as connection:
        rows = connection.execute(
            f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {where} ORDER BY ALL"
        ).fetchall()
    return [name for (name,) in rows if str(name).isidentifier()]


def let_through(sql: str, kind: str) -> list[str]:
    """Which calls of one query pass the check; each on its own would take a DuckDB connection."""
    passed = []
    for node in _walk(_parse(sql, "walk")):
        if node.get("type") == kind:
            name = (node["function"] if kind == "TABLE_FUNCTION" else node)["function_name"]
            with contextlib.suppress(DeclarationError):
                _check_node(node, "walk")
                passed.append(str(name))
    return passed


def test_no_function_that_duckdb_calls_inconsistent_is_let_through() -> None:
    volatile = functions("function_type = 'scalar' AND stability <> 'CONSISTENT'")
    assert len(volatile) > 20
    assert let_through(f"SELECT {', '.join(f'{name}()' for name in volatile)}", "FUNCTION") == []


def test_no_function_without_arguments_gives_another_result_at_another_time() -> None:
    names = functions("function_type IN ('scalar', 'macro') AND len(parameters) = 0")
    allowed = let_through(f"SELECT {', '.join(f'{name}()' for name in names)}", "FUNCTION")
    assert "pi" in allowed
    first = answers(allowed)
    time.sleep(0.002)
    assert answers(allowed) == first


def answers(names: list[str]) -> dict[str, str]:
    """What a fresh connection says to each call; the error where it says nothing."""
    found = {}
    with memory() as connection:
        for name in names:
            try:
                found[name] = repr(connection.execute(f"SELECT {name}()").fetchall())
            except QueryError as error:
                found[name] = type(error).__name__
    return found


def test_no_table_function_but_ranges_and_unnest_is_let_through() -> None:
    names = functions("function_type IN ('table', 'table_macro', 'pragma')")
    assert len(names) > 50
    allowed = let_through(f"SELECT * FROM {', '.join(f'{quote(name)}()' for name in names)}", "TABLE_FUNCTION")
    assert sorted(allowed) == ["generate_series", "range", "unnest"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT current_timestamp AS x",
        "SELECT CURRENT_DATE AS x",
        "SELECT localtimestamp AS x",
        "SELECT Now() AS x",
        "SELECT pg_catalog.now() AS x",
        "SELECT current_localtimestamp() AS x",
        "SELECT age(TIMESTAMP '2025-01-01') AS x",
        "SELECT (SELECT today()) AS x",
        "SELECT customer FROM orders ORDER BY random()",
        "SELECT list_transform([1], lambda x: random()) AS x",
        "SELECT count(*) FILTER (WHERE random() > 0.5) AS x FROM orders",
        "SELECT sum(amount) OVER (ORDER BY now()) AS x FROM orders",
        "WITH a AS (SELECT uuid() AS x) SELECT * FROM a",
        "SELECT customer FROM orders WHERE made_at < now() - INTERVAL 1 DAY",
    ],
)
def test_the_clock_and_chance_are_refused_wherever_they_hide(sql: str) -> None:
    assert "$as_of" in refused(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders USING SAMPLE 5",
        "SELECT * FROM orders TABLESAMPLE 10%",
        "SELECT * FROM orders AT (VERSION => 1)",
    ],
)
def test_samples_and_time_travel_are_refused(sql: str) -> None:
    assert "the engine chooses the rows" in refused(sql)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM 'x.csv'", "'x.csv', which is not a source"),
        ("SELECT * FROM read_parquet('x.parquet')", "read_parquet(): a query reads declared sources only"),
        ("SELECT * FROM main.orders", "another schema"),
        ("SELECT * FROM information_schema.tables", "another schema"),
        ("SELECT * FROM temp.main.orders", "another schema"),
        ("SELECT * FROM ordres", "did you mean 'orders'?"),
        ("SELECT * FROM zebra", "declared are orders, tickets"),
        ('SELECT * FROM (WITH "a.csv" AS (SELECT 1) FROM "a.csv") AS one, "a.csv"', "'a.csv'"),
    ],
)
def test_a_query_reads_declared_names_only(sql: str, words: str) -> None:
    assert words in refused(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1 AS a; SELECT 2 AS b",
        "INSERT INTO orders VALUES (1)",
        "CREATE TABLE a AS SELECT 1",
        "COPY orders TO 'x.csv'",
        "ATTACH 'x.db'",
        "SET threads = 4",
        "PRAGMA version",
        "CALL pragma_version()",
        "SHOW TABLES",
        "DESCRIBE orders",
        "SUMMARIZE orders",
        "SELECT * FROM (SHOW ALL TABLES)",
        "SELEC 1",
    ],
)
def test_anything_but_one_select_is_refused_by_the_name_of_its_file(sql: str) -> None:
    message = refused(sql)
    assert re.match(r"shop/view\.sql(:1)? ", message)
    assert "SELECT" in message


@pytest.mark.parametrize("parameter", ["$until", "$1", "?"])
def test_the_only_parameter_is_the_as_of_date(parameter: str) -> None:
    assert "the only one is $as_of" in refused(f"SELECT {parameter} AS x")


def test_a_query_names_what_it_reads_and_a_with_query_is_no_source() -> None:
    found = checked(
        "WITH a AS (SELECT customer FROM orders WHERE made_at < $as_of) "
        "SELECT customer FROM a WHERE customer IN (SELECT customer FROM tickets)"
    )
    assert (found.relations, found.parameters) == (("orders", "tickets"), ("as_of",))


def test_layout_comments_and_the_case_of_keywords_mean_nothing_but_a_number_does() -> None:
    one = checked("SELECT customer, sum(amount) AS paid FROM orders GROUP BY customer")
    same = checked("-- money\nselect customer,\n  SUM(amount) AS paid\nfrom orders /* all */ group by customer;\n")
    other = checked("SELECT customer, sum(amount) + 1 AS paid FROM orders GROUP BY customer")
    assert one.meaning == same.meaning != other.meaning


def test_what_is_checked_runs() -> None:
    query = checked("SELECT date_trunc('month', $as_of) AS month").sql
    with memory() as connection:
        assert connection.execute(query, {"as_of": datetime(2025, 3, 9)}).fetchall() == [(datetime(2025, 3, 1),)]  # noqa: DTZ001 - the lake's times are naive UTC


_HIDDEN = "(SELECT max(sql) FROM sqlite_master) AS x"
_LEAKS = {
    "a subquery beside it": f"SELECT customer, {_HIDDEN} FROM orders, "
    "(WITH sqlite_master AS (SELECT 1 AS one) SELECT one FROM sqlite_master)",
    "before it": "WITH a AS (SELECT * FROM sqlite_master), sqlite_master AS (SELECT 1 AS one) SELECT * FROM a",
    "in itself": "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
    "another branch": "(WITH sqlite_master AS (SELECT 1 AS one) SELECT one FROM sqlite_master) "
    "UNION ALL SELECT sql FROM sqlite_master",
    "the start of a recursion": "WITH RECURSIVE sqlite_master AS (SELECT sql FROM sqlite_master "
    "UNION ALL SELECT sql FROM sqlite_master) SELECT * FROM sqlite_master",
    "within another WITH": "WITH a AS (WITH sqlite_master AS (SELECT 1 AS one) SELECT * FROM sqlite_master) "
    "SELECT * FROM a, sqlite_master",
    "in a condition": "SELECT customer FROM orders WHERE EXISTS (WITH sqlite_master AS (SELECT 1 AS one) "
    "SELECT * FROM sqlite_master) AND amount < (SELECT count(*) FROM sqlite_master)",
    "in quotation marks": 'SELECT * FROM "SQLITE_MASTER", (WITH sqlite_master AS (SELECT 1 AS one) SELECT 1)',
}


@pytest.mark.parametrize("where", _LEAKS)
def test_a_name_of_with_hides_nothing_outside_of_its_scope(where: str) -> None:
    assert "which is not a source" in refused(_LEAKS[where])


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT customer FROM orders), b AS (SELECT * FROM a) SELECT * FROM b",
        "WITH a AS (SELECT customer FROM orders) SELECT * FROM (WITH b AS (SELECT * FROM a) SELECT * FROM b)",
        "WITH a AS (SELECT customer FROM orders) SELECT (SELECT max(customer) FROM a) AS x FROM orders",
        "WITH a AS (SELECT customer FROM orders) SELECT * FROM a UNION ALL SELECT * FROM a",
        "WITH A AS (SELECT customer FROM orders) SELECT * FROM a",
        'WITH "A" AS (SELECT customer FROM orders) SELECT * FROM a',
        "WITH orders AS (SELECT * FROM orders WHERE amount > 1) SELECT customer FROM orders",
        "WITH RECURSIVE a AS (SELECT 1 AS n FROM orders UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT * FROM a",
        "SELECT customer FROM orders WHERE customer IN (WITH a AS (SELECT customer FROM orders) SELECT * FROM a)",
    ],
)
def test_a_name_of_with_is_read_wherever_it_is_in_scope(sql: str) -> None:
    assert checked(sql).relations == ("orders",)


def test_a_source_that_a_name_of_with_hides_is_not_read() -> None:
    assert checked("WITH tickets AS (SELECT customer FROM orders) SELECT * FROM tickets").relations == ("orders",)
