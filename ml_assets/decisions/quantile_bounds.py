"""A quantile of latency with ends that hold at all looks. For display: decisions count answers that are too slow."""

import math

from scipy import special

_ETA, _POWER, _DELTA = 2.0, 1.4, 0.5
"""Parameters of the stitching, as in the paper's reference implementation."""


def rank_error(quantile: float, count: int, alpha: float, tuned_for: int = 1_000) -> float:
    """By how many ranks the sample's quantile may be off, at any look with probability `alpha` at the most.

    Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification",
    Bernoulli 2022, theorem 3.

    Args:
        quantile: between 0 and 1, both excluded: 0.99 for the p99.
        count: values in the sample.
        alpha: of a miss at any time.
        tuned_for: the number of values for which the error is the smallest.

    >>> round(rank_error(0.99, 10_000, 0.05), 6)
    46.339376
    """
    size = max(count, tuned_for)
    shift = 2 * _DELTA * math.sqrt(tuned_for * _ETA / size)
    nearest = quantile if quantile >= 0.5 else min(0.5, float(special.expit(special.logit(quantile) + shift)))
    variance = nearest * (1 - nearest)
    epochs = math.sqrt(size / tuned_for) * abs(float(special.logit(quantile))) / (2 * _DELTA) + 1
    zeta = float(special.zeta(_POWER))
    log_term = _POWER * (math.log(math.log(_ETA * size / tuned_for)) + math.log(epochs))
    log_term += math.log(2 * zeta * (2 * zeta + 1) / (alpha * math.log(_ETA) ** _POWER))
    first = (_ETA**0.25 + _ETA**-0.25) / math.sqrt(2)
    second = (math.sqrt(_ETA) + 1) / 2 * (1 - 2 * quantile) / 3 * log_term
    spread = _DELTA * math.sqrt(_ETA * size * variance / tuned_for)
    return spread + math.sqrt(first**2 * variance * size * log_term + second**2) + second
