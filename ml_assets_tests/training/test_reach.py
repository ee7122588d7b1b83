"""How far calendar and data go: what `run` does without a date, and the daemon with one."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError
from ml_assets.monitoring.verdict import next_as_of
from ml_assets.training.reach import reach
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny


def test_fresh_data_are_taken_at_the_last_date_of_the_calendar(tiny: Tiny) -> None:
    found = reach(tiny.lake, tiny.folder(), AS_OF + timedelta(days=3))
    assert (found.calendar, found.as_of, found.ended) == (AS_OF, AS_OF, False)
    assert found.last_event < AS_OF


def test_a_feed_that_is_a_week_late_delays_the_date_and_is_no_end(tiny: Tiny) -> None:
    found = reach(tiny.lake, tiny.folder(), AS_OF + timedelta(days=7))
    assert found.calendar == AS_OF + timedelta(days=7)
    assert found.as_of == AS_OF
    assert not found.ended


@settings(max_examples=30, deadline=None)
@given(days=st.integers(22, 20_000))
def test_data_that_ended_longer_ago_than_a_feature_may_be_used_have_ended(stocked_shop: Path, days: int) -> None:
    """The default ttl is 14 days; a feed may be quiet for a step of the cadence before."""
    shop = Tiny(stocked_shop)
    today = AS_OF + timedelta(days=days)
    found = reach(shop.lake, shop.folder(), today)
    late = found.calendar - found.last_event > timedelta(days=22)
    assert found.ended == late
    assert found.as_of == AS_OF, "a date whose days before are all there"
    assert next_as_of(shop.lake, shop.folder(), today) == AS_OF, "the daemon works at the same date"


def test_a_history_that_ended_in_the_middle_of_a_week_goes_to_the_date_before(tiny: Tiny) -> None:
    wednesday = datetime.combine(AS_OF, time()) + timedelta(days=3)
    tiny.deliver("orders", [{"customer": 1, "made_at": wednesday, "amount": 1.0, "kind": "a"}])
    week, folder = timedelta(days=7), tiny.folder()
    assert next_as_of(tiny.lake, folder, AS_OF + week) == AS_OF + week, "a feed may be quiet for a while"
    assert reach(tiny.lake, folder, AS_OF + week).as_of == AS_OF + week
    assert next_as_of(tiny.lake, folder, AS_OF + 60 * week) == AS_OF
    assert reach(tiny.lake, folder, AS_OF + 60 * week).as_of == AS_OF


def test_what_claims_to_happen_after_today_reaches_no_further(tiny: Tiny) -> None:
    tiny.deliver(
        "orders",
        [
            {
                "customer": 1,
                "made_at": datetime.combine(AS_OF, time()) + timedelta(days=9000),
                "amount": 1.0,
                "kind": "a",
            }
        ],
    )
    today = AS_OF + timedelta(days=3)
    assert reach(tiny.lake, tiny.folder(), today).as_of == AS_OF


def test_without_a_row_there_is_no_reach(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source shop/orders has no rows yet"):
        reach(Tiny(tmp_path).lake, Tiny(tmp_path).folder(), FIRST + timedelta(weeks=2))


def test_data_that_end_before_the_first_date_reach_none(tiny: Tiny) -> None:
    later = {"every": "weekly", "start": date(2026, 1, 4)}
    assert reach(tiny.lake, tiny.folder(cadence=later), date(2026, 12, 1)).as_of is None
