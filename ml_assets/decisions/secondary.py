"""Secondary metrics of an experiment: what else differs. They are reported, and decide nothing.

Among many metrics some seem to differ by chance. Each has an e-value, which may be looked at at any time, and e-BH
names those that stand. The intervals are at the level that goes with it, so those of what stands leave 0 out, and no
others do (e-BY: Xu, Wang & Ramdas, "Post-selection inference for e-value based confidence intervals", EJS 2024).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.means import Difference, sequence_interval, sequence_log_e
from ml_assets.decisions.multiplicity import reject_by_e_values

_LARGEST = 700.0
"""The logarithm of an e-value that is still a number."""


@dataclass(frozen=True)
class SecondaryEvidence:
    """What is known of a metric of a variant beside the control.

    Args:
        metric: its name.
        variant: that is compared.
        difference: of the means; None: it cannot be believed yet.
        direction: 1 where a larger value is better, -1 where a smaller one is.
        lacking: why there is no difference, in a sentence.
    """

    metric: str
    variant: str
    difference: Difference | None
    direction: int = 1
    lacking: str = ""


@dataclass(frozen=True)
class SecondaryEffect:
    """A metric of a variant beside the control.

    Args:
        metric: its name.
        variant: that is compared.
        interval: of the difference, in the metric's unit; None: it is not known.
        e_value: that there is a difference; 0 where it is not known.
        stands: e-BH names it among all metrics and variants.
        reason: in one sentence.
    """

    metric: str
    variant: str
    interval: Interval | None
    e_value: float
    stands: bool
    reason: str


def judge_secondary(evidence: Sequence[SecondaryEvidence], level: float) -> tuple[SecondaryEffect, ...]:
    """Which metrics differ. Of those that are named, a share of `level` at the most does not, on average.

    Args:
        evidence: of all metrics and variants that were declared, also where nothing is known.
        level: the share, and that of intervals of what stands that miss the truth.

    >>> judge_secondary([SecondaryEvidence("revenue", "b", Difference(0.4, 0.05, 10_000))], 0.05)[0].reason
    'b is better: +0.4 (+0.2469 to +0.5531)'
    """
    e_values = [_e_value(each.difference, level) for each in evidence]
    stands = reject_by_e_values(e_values, level)
    alpha = level * max(1, sum(stands)) / max(1, len(evidence))
    return tuple(
        _effect(each, e_value, alpha, level, stands=stand)
        for each, e_value, stand in zip(evidence, e_values, stands, strict=True)
    )


def _e_value(difference: Difference | None, level: float) -> float:
    if difference is None or difference.error <= 0:
        return 0.0
    return math.exp(min(_LARGEST, sequence_log_e(difference, level)))


def _effect(
    evidence: SecondaryEvidence, e_value: float, alpha: float, level: float, *, stands: bool
) -> SecondaryEffect:
    if evidence.difference is None:
        return SecondaryEffect(evidence.metric, evidence.variant, None, e_value, stands, evidence.lacking)
    interval = sequence_interval(evidence.difference, alpha, tuning=level)
    better = evidence.direction * interval.estimate > 0
    verdict = ("is better" if better else "is worse") if stands else "may differ either way"
    reason = f"{evidence.variant} {verdict}: {interval.estimate:+.4g} ({interval.low:+.4g} to {interval.high:+.4g})"
    return SecondaryEffect(evidence.metric, evidence.variant, interval, e_value, stands, reason)
