"""The decision to ship a candidate: gates and measured numbers in, a verdict with its reason out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import directions
from ml_assets.decisions.verdict import Verdict

_T = TypeVar("_T")


class UnknownMetricError(ValueError):
    """A gate names a metric that was not measured, or one without a direction."""


@dataclass(frozen=True)
class Gate:
    """One condition of a release; exactly one of the four limits is set.

    Args:
        metric: what is measured on the test rows.
        at_least: the value itself must reach this.
        at_most: the value itself may not pass this.
        against: whom to compare with on the same rows: `champion` or `baseline`.
        at_most_worse: how much worse than `against` it may be, in units of the metric.
        at_least_better: how much better than `against` it must be.
        confident: compare the end of the confidence interval that speaks against the candidate, not the estimate.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    against: str | None = None
    at_most_worse: float | None = None
    at_least_better: float | None = None
    confident: bool = False

    @property
    def name(self) -> str:
        """The name of its asset check: `roc_auc_at_least`, `roc_auc_against_champion`."""
        if self.against:
            return f"{self.metric}_against_{self.against}"
        return f"{self.metric}_{'at_least' if self.at_least is not None else 'at_most'}"

    def __str__(self) -> str:
        """The condition in words."""
        limits = {
            "at least {}": self.at_least,
            "at most {}": self.at_most,
            f"at most {{}} worse than the {self.against}": self.at_most_worse,
            f"at least {{}} better than the {self.against}": self.at_least_better,
        }
        (condition,) = (words.format(limit) for words, limit in limits.items() if limit is not None)
        return f"{self.metric} {condition}{', with confidence' if self.confident else ''}"


@dataclass(frozen=True)
class GateEvidence:
    """The measurements that gates judge.

    Args:
        candidate: metric → value on the test rows.
        differences: other (`champion`, `baseline`) → metric → candidate minus other on the same rows; without a
            `champion` there is none yet.
        as_of: the candidate's as-of date.
        champion_as_of: the champion's; None = no champion yet.
        descriptions: other → what it is, for the sentence: of the baseline, the best single feature.
        suspects: feature → its ROC AUC alone, where it is so high that the future may have leaked into it.
    """

    candidate: Mapping[str, float]
    differences: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    as_of: date | None = None
    champion_as_of: date | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    suspects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GateResult:
    """One gate's outcome: `value` against `limit`, and the sentence that a person reads."""

    name: str
    passed: bool
    value: float | None
    limit: float
    reason: str


class GateAction(StrEnum):
    """The actions for a candidate: it becomes the champion, or what answers stays."""

    SHIP = "ship"
    HOLD = "hold"


GateVerdict = Verdict[GateAction, GateResult]


def decide(gates: Sequence[Gate], evidence: GateEvidence) -> GateVerdict:
    """Ship if every gate passes and the champion is not newer.

    A `confident` gate of a difference is a test of noninferiority (`at_most_worse`) or superiority (`at_least_better`)
    by the end of the interval that speaks against the candidate: Piaggio et al. (2012), Reporting of Noninferiority
    and Equivalence Randomized Trials, JAMA 308.

    Args:
        gates: the conditions, all of which must hold.
        evidence: what was measured.

    >>> verdict = decide([Gate("roc_auc", at_least=0.7)], GateEvidence({"roc_auc": 0.65}))
    >>> verdict.action.value, verdict.reason
    ('hold', 'roc_auc is 0.65, at least 0.7')

    Raises:
        UnknownMetricError: a gate's metric was not measured.
    """
    results = tuple(_result(gate, evidence) for gate in gates)
    failed = [result for result in results if not result.passed]
    if failed:
        why = "; ".join(result.reason for result in failed)
        return Verdict(GateAction.HOLD, why + leak(evidence.suspects), results)
    if evidence.as_of and evidence.champion_as_of and evidence.champion_as_of > evidence.as_of:
        older = f"the champion is of {evidence.champion_as_of}, newer than this candidate of {evidence.as_of}"
        return Verdict(GateAction.HOLD, older, results)
    passed = f"all {len(results)} gates passed" if results else "no gates are declared"
    return Verdict(GateAction.SHIP, passed + leak(evidence.suspects), results)


def leak(suspects: Mapping[str, float]) -> str:
    """The end of a sentence about features that are too good to be true; empty where there is none."""
    if not suspects:
        return ""
    name, auc = max(suspects.items(), key=lambda item: item[1])
    more = f" and {len(suspects) - 1} more" if len(suspects) > 1 else ""
    return f"; suspected leak: {name} alone ranks with roc_auc {auc:.4f}{more}: does it know the label?"


def _result(gate: Gate, evidence: GateEvidence) -> GateResult:
    if gate.against:
        return _against(gate, evidence)
    value = _measured(gate.metric, evidence.candidate)
    if gate.at_least is not None:
        return _outcome(gate, value, gate.at_least, value >= gate.at_least, "at least")
    limit = _limit(gate, gate.at_most)
    return _outcome(gate, value, limit, value <= limit, "at most")


def _against(gate: Gate, evidence: GateEvidence) -> GateResult:
    better = directions()
    if gate.metric not in better:
        raise UnknownMetricError(f"gate {gate.name}: {gate.metric} has no better or worse: use {sorted(better)}")
    direction = better[gate.metric]
    limit = _limit(gate, gate.at_least_better if gate.at_least_better is not None else gate.at_most_worse)
    least = limit if gate.at_least_better is not None else -limit
    measured = evidence.differences.get(str(gate.against))
    if measured is None and gate.against == "champion":
        return GateResult(gate.name, True, None, least, f"there is no other champion to compare {gate.metric} with")
    difference = _measured(gate.metric, measured or {})
    gain = direction * (difference.worst(direction) if gate.confident else difference.estimate)
    description = evidence.descriptions.get(str(gate.against))
    opponent = f"{gate.against} ({description})" if description else gate.against
    sentence = f"{gate.metric} is {difference.estimate:+.4f} against the {opponent}"
    interval = f" ({difference.low:+.4f} to {difference.high:+.4f})"
    return GateResult(gate.name, gain >= least, gain, least, f"{sentence}{interval}, limit {least:+.4f}")


def _measured(metric: str, values: Mapping[str, _T]) -> _T:
    if metric not in values:
        raise UnknownMetricError(f"metric {metric!r} was not measured: measured are {sorted(values)}")
    return values[metric]


def _limit(gate: Gate, limit: float | None) -> float:
    if limit is None or not math.isfinite(limit):
        raise ValueError(f"gate on {gate.metric}: one of at_least, at_most, at_most_worse, at_least_better is needed")
    return limit


def _outcome(gate: Gate, value: float, limit: float, passed: bool, words: str) -> GateResult:
    if math.isnan(value):
        passed = False
    return GateResult(gate.name, passed, value, limit, f"{gate.metric} is {value:.4g}, {words} {limit:.4g}")
