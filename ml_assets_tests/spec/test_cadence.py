from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_assets.errors import DeclarationError
from ml_assets.spec.cadence import Cadence

days = st.dates(date(2020, 1, 1), date(2026, 12, 31))


@st.composite
def cadences(draw: st.DrawFn) -> Cadence:
    every = draw(st.sampled_from(["daily", "weekly", "monthly"]))
    start = draw(days)
    if every == "monthly":
        start = start.replace(day=min(start.day, 28))
    end = draw(st.none() | st.integers(0, 400).map(lambda ahead: start + timedelta(days=ahead)))
    return Cadence(every=every, start=start, end=end)


@given(cadences(), days)
def test_as_of_dates_are_a_grid_from_start_to_the_day_reached(cadence: Cadence, until: date) -> None:
    found = cadence.dates(until)
    assert all(cadence.start <= day <= min(until, cadence.end or until) for day in found)
    assert all(cadence.step(one) == two for one, two in pairwise(found))
    assert bool(found) == (cadence.start <= until)
    if found:
        assert cadence.latest(until) == found[-1]
        nxt = cadence.step(found[-1])
        assert nxt > until or (cadence.end is not None and nxt > cadence.end)
        assert all(cadence.require(day) == day for day in found[-3:])


@given(cadences(), st.integers(0, 60))
def test_dates_keep_their_weekday_or_their_day_of_the_month(cadence: Cadence, steps: int) -> None:
    day = cadence.start
    for _ in range(steps):
        day = cadence.step(day)
    if cadence.every == "monthly":
        assert (day.day, (day.year - cadence.start.year) * 12 + day.month - cadence.start.month) == (
            cadence.start.day, steps,
        )  # fmt: skip
    else:
        assert (day - cadence.start).days == steps * (7 if cadence.every == "weekly" else 1)


@pytest.mark.parametrize(
    ("every", "start", "cron"),
    [
        ("daily", date(2025, 1, 1), "0 0 * * *"),
        ("weekly", date(2025, 1, 5), "0 0 * * 0"),
        ("weekly", date(2025, 1, 6), "0 0 * * 1"),
        ("weekly", date(2025, 1, 11), "0 0 * * 6"),
        ("monthly", date(2025, 1, 28), "0 0 28 * *"),
    ],
)
def test_the_cron_line_is_midnight_of_each_as_of_date(every: Any, start: date, cron: str) -> None:
    assert Cadence(every=every, start=start).cron == cron


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"every": "monthly", "start": "2025-01-31"}, "a monthly cadence starts on a day from 1 to 28"),
        ({"start": "2025-01-05", "end": "2025-01-04"}, "end 2025-01-04 is before start 2025-01-05"),
        ({"every": "hourly", "start": "2025-01-05"}, "'daily', 'weekly' or 'monthly'"),
        ({"start": "2025-13-05"}, "date"),
        ({}, "start"),
    ],
)
def test_an_impossible_cadence_is_refused(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Cadence.model_validate(wrong)


def test_a_date_off_the_grid_is_refused_with_one_on_it() -> None:
    weekly = Cadence(every="weekly", start=date(2025, 1, 5), end=date(2025, 3, 2))
    for asked, near in (
        ("2025-01-07", "2025-01-05, then 2025-01-12"),
        ("2025-01-11", "2025-01-12, then 2025-01-05"),
        ("2024-12-01", "2025-01-05, then 2025-01-12"),
        ("2025-03-09", "2025-03-02, then 2025-02-23"),
    ):
        said = f"{asked} is not an as-of date of a weekly cadence from 2025-01-05: the nearest is {near}$"
        with pytest.raises(DeclarationError, match=said):
            weekly.require(date.fromisoformat(asked))
    with pytest.raises(DeclarationError, match=r"the nearest is 2025-01-05$"):
        Cadence(every="weekly", start=date(2025, 1, 5), end=date(2025, 1, 5)).require(date(2025, 1, 6))
    with pytest.raises(DeclarationError, match="starts at 2025-01-05, after 2025-01-04: choose an earlier start"):
        weekly.latest(date(2025, 1, 4))


def test_a_date_that_today_has_not_reached_is_refused_with_the_last_one() -> None:
    weekly, today = Cadence(every="weekly", start=date(2025, 1, 5)), date(2025, 2, 7)
    assert weekly.require(date(2025, 2, 2), today) == date(2025, 2, 2)
    with pytest.raises(DeclarationError, match=r"2025-02-09 is in the future: the last as-of date .* is 2025-02-02"):
        weekly.require(date(2025, 2, 9), today)
    with pytest.raises(DeclarationError, match=r"the nearest is 2025-02-02$"):
        weekly.require(date(2025, 2, 6), today)
