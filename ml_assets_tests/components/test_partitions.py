"""Partition keys are the as-of dates that have been reached."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml_assets.components.base import partitions
from ml_assets.spec.cadence import Cadence


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["daily", "weekly", "monthly"]),
    st.dates(date(2024, 1, 1), date(2024, 12, 28)),
    st.none() | st.integers(0, 60),
    st.integers(1, 120),
)
@example("weekly", date(2025, 1, 5), None, 7)
@example("weekly", date(2025, 1, 5), 35, 7)
@example("daily", date(2024, 2, 28), 1, 30)
def test_the_keys_end_at_the_last_as_of_date_that_is_reached(
    every: str, start: date, end: int | None, later: int
) -> None:
    start = start.replace(day=min(start.day, 28))
    last = None if end is None else start + timedelta(days=end)
    cadence = Cadence.model_validate({"every": every, "start": start, "end": last})
    today = start + timedelta(days=later)
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    keys = partitions(cadence).get_partition_keys(current_time=now)
    assert keys == [str(day) for day in cadence.dates(today)]


def test_a_date_is_no_key_before_its_midnight() -> None:
    weekly = partitions(Cadence(every="weekly", start=date(2025, 1, 5)))
    almost = datetime(2025, 1, 12, tzinfo=UTC) - timedelta(seconds=1)
    assert weekly.get_partition_keys(current_time=almost) == ["2025-01-05"]
