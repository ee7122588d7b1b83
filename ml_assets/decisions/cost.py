"""The cost of a retraining policy over history: how far it stayed behind the best one, date by date."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

Series = Sequence[float | None]

_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Cost:
    """A policy against the best of those that were compared.

    Args:
        lost: the area between the pointwise best and this policy, in metric x weeks, never below 0.
        best: at how many dates no other policy did better.
    """

    lost: float
    best: int


def costs(values: Mapping[str, Series], weeks: Sequence[float], direction: int) -> dict[str, Cost]:
    """Each policy's cost against the pointwise best: at each date, whichever of the compared policies did best there.

    The dynamic regret of Zinkevich (2003), Online Convex Programming and Generalized Infinitesimal Gradient Ascent,
    with each date weighed by how long its decision stood. The pointwise best is not a policy that anybody could have
    followed: nobody knew that day which one would do best. It is the bound that no compared policy passes, so an area
    is never negative, and it depends on which policies are compared.

    >>> compared = costs({"weekly": [0.8, 0.6], "never": [0.7, 0.7]}, weeks=[1, 2], direction=1)
    >>> {name: (round(cost.lost, 3), cost.best) for name, cost in compared.items()}
    {'weekly': (0.2, 1), 'never': (0.1, 1)}

    Args:
        values: policy → its realised metric at each date, None where there is none.
        weeks: for how many weeks the decision of each date stood.
        direction: 1 where a larger metric is better, -1 where a smaller one is.

    Raises:
        ValueError: a policy has another number of dates than there are.
    """
    if wrong := [name for name, series in values.items() if len(series) != len(weeks)]:
        raise ValueError(f"{wrong[0]} has {len(values[wrong[0]])} values for {len(weeks)} dates: pass one for each")
    best = [_best(column, direction) for column in zip(*values.values(), strict=True)]
    return {name: _cost(series, best, weeks, direction) for name, series in values.items()}


def spans(dates: Sequence[date], after: date) -> list[float]:
    """For how many weeks the decision of each date stood: up to the next one, the last one up to `after`."""
    ends = [*dates[1:], after]
    return [(end - day) / _WEEK for day, end in zip(dates, ends, strict=True)]


def _best(column: Series, direction: int) -> float | None:
    values = [value for value in column if value is not None]
    return max(values, key=lambda value: direction * value, default=None)


def _cost(series: Series, best: Series, weeks: Sequence[float], direction: int) -> Cost:
    pairs = [
        (direction * (top - value), span)
        for value, top, span in zip(series, best, weeks, strict=True)
        if value is not None and top is not None
    ]
    lost = math.fsum(behind * span for behind, span in pairs)
    return Cost(lost, sum(behind <= 0 for behind, _ in pairs))
