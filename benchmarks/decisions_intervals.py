"""How often an interval of traffic that is shown misses the truth at one of its looks, where the truth is known."""

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from benchmarks.decisions_simulated import looks
from ml_assets.decisions.means import Batch, Moments, sequence_interval, stratified_difference
from ml_assets.decisions.rates import log_e_better, log_e_worse

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""A source of chance and a number of units → their values."""

ALPHA = 0.05
SMALLEST_SAMPLE = 1_000
BUYERS = 0.02
_CAP = 1.0
"""The 99 % quantile of what the champion's units spend: half of the 2 % that buy spend more."""
CAPPED_MEAN = BUYERS * (math.exp(0.5) * float(stats.norm.cdf(-1)) + _CAP / 2)


def score(random: np.random.Generator, units: int) -> np.ndarray:
    """Scores between 0 and 1, of mean 2/7."""
    return random.beta(2, 5, units)


def purchases(random: np.random.Generator, units: int) -> np.ndarray:
    """What each unit spends: nearly all nothing, a few much."""
    return (random.random(units) < BUYERS) * random.lognormal(0, 1, units)


def capped_purchases(random: np.random.Generator, units: int) -> np.ndarray:
    """The same with a cap, as an experiment on money declares one."""
    values: np.ndarray = np.minimum(purchases(random, units), _CAP)
    return values


def missed_ratio(seed: int, simulations: int, share: float, rate: float, ratio: float) -> float:
    """Rollouts in which the interval of the ratio of two rates misses the truth at one of 120 looks.

    An end misses exactly where the test that it is made of rejects the truth, which spares the search for the end.

    Args:
        seed: of the simulation.
        simulations: how many rollouts.
        share: the challenger's.
        rate: of the champion's bad events.
        ratio: the challenger's rate divided by it.
    """
    wrong, limit = 0, math.log(2 / ALPHA)
    for simulation in range(simulations):
        seen = looks(
            np.random.default_rng([seed, simulation]), 120, 500, lambda _: share, lambda _: (rate, rate * ratio)
        )
        wrong += any(max(log_e_worse(s, ratio), log_e_better(s, ratio)) >= limit for s, _, _ in seen)
    return wrong / simulations


def missed_mean(seed: int, simulations: int, share: float, draw: Draw, mean: float, factor: float) -> float:
    """Rollouts in which the interval of a difference of means misses the truth at one of 60 looks of 1,000 units.

    Args:
        seed: of the simulation.
        simulations: how many rollouts.
        share: the challenger's.
        draw: the champion's values.
        mean: the expectation of them.
        factor: by which the challenger's are multiplied.
    """
    truth = mean * (factor - 1)
    return sum(_misses([seed, each], share, draw, truth, factor) for each in range(simulations)) / simulations


def _misses(seed: list[int], share: float, draw: Draw, truth: float, factor: float) -> bool:
    random, batches = np.random.default_rng(seed), list[Batch]()
    for _ in range(60):
        units = int(random.binomial(1_000, share))
        values = draw(random, 1_000 - units), factor * draw(random, units)
        batches.append(Batch(*(Moments(len(v), float(v.sum()), float((v**2).sum())) for v in values)))
        if sum(each.challenger.units for each in batches) < SMALLEST_SAMPLE:
            continue
        interval = sequence_interval(stratified_difference(batches), ALPHA)
        if not interval.low <= truth <= interval.high:
            return True
    return False
