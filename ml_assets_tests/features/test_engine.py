"""The as-of engine: what is stamped `T` is a function of the rows known before `T`, and of nothing else."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import tempfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError, DeclarationError
from ml_assets_tests.conftest import Row, Shop

T = date(2025, 6, 2)
MIDNIGHT = datetime(2025, 6, 2)
ORDER = {"customer": 1, "made_at": MIDNIGHT - timedelta(days=1), "amount": 1.5, "kind": "a"}

QUERIES = [
    "SELECT customer, count(*) AS n, sum(amount) AS paid, max(made_at) < $as_of AS past FROM orders GROUP BY customer",
    "SELECT customer, avg(amount) FILTER (made_at >= $as_of - INTERVAL 7 DAY) AS week FROM orders GROUP BY customer",
    (
        "SELECT orders.customer, count(*) AS pairs, sum(weight * amount) AS mixed "
        "FROM orders JOIN tickets USING (customer) GROUP BY orders.customer"
    ),
    (
        "SELECT customer, count(DISTINCT kind) AS kinds, sum(weight) AS weight "
        "FROM orders FULL JOIN tickets USING (customer) GROUP BY customer"
    ),
    (
        "WITH ranked AS (SELECT *, row_number() OVER (PARTITION BY customer ORDER BY made_at DESC, amount, kind) AS r "
        "FROM orders) SELECT customer, amount AS last_amount, kind AS last_kind FROM ranked WHERE r = 1"
    ),
    (
        "SELECT customer, amount - lag(amount) OVER (ORDER BY made_at, customer, amount, kind) AS change FROM orders "
        "QUALIFY row_number() OVER (PARTITION BY customer ORDER BY made_at, amount, kind) = 1"
    ),
    (
        "SELECT customer, amount FROM (SELECT * FROM orders ORDER BY made_at DESC, customer, amount, kind LIMIT 3) "
        "QUALIFY row_number() OVER (PARTITION BY customer ORDER BY made_at, amount, kind) = 1"
    ),
    (
        "SELECT customer, (SELECT count(*) FROM orders) AS everybody, (SELECT max(weight) FROM tickets) AS heaviest "
        "FROM orders GROUP BY customer"
    ),
    (
        "WITH totals AS (SELECT customer, sum(amount) AS paid FROM orders GROUP BY customer) "
        "SELECT customer, paid, percent_rank() OVER (ORDER BY paid) AS rank FROM totals"
    ),
    "SELECT customer, date_diff('second', max(known), $as_of) AS since FROM tickets GROUP BY customer",
    (
        "SELECT orders.customer, min(tickets.weight) AS nearest FROM orders ASOF LEFT JOIN tickets "
        "ON orders.customer = tickets.customer AND orders.made_at >= tickets.made_at GROUP BY orders.customer"
    ),
    (
        "SELECT customer FROM orders WHERE customer NOT IN (SELECT customer FROM tickets) UNION SELECT customer "
        "FROM tickets WHERE weight > 0"
    ),
    "SELECT DISTINCT customer FROM orders ANTI JOIN tickets USING (customer)",
]

customers = st.integers(1, 4)
amounts = st.floats(-1e6, 1e6) | st.just(0.1)
# whatever a row holds that may not be seen
anything = st.none() | st.floats() | st.sampled_from([float("nan"), float("inf"), 1e308])
words = st.none() | st.sampled_from(["a", "b", "never seen", ""])
past = st.timedeltas(timedelta(microseconds=1), timedelta(days=40)).map(lambda ago: MIDNIGHT - ago)
future = st.timedeltas(timedelta(0), timedelta(days=40)).map(lambda ahead: MIDNIGHT + ahead)


def rows(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries(columns)


ORDERS = rows(customer=customers, made_at=past, amount=amounts, kind=st.sampled_from(["a", "b"]))
TICKETS = rows(customer=customers, made_at=past, known=past, weight=amounts)
LATER_ORDERS = rows(customer=st.integers(1, 6), made_at=future, amount=anything, kind=words)
LATER_TICKETS = rows(customer=st.integers(1, 6), made_at=future, known=past | future, weight=anything) | rows(
    customer=st.integers(1, 6), made_at=past, known=future, weight=anything
)


def mixed(known: Sequence[Row], later: Sequence[Row], data: st.DataObject) -> list[Row]:
    """Both in one file, the known ones in their order."""
    found = list(known)
    for row in later:
        found.insert(data.draw(st.integers(0, len(found))), row)
    return found


WORLDS = st.tuples(
    st.sampled_from(QUERIES),
    st.sampled_from([None, timedelta(days=10)]),
    st.lists(ORDERS, max_size=8),
    st.lists(TICKETS, max_size=5),
    st.lists(LATER_ORDERS, max_size=5),
    st.lists(LATER_TICKETS, max_size=5),
)


def change_no_feature(world: tuple[Any, ...], data: st.DataObject) -> None:
    sql, lookback, orders, tickets, later_orders, later_tickets = world
    with tempfile.TemporaryDirectory() as folder:
        honest, leaking = Shop(Path(folder) / "honest"), Shop(Path(folder) / "leaking")
        for source, known, later in (("orders", orders, later_orders), ("tickets", tickets, later_tickets)):
            honest.append(source, known)
            leaking.append(source, mixed(known, later[::2], data))
            leaking.append(source, later[1::2])
        expected, found = (world.at(world.view(sql, lookback=lookback), T) for world in (honest, leaking))
        assert repr(found) == repr(expected)


@settings(max_examples=25, deadline=None)
@given(WORLDS, st.data())
def test_rows_stamped_at_or_after_the_as_of_date_change_no_feature(world: tuple[Any, ...], data: st.DataObject) -> None:
    change_no_feature(world, data)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(WORLDS, st.data())
def test_no_future_of_many_changes_a_feature(world: tuple[Any, ...], data: st.DataObject) -> None:
    """The test above, with time to search."""
    change_no_feature(world, data)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(QUERIES), st.lists(ORDERS, max_size=8), st.lists(TICKETS, max_size=5), st.integers(1, 3))
def test_many_dates_in_one_call_equal_one_call_for_each(
    sql: str, orders: list[Row], tickets: list[Row], step: int
) -> None:
    days = [T - timedelta(days=10 * step * i) for i in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        shop.append("orders", orders)
        shop.append("tickets", tickets)
        view = shop.view(sql, lookback=timedelta(days=15))
        assert repr(shop.at(view, *days)) == repr([shop.at(view, day)[0] for day in days])


def moments(shop: Shop, **window: Any) -> list[float]:
    """The amounts that a view sees, where each order is one customer."""
    return [row["amount"] for row in shop.at(shop.view("SELECT customer, amount FROM orders", **window), T)[0]]


def at(*times: datetime) -> list[Row]:
    return [{**ORDER, "customer": i, "amount": float(i), "made_at": time} for i, time in enumerate(times)]


TICK = timedelta(microseconds=1)


def test_a_lookback_holds_its_first_moment_and_not_the_as_of_date(shop: Shop) -> None:
    start = MIDNIGHT - timedelta(days=7)
    shop.append("orders", at(start - TICK, start, MIDNIGHT - TICK, MIDNIGHT))
    assert moments(shop, lookback=timedelta(days=7)) == [1.0, 2.0]
    assert moments(shop) == [0.0, 1.0, 2.0]


def test_a_label_sees_the_as_of_date_and_not_the_end_of_its_horizon(shop: Shop) -> None:
    end = MIDNIGHT + timedelta(days=7)
    shop.append("orders", at(MIDNIGHT - TICK, MIDNIGHT, end - TICK, end))
    assert moments(shop, horizon=timedelta(days=7)) == [1.0, 2.0]


def test_what_is_known_only_after_the_window_is_not_in_it(shop: Shop) -> None:
    ticket = {"made_at": MIDNIGHT - TICK, "weight": 1.0}
    known = (MIDNIGHT - TICK, MIDNIGHT, MIDNIGHT + timedelta(days=7) - TICK, MIDNIGHT + timedelta(days=7), None)
    shop.append("tickets", [{**ticket, "customer": i, "known": moment} for i, moment in enumerate(known)])
    shop.append(
        "tickets", [{**ticket, "customer": i + 10, "made_at": MIDNIGHT, "known": k} for i, k in enumerate(known)]
    )
    sql = "SELECT customer FROM tickets"
    assert [row["customer"] for row in shop.at(shop.view(sql), T)[0]] == [0]
    label = shop.view(sql, "labels", horizon=timedelta(days=7))
    assert [row["customer"] for row in shop.at(label, T)[0]] == [10, 11, 12]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT customer FROM orders", "2 rows, 1 different customer, 0 null: return one row per entity"),
        ("SELECT NULL::BIGINT AS customer FROM orders LIMIT 1", "1 null"),
        ("SELECT amount FROM orders", "returns no column 'customer'"),
        ("SELECT DISTINCT customer, 1 AS as_of FROM orders", "column as_of, which the engine adds itself"),
        ("SELECT customer, max(made_at) AS last FROM orders GROUP BY ALL", "'last' as timestamp"),
        ("SELECT customer, list(amount) AS all FROM orders GROUP BY ALL", "'all' as list"),
        ("SELECT customer, max(price) AS x FROM orders GROUP BY ALL", 'Referenced column "price" not found'),
        ("SELECT customer, 18446744073709551615::UBIGINT AS h FROM orders GROUP BY ALL", "'h'"),
        ("SELECT customer, 1 AS a, 2 AS a FROM orders GROUP BY ALL", "'a'"),
    ],
)
def test_a_result_that_cannot_be_a_view_is_refused_by_name(shop: Shop, sql: str, words: str) -> None:
    shop.append("orders", [ORDER, ORDER])
    with pytest.raises(DeclarationError) as found:
        shop.at(shop.view(sql), T)
    assert "shop/features/view" in str(found.value)
    assert words in str(found.value)


def test_every_number_is_int64_or_float64_and_text_and_booleans_stay(shop: Shop) -> None:
    shop.append("orders", [ORDER])
    view = shop.view(
        "SELECT customer, 1::TINYINT AS tiny, sum(customer) AS huge, 1.5::DECIMAL(9, 2) AS price, 2::FLOAT AS small, "
        "kind, true AS yes, NULL AS nothing, 'a'::ENUM('a', 'b') AS word FROM orders GROUP BY ALL"
    )
    (row,) = shop.at(view, T)[0]
    assert row == {
        "customer": 1, "tiny": 1, "huge": 1.0, "price": 1.5, "small": 2.0, "kind": "a", "yes": True, "nothing": None,
        "word": "a",
    }  # fmt: skip


def test_a_source_without_rows_is_named(shop: Shop) -> None:
    with pytest.raises(DataError, match="source orders has no rows yet: deliver its files"):
        shop.at(shop.view(QUERIES[0]), T)


@pytest.mark.parametrize("flooded", ["orders", "tickets"])
def test_a_flood_of_the_future_changes_no_last_digit_of_a_join(flooded: str, tmp_path: Path) -> None:
    """DuckDB orders joins by the size of the files; the order of the rows is the order of a sum of floats."""
    before, after = MIDNIGHT - timedelta(hours=1), MIDNIGHT + timedelta(hours=1)
    orders: list[Row] = [
        {"customer": nr % 2, "made_at": before, "amount": 10 * sin(nr), "kind": "a"} for nr in range(12)
    ]
    tickets: list[Row] = [
        {"customer": nr % 2, "made_at": before, "known": before, "weight": sin(9 * nr)} for nr in range(9)
    ]
    later: dict[str, Row] = {
        "orders": {"customer": 1, "made_at": after, "amount": 1.0, "kind": "a"},
        "tickets": {"customer": 1, "made_at": after, "known": after, "weight": 1.0},
    }
    honest, leaking = Shop(tmp_path / "honest"), Shop(tmp_path / "leaking")
    for source, rows_ in (("orders", orders), ("tickets", tickets)):
        honest.append(source, rows_)
        leaking.append(source, rows_ + ([later[source]] * 500 if source == flooded else []))
    sql = "SELECT customer, sum(weight * amount) AS mixed FROM orders JOIN tickets USING (customer) GROUP BY customer"
    expected, found = (world.at(world.view(sql), T) for world in (honest, leaking))
    assert repr(found) == repr(expected)
