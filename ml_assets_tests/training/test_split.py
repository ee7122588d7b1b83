"""The time split: nobody is told the answer before the question."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.errors import TrainingError
from ml_assets.spec.cadence import Cadence
from ml_assets.training.split import Split, split, validation

START = date(2024, 1, 7)
WEEKLY = Cadence(every="weekly", start=START)
steps = st.sampled_from([1, 7, 30])


def grid(step: int, count: int) -> list[date]:
    return [START + timedelta(days=step * i) for i in range(count)]


@given(steps, st.integers(0, 60), st.integers(0, 900), st.integers(1, 120), st.integers(1, 30), st.integers(1, 8))
def test_the_windows_keep_their_order_the_embargo_and_maturity(
    step: int, count: int, known: int, horizon: int, train: int, test: int
) -> None:
    dates, until, ahead = grid(step, count), START + timedelta(days=known), timedelta(days=horizon)
    mature = [day for day in dates if day + ahead <= until]
    try:
        found = split(dates, until, ahead, train=train, test=test)
    except TrainingError:
        assert not any(day + ahead <= first for first in mature[-test:][:1] for day in mature)
        return
    assert found.test == tuple(mature[-test:])
    assert max(found.train) + ahead <= min(found.test)
    assert 1 <= len(found.train) <= train
    assert found.refit == tuple(day for day in mature if day >= found.train[0])
    assert {*found.train, *found.test} <= {*found.refit}
    # none that could have trained was left out
    left = [day for day in mature if day < found.train[0] and day + ahead <= found.test[0]]
    assert len(found.train) == train or not left


@given(steps, st.integers(1, 30), st.integers(1, 60), st.integers(1, 6))
def test_a_validation_lies_inside_the_training_dates_and_keeps_the_embargo(
    step: int, count: int, horizon: int, dates: int
) -> None:
    train, ahead = grid(step, count), timedelta(days=horizon)
    found = validation(train, ahead, dates=dates)
    if found is None:
        assert train[0] + ahead > train[-dates:][0]
        return
    assert isinstance(found, Split)
    assert max(found.train) + ahead <= min(found.test)
    assert {*found.train, *found.test} <= {*train}
    assert found.refit == tuple(train)


def test_more_history_never_moves_the_test_back() -> None:
    ahead = timedelta(days=28)
    tests = [
        split(WEEKLY.dates(until), until, ahead, train=4, test=2).test
        for until in (date(2024, 6, 2) + timedelta(days=i) for i in range(30))
    ]
    assert tests == sorted(tests)


def test_too_little_history_says_from_when_on_it_is_enough() -> None:
    with pytest.raises(TrainingError, match="needs them until about 2024-03-03; deliver more history, or shorten"):
        split(WEEKLY.dates(date(2024, 2, 1)), date(2024, 2, 1), timedelta(days=28), train=4, test=1)
    needed = date(2024, 3, 3)
    assert split(WEEKLY.dates(needed), needed, timedelta(days=28), train=4, test=1).train == (START,)
