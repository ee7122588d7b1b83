"""How many units it takes to find an effect."""

import math
from statistics import NormalDist


def units_for_rates(rate: float, changed: float, alpha: float, power: float) -> int:
    """Units of each variant with which a two-sided z-test finds one rate instead of another.

    Args:
        rate: the champion's, between 0 and 1.
        changed: the rate to tell from it.
        alpha: of a false difference, two-sided.
        power: the probability of finding it.

    >>> units_for_rates(0.10, 0.11, alpha=0.04, power=0.8)
    15752
    """
    return units_for_means(changed - rate, rate * (1 - rate) + changed * (1 - changed), alpha, power)


def units_for_means(effect: float, variances: float, alpha: float, power: float) -> int:
    """Units of each variant with which a two-sided z-test finds a difference of two means.

    Args:
        effect: the difference, in the metric's unit.
        variances: of a unit's value, the two variants' added up.
        alpha: of a false difference, two-sided.
        power: the probability of finding it.

    Raises:
        ValueError: an effect of 0 is found by no number of units.
    """
    if effect == 0:
        message = "an effect of 0 cannot be found: name the smallest that matters"
        raise ValueError(message)
    quantiles = NormalDist().inv_cdf(power) - NormalDist().inv_cdf(alpha / 2)
    return math.ceil(quantiles**2 * variances / effect**2)
