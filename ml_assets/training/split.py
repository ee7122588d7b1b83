"""The time split with embargo: which as-of dates train, test and refit a model at `T`.

───── train ─────┤   horizon (embargo)   ├─ test ─┤   horizon   ┤ T
                                                  └ last mature label
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ml_assets.errors import TrainingError


@dataclass(frozen=True)
class Split:
    """As-of dates of rows: fitted for the evaluation, tested on, and fitted for the model that ships."""

    train: tuple[date, ...]
    test: tuple[date, ...]
    refit: tuple[date, ...]


def split(dates: Sequence[date], until: date, horizon: timedelta, *, train: int, test: int) -> Split:
    """Split the as-of dates whose labels are mature at `until`.

    A training label must be known at the first test date, or the test would be told its own answer: training dates
    end a horizon before it (the embargo). The model that ships is refitted on every date from the first training
    date to the last mature one.

    Args:
        dates: the grid, in order.
        until: up to when events are known; a label of `day` is mature when `day + horizon <= until`.
        horizon: how far ahead a label looks.
        train: how many training dates at the most.
        test: how many test dates.

    Raises:
        TrainingError: history is too short for one training date.

    >>> days, week = [date(2026, 1, 4) + timedelta(weeks=week) for week in range(8)], timedelta(weeks=1)
    >>> made = split(days, until=days[-1], horizon=2 * week, train=3, test=1)
    >>> [str(day) for day in made.train], [str(day) for day in made.test]
    (['2026-01-11', '2026-01-18', '2026-01-25'], ['2026-02-08'])
    """
    mature = [day for day in dates if day + horizon <= until]
    tested = mature[-test:]
    trained = [day for day in mature if tested and day + horizon <= tested[0]][-train:]
    if not trained:
        needed = dates[0] + 2 * horizon if dates else None
        raise TrainingError(
            f"no training date: labels look {horizon.days} days ahead and events are known until {until}, so the "
            f"first model needs them until about {needed}; deliver more history, or shorten horizon"
        )
    refit = tuple(day for day in mature if day >= trained[0])
    return Split(tuple(trained), tuple(tested), refit)


def validation(train: Sequence[date], horizon: timedelta, *, dates: int) -> Split | None:
    """The same split inside the training dates, for the hyperparameter search; None where they are too few.

    The search never sees a test row, so the reported metrics are of rows that decided nothing.
    """
    tested = train[-dates:]
    fitted = tuple(day for day in train if day + horizon <= tested[0])
    return Split(fitted, tuple(tested), tuple(train)) if fitted else None
