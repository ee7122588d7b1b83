"""The point-in-time join: the rows are the population's, each with what was in force."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DeclarationError
from ml_assets.features.join import dates_in_force, point_in_time
from ml_assets.features.store import refresh
from ml_assets.features.view import TimedView, View
from ml_assets_tests.conftest import Row, Shop

DAYS = [date(2025, 3, 2) + timedelta(days=7 * i) for i in range(4)]
WEEK = timedelta(days=7)
dates = st.dates(date(2025, 1, 1), date(2025, 3, 1))


def order(customer: int, day: date, amount: float = 1.0) -> Row:
    return {"customer": customer, "made_at": datetime(day.year, day.month, day.day), "amount": amount, "kind": "a"}


@given(st.lists(dates, max_size=5), st.lists(dates, max_size=8), st.timedeltas(timedelta(1), timedelta(40)))
def test_in_force_is_the_latest_computed_date_that_is_not_after_and_not_expired(
    days: list[date], computed: list[date], ttl: timedelta
) -> None:
    found = dates_in_force(days, computed, ttl)
    assert found.keys() == set(days)
    for day, chosen in found.items():
        candidates = [other for other in computed if timedelta(0) <= day - other < ttl]
        assert chosen == max(candidates, default=None)


def test_a_value_expires_when_its_ttl_has_passed() -> None:
    first = DAYS[0]
    assert dates_in_force([first + WEEK - timedelta(1), first + WEEK], [first], WEEK) == {
        first + WEEK - timedelta(1): first,
        first + WEEK: None,
    }


def everybody(shop: Shop, days: list[date] = DAYS) -> View:
    view = shop.view("SELECT DISTINCT customer FROM orders", "population")
    refresh(shop.lake, view, days)
    return view


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from(range(-3, 25))), min_size=1, max_size=12),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.sampled_from([1, 7, 8, 15, 400]),
)
def test_the_rows_are_those_of_the_population_and_the_values_those_in_force(
    orders: list[tuple[int, int]], computed: set[date], ttl: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        shop.append("orders", [order(customer, DAYS[0] + timedelta(days=at)) for customer, at in orders])
        view = shop.view("SELECT customer, count(*) AS n FROM orders GROUP BY customer", lookback=2 * WEEK)
        refresh(shop.lake, view, sorted(computed))
        used = TimedView(view, timedelta(days=ttl))
        spine = everybody(shop)
        found = point_in_time(shop.lake, spine, DAYS, [used], computed={view.table: sorted(computed)}).to_pylist()
        members = [(day, row["customer"]) for day in DAYS for row in shop.at(spine, day)[0]]
        assert [(row["as_of"], row["customer"]) for row in found] == members
        force = dates_in_force(DAYS, sorted(computed), used.ttl)
        known = {
            (day, row["customer"]): row["n"] for day in computed for row in shop.at(view, day)[0]
        }  # fmt: skip
        expected = [known.get((chosen, customer)) if (chosen := force[day]) else None for day, customer in members]
        assert [row["n"] for row in found] == expected


def test_an_entity_that_a_view_does_not_return_has_nulls_and_keeps_its_row(shop: Shop) -> None:
    shop.append("orders", [order(1, date(2025, 3, 1)), order(2, date(2025, 1, 1))])
    view = shop.view("SELECT customer, 1 AS seen, 'a' AS word FROM orders GROUP BY customer", lookback=WEEK)
    refresh(shop.lake, view, DAYS[:1])
    rows = point_in_time(shop.lake, everybody(shop), DAYS[:1], [TimedView(view, WEEK)]).to_pylist()
    assert rows == [
        {"as_of": DAYS[0], "customer": 1, "seen": 1, "word": "a"},
        {"as_of": DAYS[0], "customer": 2, "seen": None, "word": None},
    ]


def test_labels_are_joined_at_exactly_the_same_dates(shop: Shop) -> None:
    shop.append("orders", [order(1, DAYS[0] - WEEK), order(1, DAYS[1])])
    label = shop.view(
        "SELECT p.customer, count(made_at) AS label FROM p LEFT JOIN orders USING (customer) GROUP BY ALL",
        "labels", horizon=WEEK, views=(("p", everybody(shop)),),
    )  # fmt: skip
    refresh(shop.lake, label, DAYS[:3])
    rows = point_in_time(shop.lake, everybody(shop), DAYS[:3], [], label=label).to_pylist()
    assert [row["label"] for row in rows] == [0, 1, 0]


@pytest.mark.parametrize("name", ["n", "N", "label"])
def test_two_columns_of_one_name_are_refused(shop: Shop, name: str) -> None:
    shop.append("orders", [order(1, date(2025, 3, 1))])
    one, two, label = (
        shop.view(f"SELECT customer, 1 AS {column} FROM orders GROUP BY customer", table)
        for column, table in (("n", "features/one"), (name, "features/two"), ("label", "labels"))
    )
    for view in (one, two, label):
        refresh(shop.lake, view, DAYS[:1])
    used = [TimedView(one, WEEK), TimedView(two, WEEK)]
    with pytest.raises(DeclarationError, match=r"both return '[nN]'|both return 'label'"):
        point_in_time(shop.lake, everybody(shop), DAYS[:1], used, label=label)


def test_a_label_query_without_a_label_is_refused(shop: Shop) -> None:
    shop.append("orders", [order(1, date(2025, 3, 1))])
    label = shop.view("SELECT customer, 1 AS lable FROM orders GROUP BY customer", "labels")
    refresh(shop.lake, label, DAYS[:1])
    with pytest.raises(DeclarationError, match="shop/labels returns no column 'label'"):
        point_in_time(shop.lake, everybody(shop), DAYS[:1], [], label=label)
