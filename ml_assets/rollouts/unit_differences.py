"""The difference of two variants in a metric of an experiment, from one value a unit."""

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.means import Batch, Difference, Moments, stratified_difference
from ml_assets.rollouts.outcomes import CLOCK, OutcomeCounts
from ml_assets.spec.experiment import SCORE, UnitMetricSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 50
"""Values other than 0 that a mean needs: with fewer the interval is too narrow."""

_DOUBTFUL = 0.01
"""The share of outcomes before their exposure from which on the others are not believed either."""


def known_until(metric: UnitMetricSpec, now: datetime) -> np.datetime64:
    """Until when a unit had to be exposed for its value to be known; a score is there at once.

    Args:
        metric: as declared.
        now: naive UTC.
    """
    return np.datetime64(now + CLOCK if metric.metric == SCORE else now - metric.matures)


def describe_early(counts: OutcomeCounts) -> str | None:
    """A sentence where too many outcomes were observed before the answer that they are about; None where few were."""
    before = counts.early + counts.unexposed
    if before <= _DOUBTFUL * (counts.told + counts.unexposed):
        return None
    share = before / (counts.told + counts.unexposed)
    return f"{before:,} outcomes before their exposure, {share:.1%} of all: their moments or units are wrong"


def describe_scarcity(value: "NDArray[np.float64]", masks: "dict[str, NDArray[np.bool_]]") -> str | None:
    """A sentence where a variant has too few values other than 0; None where each has enough.

    Args:
        value: of each unit, [n].
        masks: name of the variant → its units, [n]; the control first.
    """
    counts = {name: int((value[mask] != 0).sum()) for name, mask in masks.items()}
    scarce = min(counts, key=counts.__getitem__)
    if counts[scarce] >= FEWEST:
        return None
    return f"{counts[scarce]} of {FEWEST} values other than 0 in {scarce}"


def centred_values(
    value: "NDArray[np.float64]", valued: "NDArray[np.bool_]", cap: float | None
) -> "NDArray[np.float64]":
    """Values whose sums of squares lose no digits where the mean is large; a difference is the same.

    Args:
        value: of each unit, [n].
        valued: those that have one, [n].
        cap: larger values count as this one; None: they count as they are.
    """
    capped = value if cap is None else np.minimum(value, cap)
    return np.asarray(capped - capped[valued].mean())


def mean_difference(control: "NDArray[np.float64]", other: "NDArray[np.float64]") -> Difference:
    """The mean of a variant's values minus that of the control's."""
    return stratified_difference([Batch(moments(control), moments(other))])


def moments(y: "NDArray[np.float64]") -> Moments:
    """Number, sum and sum of squares of values."""
    return Moments(len(y), float(y.sum()), float(y @ y))
