"""What the rows say: the past stays, those who left are silent, and dirt and drift move what they should."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError
from ml_assets.examples.churn.observe import SCHEMAS
from ml_assets.examples.churn.simulation import Drift, Simulation, history

END = date(2025, 6, 29)
CLEAN = Simulation(end=END, customers=300, months=5, dirty=0)
DRIFT_FROM = date(2025, 3, 30)
TIMES = {
    "customers": "signed_up_at",
    "transactions": "created_at",
    "sessions": "started_at",
    "support_tickets": "opened_at",
}


@cache
def _all(simulation: Simulation, first: date | None = None) -> dict[str, pa.Table]:
    happened = [rows for _, rows in history(simulation, first=first)]
    return {source: pa.concat_tables([rows[source] for rows in happened]) for source in SCHEMAS}


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    customers=st.integers(1, 60),
    extra=st.integers(1, 12),
    drift=st.sampled_from(["none", "covariate", "concept"]),
)
def test_the_past_does_not_depend_on_the_future(seed: int, customers: int, extra: int, drift: Drift) -> None:
    """A later end, or a drift to come, gives the same rows before it."""
    short = Simulation(end=END, customers=customers, months=2, seed=seed, dirty=0.05)
    long = replace(short.until(END + timedelta(weeks=extra)), drift=drift, drift_from=END)
    for (day, rows), (same_day, same) in zip(history(short), history(long), strict=False):
        assert day == same_day
        assert rows == same


def test_a_history_can_be_entered_at_any_week() -> None:
    first = date(2025, 4, 6)
    whole = [week for week in history(CLEAN) if week[0] >= first]
    assert list(history(CLEAN, first=first)) == whole


def test_nothing_happens_after_a_cancellation_or_before_sign_up() -> None:
    rows = _all(CLEAN)
    signed_up = _moments(rows["customers"], "signed_up_at")
    bills = rows["transactions"]
    left = _moments(bills.filter(pc.equal(bills["kind"], "cancellation")), "created_at")
    assert len(left) > 20
    for source, column in TIMES.items():
        pairs = zip(rows[source]["customer_id"].to_pylist(), rows[source][column].to_pylist(), strict=True)
        for customer, moment in pairs:
            assert signed_up[customer] <= moment <= left.get(customer, moment)


def test_a_customer_cancels_once_and_keys_are_unique() -> None:
    rows = _all(CLEAN)
    bills = rows["transactions"]
    left = bills.filter(pc.equal(bills["kind"], "cancellation"))["customer_id"]
    assert len(left) == len(left.unique())
    for source, key in (
        ("customers", "customer_id"),
        ("transactions", "transaction_id"),
        ("support_tickets", "ticket_id"),
    ):
        assert len(rows[source]) == len(rows[source][key].unique())


def test_clean_rows_break_no_expectation() -> None:
    rows = _all(CLEAN)
    assert not any(rows[source]["customer_id"].null_count for source in SCHEMAS)
    assert pc.min(rows["transactions"]["amount"]).as_py() >= 0
    assert pc.min(rows["sessions"]["minutes"]).as_py() >= 0
    assert (
        0 <= pc.min(rows["sessions"]["feature_usage"]).as_py() <= pc.max(rows["sessions"]["feature_usage"]).as_py() <= 1
    )
    assert set(rows["customers"]["plan"].unique().to_pylist()) == {"basic", "plus", "pro"}


def test_values_are_missing_where_that_is_realistic() -> None:
    rows = _all(CLEAN)
    for source, column, share in (
        ("customers", "country", 0.03),
        ("customers", "channel", 0.05),
        ("sessions", "feature_usage", 0.04),
        ("support_tickets", "severity", 0.1),
    ):
        missing = rows[source][column].null_count / len(rows[source])
        assert share / 4 < missing < share * 2, column


def test_dirt_is_added_beside_the_clean_rows() -> None:
    clean, dirty = _all(CLEAN), _all(replace(CLEAN, dirty=0.02))
    for source in SCHEMAS:
        kept, seen = clean[source].to_pylist(), dirty[source].to_pylist()
        remaining = iter(seen)
        assert all(row in remaining for row in kept), "clean rows stand in their order"
    added = sum(len(dirty[source]) - len(clean[source]) for source in SCHEMAS)
    assert added == pytest.approx(0.02 * sum(map(len, clean.values())), rel=0.2)


def test_each_dirty_row_breaks_an_expectation() -> None:
    rows = _all(replace(CLEAN, dirty=0.02))
    broken = {
        "customers": pc.equal(rows["customers"]["plan"], "internal-test"),
        "transactions": pc.less(rows["transactions"]["amount"], 0),
        "sessions": pc.or_(
            pc.less(rows["sessions"]["minutes"], 0),
            pc.fill_null(pc.greater(rows["sessions"]["feature_usage"], 1), fill_value=False),
        ),
        "support_tickets": pc.fill_null(pc.equal(rows["support_tickets"]["severity"], "9"), fill_value=False),
    }
    clean = _all(CLEAN)
    for source, bad in broken.items():
        anonymous = pc.is_null(rows[source]["customer_id"])
        assert pc.sum(bad).as_py() > 0
        assert pc.sum(pc.or_(bad, anonymous)).as_py() == len(rows[source]) - len(clean[source])


def test_a_covariate_drift_moves_the_distributions() -> None:
    usual = _all(CLEAN, DRIFT_FROM)
    moved = _all(replace(CLEAN, drift="covariate", drift_from=DRIFT_FROM), DRIFT_FROM)
    assert _mean(moved["sessions"], "minutes") > 1.3 * _mean(usual["sessions"], "minutes")
    assert _mean(moved["sessions"], "feature_usage") > 0.1 + _mean(usual["sessions"], "feature_usage")
    for column, value in (("channel", "ads"), ("country", "BR")):
        assert _share(moved["customers"], column, value) > 2 * _share(usual["customers"], column, value)
    assert len(moved["customers"]) > 2 * len(usual["customers"])


def test_a_concept_drift_leaves_sign_ups_as_they_were() -> None:
    usual = _all(CLEAN, DRIFT_FROM)
    moved = _all(replace(CLEAN, drift="concept", drift_from=DRIFT_FROM), DRIFT_FROM)
    assert moved["customers"] == usual["customers"]
    assert moved["sessions"] != usual["sessions"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"end": date(2025, 6, 30)}, "end 2025-06-30 is no Sunday: the one before is 2025-06-29"),
        ({"customers": 0}, "customers 0 is out of range"),
        ({"dirty": 1.5}, "dirty 1.5 is out of range"),
        ({"drift": "sideways"}, "drift 'sideways' is unknown"),
        ({"drift": "concept"}, "give drift_from"),
        ({"since": END}, "since 2025-06-29 is not before end"),
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        replace(CLEAN, **wrong)  # type: ignore[arg-type]  # what a user may type


def test_the_history_starts_on_the_sunday_that_many_months_before_the_end() -> None:
    assert Simulation(end=date(2025, 8, 31), months=6).start == date(2025, 2, 23)
    assert Simulation(end=date(2025, 1, 5), months=12).start == date(2023, 12, 31)


def _moments(rows: pa.Table, column: str) -> dict[str, object]:
    return dict(zip(rows["customer_id"].to_pylist(), rows[column].to_pylist(), strict=True))


def _mean(rows: pa.Table, column: str) -> float:
    return float(np.nanmean(rows[column].to_numpy()))


def _share(rows: pa.Table, column: str, value: str) -> float:
    return float(pc.mean(pc.equal(rows[column], value).cast(pa.int8())).as_py())
