"""Rates of bad events in two variants: an exact test that may be looked at as often as one likes.

Given that a bad event fell on a unit, it fell on the challenger with probability s·θ / (s·θ + 1 - s), where s is the
challenger's share and θ the ratio of the two rates, whatever the rate did over time (Lindon & Malek, "Anytime-valid
inference for multinomial count data", NeurIPS 2022). A mixture of likelihood ratios over θ is an e-process: under "θ
is at most θ₀" it exceeds 1/α at any look with probability α at the most (Ville's inequality). Each unit counts once,
at its first bad event.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_POINTS = 64
_LONGEST = math.log(20.0)
_SPREAD = 0.5
"""The mixture: 64 log ratios up to ln 20, weighted by a half normal of this spread."""
_WIDEST = math.log(1e9)


@dataclass(frozen=True)
class RateStage:
    """Units with a bad event while the challenger's share stood still.

    Args:
        events: units with a bad event in both variants.
        challenger_events: those of them that the challenger had.
        share: the challenger's share of the units, between 0 and 1, both excluded.
    """

    events: int
    challenger_events: int
    share: float

    def __post_init__(self) -> None:
        """Refuse what cannot have been counted."""
        if not 0 <= self.challenger_events <= self.events:
            message = f"{self.challenger_events} of {self.events} events cannot be the challenger's"
            raise ValueError(message)
        if not 0 < self.share < 1:
            message = f"a share of {self.share} compares nothing: it lies between 0 and 1"
            raise ValueError(message)


@dataclass(frozen=True)
class RatioBounds:
    """The challenger's rate divided by the champion's: the estimate of this look, and ends that hold at all looks."""

    estimate: float
    low: float
    high: float


def log_e_worse(stages: Sequence[RateStage], ratio: float = 1.0) -> float:
    """Evidence that the challenger's rate is more than `ratio` times the champion's: the logarithm of an e-value.

    >>> round(log_e_worse([RateStage(events=100, challenger_events=18, share=0.1)]), 9)
    2.1642013
    """
    return _log_e(stages, ratio, 1.0)


def log_e_better(stages: Sequence[RateStage], ratio: float = 1.0) -> float:
    """Evidence that the challenger's rate is less than `ratio` times the champion's: the logarithm of an e-value."""
    return _log_e(stages, ratio, -1.0)


def bound_ratio(stages: Sequence[RateStage], alpha: float) -> RatioBounds:
    """The ratio of the rates; each end misses the truth at some look with probability `alpha` at the most.

    Without an event nothing is known: the estimate is 1, the ends are 0 and infinity.
    """
    limit = math.log(1 / alpha)
    low = _crossing(lambda log_ratio: log_e_worse(stages, math.exp(log_ratio)) - limit)
    high = -_crossing(lambda log_ratio: log_e_better(stages, math.exp(-log_ratio)) - limit)
    return RatioBounds(_estimate(stages), math.exp(low), math.exp(high))


def log_e_slower(at_quantiles: Sequence[Sequence[RateStage]]) -> float:
    """Evidence that the challenger is slower: the logarithm of the mean of one e-value for each limit of latency.

    A mean of e-values is an e-value, whatever their dependence (Vovk & Wang, "E-values: calibration, combination and
    applications", Annals of Statistics 2021).

    Args:
        at_quantiles: for each limit (the champion's own p50, p95, p99 before the rollout) the stages in which a slow
            answer is the event; the challenger's latency is divided by the tolerance before it is compared.
    """
    logs = [log_e_worse(stages) for stages in at_quantiles]
    return _log_sum_exp(np.array(logs)) - math.log(len(logs))


def log_e_above(events: int, trials: int, rate: float) -> float:
    """Evidence that events are more frequent than `rate`: the logarithm of an e-value, by the same mixture.

    Args:
        events: how many of the trials had one.
        trials: all of them.
        rate: between 0 and 1.

    >>> round(log_e_above(20, 1_000, 0.01), 6) > 0 > round(log_e_above(10, 1_000, 0.01), 6)
    True
    """
    log_ratios, log_weights = _mixture()
    possible = rate * np.exp(log_ratios) < 1
    log_ratios, exponents = log_ratios[possible], log_weights[possible].copy()
    exponents += events * log_ratios
    exponents += (trials - events) * (np.log1p(-rate * np.exp(log_ratios)) - np.log1p(-rate))
    return _log_sum_exp(exponents) if len(exponents) else 0.0


def log_e_disagreeing(disagreeing: int, compared: int, expected: float) -> float:
    """Evidence that two versions disagree more often than `expected`: the logarithm of an e-value.

    Args:
        disagreeing: units for which both versions answered and decided differently.
        compared: units for which both answered.
        expected: the rate of disagreement that is tolerated, between 0 and 1.
    """
    return log_e_worse([RateStage(compared, disagreeing, expected)])


def log_e_below(events: int, units: int, rate: float) -> float:
    """Evidence that a share of units with an event is below `rate`, by itself: the logarithm of an e-value.

    The likelihood ratio against `rate`, mixed evenly over all rates below it (Robbins, "Statistical methods related to
    the law of the iterated logarithm", 1970). It needs no event: nothing in 2,000 units speaks against one in 200.

    Args:
        events: units with the event.
        units: all units, with and without it.
        rate: between 0 and 1.

    >>> round(math.exp(log_e_below(events=0, units=1_000, rate=0.005)), 1)
    29.8
    """
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    without = max(units, events) - events
    exponents = events * np.log(shares) + without * (np.log1p(-rate * shares) - math.log1p(-rate))
    return _log_sum_exp(exponents) - math.log(_POINTS)


def _log_e(stages: Sequence[RateStage], ratio: float, sign: float) -> float:
    """The mixture, over `ln ratio + sign · λ`, of likelihood ratios against `ln ratio`, multiplied over the stages."""
    log_ratios, log_weights = _mixture()
    exponents = log_weights.copy()
    for stage in stages:
        odds = math.log(stage.share / (1 - stage.share)) + math.log(ratio)
        alternative = odds + sign * log_ratios
        # ln q = -ln(1 + e^-x) and ln(1 - q) = -ln(1 + e^x), which do not overflow
        exponents += stage.challenger_events * (np.logaddexp(0, -odds) - np.logaddexp(0, -alternative))
        exponents += (stage.events - stage.challenger_events) * (np.logaddexp(0, odds) - np.logaddexp(0, alternative))
    return _log_sum_exp(exponents)


@cache
def _mixture() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The log ratios of the mixture and the logarithms of their weights, which add up to 1."""
    log_ratios = (np.arange(_POINTS) + 0.5) * _LONGEST / _POINTS
    log_weights = -0.5 * (log_ratios / _SPREAD) ** 2
    return log_ratios, log_weights - _log_sum_exp(log_weights)


def _log_sum_exp(exponents: NDArray[np.float64]) -> float:
    highest = exponents.max()
    return float(highest + np.log(np.exp(exponents - highest).sum()))


def _estimate(stages: Sequence[RateStage]) -> float:
    """The ratio under which the challenger's events are as many as expected: the maximum of the likelihood."""
    events, of_challenger = sum(each.events for each in stages), sum(each.challenger_events for each in stages)
    if events == 0:
        return 1.0
    if of_challenger in {0, events}:
        return 0.0 if of_challenger == 0 else math.inf

    def surplus(log_ratio: float) -> float:
        odds = (math.exp(log_ratio) * each.share / (1 - each.share) for each in stages)
        return of_challenger - sum(each.events * o / (1 + o) for each, o in zip(stages, odds, strict=True))

    return math.exp(_crossing(surplus))


def _crossing(falling: Callable[[float], float]) -> float:
    """The log ratio at which a falling function reaches 0; minus infinity where it is below everywhere."""
    from scipy import optimize  # definitions load this module: scipy takes a second of theirs

    if falling(-_WIDEST) <= 0:
        return -math.inf
    return float(optimize.brentq(falling, -_WIDEST, _WIDEST, xtol=1e-12, rtol=1e-14))
