"""What is kept is what would be computed: fingerprints follow the rows and the query, date by date."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.features.store import Refreshed, describe, fingerprints, refresh
from ml_assets.features.view import View
from ml_assets_tests.conftest import Row, Shop

DAYS = [date(2025, 3, 2) + timedelta(days=7 * i) for i in range(6)]
SQL = "SELECT customer, sum(amount) AS paid FROM orders GROUP BY customer"
TICKETS = "SELECT customer, count(*) AS tickets FROM tickets GROUP BY customer"
FORTNIGHT = timedelta(days=14)


def order(day: date, amount: float = 1.0, customer: int = 1) -> Row:
    return {"customer": customer, "made_at": datetime(day.year, day.month, day.day), "amount": amount, "kind": "a"}


def ask(shop: Shop, view: View) -> Refreshed:
    return refresh(shop.lake, view, DAYS, workers=1)


def paid(shop: Shop, view: View) -> dict[date, float]:
    rows = shop.lake.query("SELECT as_of, sum(paid) AS paid FROM v GROUP BY as_of", v=view.kept).to_pylist()
    return {row["as_of"]: row["paid"] for row in rows}


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """Orders that every date sees."""
    shop.deliver("orders", [order(day - timedelta(days=i), i / 10) for day in DAYS for i in (1, 2, 3)])
    return shop


def test_a_late_row_refreshes_exactly_the_dates_that_it_touches(stocked: Shop) -> None:
    bounded, label = stocked.view(SQL, lookback=FORTNIGHT), stocked.view(SQL, "labels", horizon=FORTNIGHT)
    forever = stocked.view(SQL, "features/forever")
    assert all(ask(stocked, view).computed == tuple(DAYS) for view in (bounded, label, forever))
    assert all(ask(stocked, view).reused == tuple(DAYS) for view in (bounded, label, forever))
    before = paid(stocked, bounded)

    stocked.deliver("orders", [order(DAYS[2], 100.0)])  # at midnight: known strictly after DAYS[2]
    assert ask(stocked, bounded).computed == tuple(DAYS[3:5])
    assert ask(stocked, forever).computed == tuple(DAYS[3:])
    assert ask(stocked, label).computed == tuple(DAYS[1:3])
    after = paid(stocked, bounded)
    assert {day: after[day] - before[day] for day in DAYS if after[day] != before[day]} == pytest.approx(
        dict.fromkeys(DAYS[3:5], 100.0)
    )


def test_a_row_that_became_known_late_touches_only_the_dates_after_that(shop: Shop) -> None:
    happened = datetime(2025, 3, 1)
    shop.deliver("tickets", [{"customer": 1, "made_at": happened, "known": happened, "weight": 1.0}])
    view = shop.view(TICKETS)
    ask(shop, view)
    shop.deliver("tickets", [{"customer": 2, "made_at": happened, "known": datetime(2025, 3, 20), "weight": 1.0}])
    assert ask(shop, view).computed == tuple(day for day in DAYS if day > date(2025, 3, 20))


def test_a_changed_query_recomputes_and_a_reverted_one_finds_its_rows(stocked: Shop) -> None:
    first, same = stocked.view(SQL), stocked.view(f"-- what they paid\n{SQL.replace('SELECT', 'select  ')};\n")
    other = stocked.view(SQL.replace("sum", "2 * sum"))
    ask(stocked, first)
    assert ask(stocked, same) == ask(stocked, first)
    assert ask(stocked, same).computed == ()
    assert ask(stocked, other).computed == tuple(DAYS)
    assert paid(stocked, other) == {day: 2 * amount for day, amount in paid(stocked, first).items()}
    assert ask(stocked, first).computed == ()


def test_a_column_that_came_late_is_null_at_the_dates_before_and_touches_no_other(stocked: Shop) -> None:
    last = "QUALIFY row_number() OVER (PARTITION BY customer ORDER BY made_at DESC) = 1"
    star = stocked.view(f"SELECT * EXCLUDE (made_at) FROM orders {last}", lookback=FORTNIGHT)
    ask(stocked, star)
    stocked.deliver("orders", [order(DAYS[3], 9.0, customer=2)], coupon=pa.array([7]))
    assert ask(stocked, star).computed == tuple(DAYS[4:])
    kept = stocked.lake.query("SELECT * FROM v ORDER BY as_of, customer", v=star.kept)
    assert kept["coupon"].to_pylist() == [None] * 4 + [None, 7] * 2
    anew = [row for rows in stocked.at(star, *DAYS) for row in rows]
    assert kept.drop_columns("as_of").to_pylist() == anew


def test_another_lookback_is_another_view(stocked: Shop) -> None:
    short, long = stocked.view(SQL, lookback=timedelta(days=2)), stocked.view(SQL, lookback=FORTNIGHT)
    ask(stocked, short)
    assert ask(stocked, long).computed == tuple(DAYS)
    assert paid(stocked, short) != paid(stocked, long)


def test_the_same_files_give_the_same_digits_and_fingerprints_in_two_fresh_lakes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        shop = Shop(tmp_path / name)
        shop.deliver("orders", [order(day - timedelta(days=1), 0.1 * i, i % 3) for day in DAYS for i in range(20)])
        shop.deliver("orders", [order(day - timedelta(days=2), 1 / (i + 3), i % 3) for day in DAYS for i in range(20)])
        view = shop.view(SQL)
        refresh(shop.lake, view, DAYS, workers=2)
        rows = shop.lake.query("SELECT * FROM v ORDER BY as_of, customer", v=view.kept).to_pylist()
        found.append((rows, fingerprints(shop.lake, view, DAYS)))
    assert found[0] == found[1]


def test_a_view_over_another_follows_it(stocked: Shop) -> None:
    everybody = stocked.view("SELECT DISTINCT customer FROM orders", "population")
    label = stocked.view(
        "SELECT population.customer, coalesce(sum(amount), 0) AS paid FROM population LEFT JOIN orders "
        "USING (customer) GROUP BY population.customer",
        "labels", horizon=FORTNIGHT, views=(("population", everybody),),
    )  # fmt: skip
    ask(stocked, label)
    stocked.deliver("orders", [order(DAYS[2], 0.0, customer=2)])
    # customer 2 is a member from DAYS[3] on; the row itself is in the labels of the dates that look at it
    assert ask(stocked, label).computed == tuple(DAYS[1:])
    rows = stocked.lake.query("SELECT as_of FROM v WHERE customer = 2 ORDER BY as_of", v=label.kept).to_pylist()
    assert [row["as_of"] for row in rows] == DAYS[3:]


def test_a_date_without_rows_is_kept_too(stocked: Shop) -> None:
    view, early = stocked.view(SQL), date(2020, 1, 5)
    assert refresh(stocked.lake, view, [early]).computed == (early,)
    assert refresh(stocked.lake, view, [early]).reused == (early,)
    assert describe(stocked.lake, view, early).count == 0


def test_a_description_says_what_a_date_holds(stocked: Shop) -> None:
    view = stocked.view(SQL)
    ask(stocked, view)
    found = describe(stocked.lake, view, DAYS[0])
    assert (found.count, [column["column"] for column in found.columns]) == (1, ["paid"])
    assert float(str(found.columns[0]["mean"])) == pytest.approx(0.6)
