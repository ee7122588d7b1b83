"""Whether groups are treated alike: declared limits and measured differences in, one of three outcomes out.

A difference *fails* where chance does not explain it and it is larger than declared; a metric *passes* where the
intervals of all groups lie within the limit. Whatever is between the two is not judged, which is a result: most data
hold too few entities to show that small groups are treated alike, and silence confirms nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING

from ml_assets.decisions.verdict import Verdict

if TYPE_CHECKING:
    from ml_assets.decisions.group_rates import GroupDifference

SELECTION, CALIBRATION = "selection_rate", "calibration"
OF_SCORES = (SELECTION, "tpr", "fpr", CALIBRATION)
"""What is measured of a label 0 or 1."""
OF_CLASSES = ("accuracy", "review_share", CALIBRATION)
"""What is measured of several classes."""
BASE_RATE = "base_rate"
"""The share of label 1: shown beside the others, and no fault of a model."""

_SHOWN = 0.8
"""The probability with which the number of entities that is said to be needed shows that equal groups are equal."""


class FairnessStatus(StrEnum):
    """What became of a metric, and of a whole report."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True)
class FairnessPolicy:
    """Limits that an owner declares.

    Args:
        metrics: those that judge; all others are shown only.
        at_most: the largest difference between a group and all others.
        level: of a false alarm in the whole report.
    """

    metrics: tuple[str, ...]
    at_most: float
    level: float


@dataclass(frozen=True)
class FairnessResult:
    """One metric of one group.

    Args:
        attribute: of the group.
        group: its value.
        metric: that judges.
        status: what became of it.
        value: the difference to all others; None: it was not measured.
        p: that there is none, adjusted for all groups and metrics; None: the group is too small.
        needed: about how many entities would show that equal groups are equal; None: nobody can say.
        reason: in a sentence.
    """

    attribute: str
    group: str
    metric: str
    status: FairnessStatus
    value: float | None
    p: float | None
    needed: int | None
    reason: str


FairnessVerdict = Verdict[FairnessStatus, FairnessResult]


def decide(
    policy: FairnessPolicy, differences: "Sequence[GroupDifference]", entities: int, fewest: int = 30
) -> FairnessVerdict:
    """Judge the differences of the metrics that the policy names.

    Args:
        policy: the limits.
        differences: of every group and metric.
        entities: how many there are in all.
        fewest: entities with each kind of label that a group must have.

    Returns:
        `failed` where any group fails; `passed` where all are shown to lie within the limit; else `not_judged`.
    """
    results = tuple(_result(policy, each, entities, fewest) for each in differences if each.metric in policy.metrics)
    sentences = [_sentence(policy, metric, list(_of(results, metric)), entities) for metric in policy.metrics]
    return Verdict(overall_status(results), "; ".join(sentences), results)


def decide_metric(policy: FairnessPolicy, verdict: FairnessVerdict, metric: str, entities: int) -> FairnessVerdict:
    """The part of a verdict that is about one metric.

    Args:
        policy: the limits.
        verdict: about all of them.
        metric: one that judges.
        entities: how many there are in all.
    """
    results = tuple(_of(verdict.numbers, metric))
    return Verdict(overall_status(results), _sentence(policy, metric, results, entities), results)


def overall_status(results: Sequence[FairnessResult]) -> FairnessStatus:
    """One failed group fails all; one that is not judged leaves the whole so."""
    statuses = {each.status for each in results} or {FairnessStatus.NOT_JUDGED}
    order = (FairnessStatus.FAILED, FairnessStatus.NOT_JUDGED, FairnessStatus.PASSED)
    return next(status for status in order if status in statuses)


def largest_difference(results: Sequence[FairnessResult]) -> float | None:
    """The largest difference of those groups that are large enough, without its sign."""
    return max((abs(each.value) for each in results if each.value is not None and each.p is not None), default=None)


def _of(results: Sequence[FairnessResult], metric: str) -> Iterator[FairnessResult]:
    return (each for each in results if each.metric == metric)


def _result(policy: FairnessPolicy, found: "GroupDifference", entities: int, fewest: int) -> FairnessResult:
    group, interval, p = found.group, found.interval, found.p
    who = f"{found.metric} of {group.attribute} {group.name}"

    def result(status: FairnessStatus, value: float | None, needed: int | None, reason: str) -> FairnessResult:
        return FairnessResult(group.attribute, group.name, found.metric, status, value, p, needed, reason)

    if interval is None or p is None:
        needed = math.ceil(entities * fewest / group.labelled) if 0 < group.labelled < fewest else None
        value = None if found.rate is None or found.others is None else found.rate - found.others
        few = f"{who}: {group.labelled:,} entities with each kind of label, {fewest} are needed to judge a group"
        return result(FairnessStatus.NOT_JUDGED, value, needed, few)
    ends = f"{interval.estimate:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
    seen = f"{who} is {found.rate:.3f}, of all others {found.others:.3f}: {ends}, p {p:.3f}, limit ±{policy.at_most:g}"
    if p <= policy.level and abs(interval.estimate) > policy.at_most:
        return result(FairnessStatus.FAILED, interval.estimate, None, seen)
    if max(-interval.low, interval.high) <= policy.at_most:
        return result(FairnessStatus.PASSED, interval.estimate, None, seen)
    needed = _needed(interval.high - interval.estimate, found.error, policy.at_most, entities)
    return result(FairnessStatus.NOT_JUDGED, interval.estimate, needed, seen)


def _needed(reach: float, error: float, at_most: float, entities: int) -> int:
    """Entities of whom as many are of the group, with which the interval of an equal group lies within the limit.

    Its ends do with probability `_SHOWN` if `reach` and as many standard errors as leave out half of the rest on each
    side fit in between; both shrink with the root of the number of entities.
    """
    quantile = NormalDist().inv_cdf((1 + _SHOWN) / 2)
    return math.ceil(entities * ((reach + quantile * error) / at_most) ** 2)


def _about(number: int) -> int:
    """Two digits of a number that is not known better, rounded up.

    >>> _about(24_443)
    25000
    """
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // unit) * unit


def _sentence(policy: FairnessPolicy, metric: str, results: Sequence[FairnessResult], entities: int) -> str:
    failed = [each.reason for each in results if each.status is FairnessStatus.FAILED]
    if failed:
        return "; ".join(failed)
    judged = [each for each in results if each.p is not None]
    small = len(results) - len(judged)
    few = f"{small} of {len(results)} groups too small to be judged" if small else ""
    if not judged:
        return f"{metric}: {few or 'there is no group'}"
    unsure = [each for each in judged if each.status is FairnessStatus.NOT_JUDGED]
    if not unsure:
        within = f"{metric}: within ±{policy.at_most:g} in {'the other' if small else 'all'} {len(judged)} groups"
        return f"{within}, {few}" if few else within
    least = min(each.p for each in judged if each.p is not None)
    needed = max(each.needed for each in unsure if each.needed is not None)
    differs = f"no group differs (p ≥ {least:.2g})" if least > policy.level else "groups differ, none proven beyond it"
    shown = f"±{policy.at_most:g} cannot be shown for {len(unsure)} of {len(judged)} groups"
    rest = f"; {few}" if few else ""
    return (
        f"{metric}: {differs}; {shown}: about {_about(needed):,} entities would be needed, there are {entities:,}{rest}"
    )
