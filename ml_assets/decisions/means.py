"""Means of two variants (score, value, loss): a difference whose interval may be looked at as often as one likes.

Sums are taken batch by batch (one a look), so a mean that moves while the share grows is not taken for a difference of
the variants. The interval is the asymptotic confidence sequence of Waudby-Smith et al., "Time-uniform central limit
theory and asymptotic confidence sequences" (2023). Its standard error is the larger one of Welch's and the pooled one:
with few units in the challenger and a skewed value Welch's alone is far too small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from ml_assets.decisions.interval import Interval

TUNED_FOR = 5_000
"""The number of units at which the interval is the narrowest."""


@dataclass(frozen=True)
class Moments:
    """Units of a variant in a batch: how many, the sum of their values, the sum of their squares."""

    units: int
    total: float
    squares: float

    def __add__(self, other: Self) -> Self:
        """The moments of both."""
        return type(self)(self.units + other.units, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """The mean value of a unit."""
        return self.total / self.units

    @property
    def deviations(self) -> float:
        """The sum of squared deviations from the mean."""
        return self.squares - self.total**2 / self.units


@dataclass(frozen=True)
class Batch:
    """The units of one look, in both variants; each has at least one."""

    champion: Moments
    challenger: Moments

    @property
    def weight(self) -> float:
        """What the batch weighs in the difference: the harmonic size of its two samples."""
        return self.champion.units * self.challenger.units / (self.champion.units + self.challenger.units)


@dataclass(frozen=True)
class Difference:
    """The challenger's mean minus the champion's, with its standard error, from so many units in all."""

    estimate: float
    error: float
    units: int


def stratified_difference(batches: Sequence[Batch]) -> Difference:
    """The difference of the means within batches, weighted by their sizes.

    Raises:
        ValueError: fewer units than a variance within batches needs.

    >>> batch = Batch(Moments(9000, 90000.0, 1125000.0), Moments(1000, 9700.0, 120000.0))
    >>> round(stratified_difference([batch]).error, 12)
    0.169452124183
    """
    weights = [batch.weight for batch in batches]
    champion = _variance_within([batch.champion for batch in batches])
    challenger = _variance_within([batch.challenger for batch in batches])
    pooled = _variance_within([batch.champion + batch.challenger for batch in batches])
    of_champion = sum(w * w / batch.champion.units for w, batch in zip(weights, batches, strict=True))
    of_challenger = sum(w * w / batch.challenger.units for w, batch in zip(weights, batches, strict=True))
    variance = max(challenger * of_challenger + champion * of_champion, pooled * (of_challenger + of_champion))
    effects = (w * (batch.challenger.mean - batch.champion.mean) for w, batch in zip(weights, batches, strict=True))
    units = sum(batch.champion.units + batch.challenger.units for batch in batches)
    return Difference(sum(effects) / sum(weights), math.sqrt(variance) / sum(weights), units)


def rate_difference(champion_events: int, champion_units: int, events: int, units: int) -> Difference:
    """The difference of the shares of units that had an event, by the variance p(1 - p) of a unit.

    Args:
        champion_events: the champion's units with the event.
        champion_units: all of the champion's units.
        events: the challenger's units with the event.
        units: all of the challenger's units.
    """
    old, new = champion_events / champion_units, events / units
    both = (champion_events + events) / (champion_units + units)
    welch = new * (1 - new) / units + old * (1 - old) / champion_units
    pooled = both * (1 - both) * (1 / units + 1 / champion_units)
    return Difference(new - old, math.sqrt(max(welch, pooled)), champion_units + units)


def sequence_interval(
    difference: Difference, alpha: float, tuned_for: int = TUNED_FOR, *, tuning: float | None = None
) -> Interval:
    """The interval that holds the true difference at all looks with probability 1 - `alpha`.

    Args:
        difference: as it is seen now.
        alpha: probability that it misses the truth at some look.
        tuned_for: units at which it is the narrowest.
        tuning: the level that it is the narrowest for; None: `alpha`.
    """
    half = difference.error * _two_sided(difference.units, alpha, tuned_for, tuning or alpha)
    return Interval(difference.estimate, difference.estimate - half, difference.estimate + half)


def sequence_bounds(difference: Difference, alpha: float, tuned_for: int = TUNED_FOR) -> Interval:
    """Two ends of which each holds at all looks with probability 1 - `alpha`: use one of them."""
    half = difference.error * _one_sided(difference.units, alpha, tuned_for)
    return Interval(difference.estimate, difference.estimate - half, difference.estimate + half)


def sequence_p_value(difference: Difference, alpha: float, tuned_for: int = TUNED_FOR) -> float:
    """A p-value that may be looked at at any time: below `alpha` where `sequence_interval` leaves 0 out."""
    return math.exp(min(0.0, -sequence_log_e(difference, alpha, tuned_for)))


def sequence_log_e(difference: Difference, tuning: float, tuned_for: int = TUNED_FOR) -> float:
    """The logarithm of the e-value that there is no difference, at all looks.

    It is at least ln(1/a) where the interval of `sequence_interval` at level `a`, with the same tuning, leaves 0 out.

    Args:
        difference: as it is seen now.
        tuning: the level for which it grows the fastest.
        tuned_for: units at which it does.
    """
    x = _tuning(tuning) * difference.units / tuned_for
    return (difference.estimate / difference.error) ** 2 * x / (1 + x) / 2 - math.log1p(x) / 2


def fixed_interval(difference: Difference, alpha: float) -> Interval:
    """The interval of one look that was declared beforehand: by the normal distribution."""
    half = difference.error * -NormalDist().inv_cdf(alpha / 2)
    return Interval(difference.estimate, difference.estimate - half, difference.estimate + half)


def _variance_within(moments: Sequence[Moments]) -> float:
    freedom = sum(each.units for each in moments) - len(moments)
    if freedom < 1:
        message = f"{len(moments)} batches of one unit each have no variance within"
        raise ValueError(message)
    return max(0.0, sum(each.deviations for each in moments)) / freedom


def _tuning(alpha: float) -> float:
    return -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))


def _two_sided(units: int, alpha: float, tuned_for: int, tuning: float) -> float:
    x = _tuning(tuning) * units / tuned_for
    return math.sqrt((1 + 1 / x) * (math.log(1 + x) - 2 * math.log(alpha)))


def _one_sided(units: int, alpha: float, tuned_for: int) -> float:
    x = _tuning(2 * alpha) * units / tuned_for
    return math.sqrt(2 * (1 + 1 / x) * math.log(1 + math.sqrt(1 + x) / (2 * alpha)))
