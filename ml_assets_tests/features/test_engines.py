"""Every engine gives the same rows of a view, and sees no more than it may."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

from datetime import date, datetime, timedelta

import pytest

from ml_assets.features.engine import DUCKDB, Engine
from ml_assets_tests.conftest import Shop

T = datetime(2025, 6, 2)
DAYS = [date(2025, 6, 2), date(2025, 6, 9)]
ENGINES: list[Engine] = [DUCKDB]
"""An engine that is added is held to the same."""


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: type(engine).__name__)
def test_an_engine_gives_one_row_an_entity_of_what_was_known_before_each_date(engine: Engine, shop: Shop) -> None:
    orders = [(1, T - timedelta(days=1), 1.5), (1, T - timedelta(microseconds=1), 2.0), (2, T, 4.0)]
    shop.deliver(
        "orders", [{"customer": who, "made_at": at, "amount": amount, "kind": "a"} for who, at, amount in orders]
    )
    view = shop.view("SELECT customer, sum(amount) AS paid FROM orders GROUP BY customer", lookback=timedelta(days=30))
    found = {day: rows.sort_by("customer") for day, rows in engine.compute(shop.lake, view, DAYS)}
    assert [*found] == DAYS, "in the order in which the dates were asked for"
    assert found[DAYS[0]].to_pylist() == [{"as_of": DAYS[0], "customer": 1, "paid": 3.5}]
    assert [(row["customer"], row["paid"]) for row in found[DAYS[1]].to_pylist()] == [(1, 3.5), (2, 4.0)]
    assert str(found[DAYS[0]].schema.field("as_of").type) == "date32[day]"


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: type(engine).__name__)
def test_an_engine_reads_the_versions_that_it_is_given(engine: Engine, shop: Shop) -> None:
    row = {"customer": 1, "made_at": T - timedelta(days=1), "amount": 1.0, "kind": "a"}
    shop.deliver("orders", [row])
    version = shop.lake.version("shop/raw/orders")
    assert version is not None
    shop.deliver("orders", [row | {"customer": 2}])
    view = shop.view("SELECT customer, count(*) AS n FROM orders GROUP BY customer")
    versions = {"shop/raw/orders": version}
    ((_, before),) = engine.compute(shop.lake, view, DAYS[:1], versions=versions)
    ((_, after),) = engine.compute(shop.lake, view, DAYS[:1])
    assert (before["customer"].to_pylist(), sorted(after["customer"].to_pylist())) == ([1], [1, 2])
