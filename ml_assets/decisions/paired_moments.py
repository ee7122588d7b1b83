"""Two values of each unit: means that a covariate makes sharper (CUPED), and ratios of sums."""

import math
from dataclasses import dataclass
from typing import Self

from ml_assets.decisions.means import Difference


@dataclass(frozen=True)
class PairedMoments:
    """Units of a variant with two values each: how many, the sums, the sums of squares, the sum of products.

    Args:
        units: how many.
        y: the sum of the first value: the outcome, or a ratio's numerator.
        yy: of its squares.
        x: the sum of the second value: the covariate, or a ratio's denominator.
        xx: of its squares.
        xy: of the products.
    """

    units: int
    y: float
    yy: float
    x: float
    xx: float
    xy: float

    def __add__(self, other: Self) -> Self:
        """The moments of both."""
        pairs = zip(self._sums(), other._sums(), strict=True)
        return type(self)(self.units + other.units, *(mine + theirs for mine, theirs in pairs))

    def _sums(self) -> tuple[float, float, float, float, float]:
        return self.y, self.yy, self.x, self.xx, self.xy

    @property
    def variance_of_y(self) -> float:
        """The variance of the first value between units."""
        return (self.yy - self.y**2 / self.units) / (self.units - 1)

    @property
    def variance_of_x(self) -> float:
        """The variance of the second value between units."""
        return (self.xx - self.x**2 / self.units) / (self.units - 1)

    @property
    def covariance(self) -> float:
        """The covariance of the two values between units."""
        return (self.xy - self.x * self.y / self.units) / (self.units - 1)


def adjusted_difference(champion: PairedMoments, challenger: PairedMoments) -> Difference:
    """The difference of the means of y, less what a covariate from before the exposure explains.

    CUPED: Deng, Xu, Kohavi & Walker, "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data", WSDM 2013. The slope is that of both variants together; a covariate that does not vary
    changes nothing.
    """
    both = champion + challenger
    slope = both.covariance / both.variance_of_x if both.variance_of_x > 0 else 0.0

    def mean(moments: PairedMoments) -> float:
        return (moments.y - slope * moments.x) / moments.units

    def variance(moments: PairedMoments) -> float:
        explained = 2 * slope * moments.covariance - slope**2 * moments.variance_of_x
        return max(0.0, moments.variance_of_y - explained)  # of a covariate that says all, rounding leaves less than 0

    error = math.sqrt(variance(champion) / champion.units + variance(challenger) / challenger.units)
    return Difference(mean(challenger) - mean(champion), error, both.units)


def ratio_difference(champion: PairedMoments, challenger: PairedMoments) -> Difference:
    """The difference of the ratios Σy / Σx, for instance purchases a visit, with units that each have several visits.

    The variance by the delta method: Deng, Knoblich & Lu, "Applying the delta method in metric analytics", KDD 2018.
    """
    error = math.sqrt(ratio_variance(champion) / champion.units + ratio_variance(challenger) / challenger.units)
    difference = challenger.y / challenger.x - champion.y / champion.x
    return Difference(difference, error, champion.units + challenger.units)


def ratio_variance(moments: PairedMoments) -> float:
    """What a unit adds to the variance of Σy / Σx, to first order."""
    mean_x, ratio = moments.x / moments.units, moments.y / moments.x
    spread = moments.variance_of_y - 2 * ratio * moments.covariance + ratio**2 * moments.variance_of_x
    return spread / mean_x**2
