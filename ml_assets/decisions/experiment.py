"""The decision of an A/B test: a policy and sums in, a verdict with its reason out.

While it runs, a sequence may be looked at as often as one likes, with a fifth of the level; on the declared last day
one fixed look takes the rest. By simulation this finds effects as often as a test without any look before the end.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.means import Difference, fixed_interval, sequence_interval
from ml_assets.decisions.power import units_for_means
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch
from ml_assets.decisions.time_span import write_span
from ml_assets.decisions.verdict import Verdict

_MISMATCH = 0.01
_RUNNING = 0.2
"""The part of the level that looks before the last day have."""
_POWER = 0.8


class ExperimentAction(StrEnum):
    """What follows for an experiment."""

    WINNER = "winner"
    NONE = "none"
    CONTINUE = "continue"
    ERROR = "error"


@dataclass(frozen=True)
class ExperimentPolicy:
    """When an experiment ends, and with what certainty.

    Args:
        duration: from the start to the last day.
        minimum: time before a winner may be named: full weeks, for weekdays differ and novelty wears off.
        sample: units that each variant needs.
        level: probability of calling a difference that does not exist, for all variants together.
        direction: 1 where a larger value of the primary metric is better, -1 where a smaller one is.
        detect: the smallest effect that matters, in the metric's unit: the verdict says how many units it takes.
    """

    duration: timedelta = timedelta(days=14)
    minimum: timedelta = timedelta(days=7)
    sample: int = 1_000
    level: float = 0.05
    direction: int = 1
    detect: float | None = None


@dataclass(frozen=True)
class ExperimentEvidence:
    """What was counted of an experiment up to now, of units whose outcome window has passed.

    Args:
        started: when it began.
        exposures: units at their first exposure, in the order of the variants, control first.
        differences: variant → its mean of the primary metric minus the control's; without a variant that has no value.
        faults: why the evidence cannot be believed, in sentences.
        lacking: what a difference that is not there waits for, in sentences.
    """

    started: datetime
    exposures: SampleCounts
    differences: Mapping[str, Difference] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class VariantEffect:
    """A variant against the control: the interval of the difference, and the sentence that a person reads.

    Args:
        name: the variant.
        interval: of the difference, in the metric's unit.
        better: the interval lies on the better side of 0.
        worse: it lies on the worse side.
        reason: in one sentence.
    """

    name: str
    interval: Interval
    better: bool
    worse: bool
    reason: str


ExperimentVerdict = Verdict[ExperimentAction, VariantEffect]
"""Its numbers are the variants against the control."""


def decide(policy: ExperimentPolicy, evidence: ExperimentEvidence, now: datetime) -> ExperimentVerdict:
    """Name a winner, go on, end without one, or say that nothing can be decided.

    >>> start = datetime(2026, 6, 1)
    >>> units, effect = SampleCounts((5_000, 5_000), (0.5, 0.5)), Difference(0.02, 0.004, 10_000)
    >>> evidence = ExperimentEvidence(start, units, {"b": effect})
    >>> decide(ExperimentPolicy(), evidence, start + timedelta(days=8)).action.value
    'winner'
    """
    last_day = now - evidence.started >= policy.duration
    effects = tuple(_effect(policy, evidence, name, last_day=last_day) for name in evidence.differences)

    def conclude(action: ExperimentAction, reason: str) -> ExperimentVerdict:
        return Verdict(action, reason, effects)

    if faults := _faults(evidence):
        return conclude(ExperimentAction.ERROR, "; ".join(faults))
    lacking = _lacking(policy, evidence, now)
    winners = [each for each in effects if each.better]
    if winners and not lacking:
        best = max(winners, key=lambda each: policy.direction * each.interval.estimate)
        return conclude(ExperimentAction.WINNER, best.reason)
    if last_day:
        reasons = [*lacking, *(each.reason for each in effects)] or ["no variant has a value of the primary metric"]
        return conclude(ExperimentAction.NONE, "; ".join(reasons))
    open_effects = [each.reason for each in effects if not each.better]
    return conclude(ExperimentAction.CONTINUE, "; ".join([*lacking, *open_effects]) or "no value has come yet")


def _effect(policy: ExperimentPolicy, evidence: ExperimentEvidence, name: str, *, last_day: bool) -> VariantEffect:
    """A variant's interval: of the sequence, on the last day of the fixed look; the level is shared by the variants."""
    difference, level = evidence.differences[name], policy.level / max(1, len(evidence.differences))
    alpha = level * (1 - _RUNNING if last_day else _RUNNING)
    interval = fixed_interval(difference, alpha) if last_day else sequence_interval(difference, alpha)
    better = policy.direction * interval.worst(policy.direction) > 0
    worse = policy.direction * interval.best(policy.direction) < 0
    verdict = "is better" if better else "is worse" if worse else "may differ either way"
    reason = f"{name} {verdict}: {interval.estimate:+.4g} ({interval.low:+.4g} to {interval.high:+.4g})"
    if policy.detect and not (better or worse):
        reason += f"; {_units_to_detect(policy.detect, difference, level):,} units a variant find {policy.detect:+g}"
    return VariantEffect(name, interval, better, worse, reason)


def _units_to_detect(effect: float, difference: Difference, level: float) -> int:
    """Units of each variant at the last look, from the variance seen now: that of a difference of two halves."""
    return units_for_means(effect, difference.error**2 * difference.units / 2, level * (1 - _RUNNING), _POWER)


def describe_mismatch(counts: SampleCounts) -> str | None:
    """A sentence where the units of the variants do not follow their shares; None where they do.

    >>> describe_mismatch(SampleCounts((5_000, 4_300), (0.5, 0.5)))
    'sample-ratio mismatch: 5,000 and 4,300 units (e-value 6.8e+09)'
    """
    log_e = log_e_mismatch([counts])
    if log_e < math.log(1 / _MISMATCH):
        return None
    units = " and ".join(f"{each:,}" for each in counts.units)
    return f"sample-ratio mismatch: {units} units (e-value {math.exp(min(log_e, 700)):.3g})"


def _faults(evidence: ExperimentEvidence) -> list[str]:
    mismatch = describe_mismatch(evidence.exposures)
    return [*evidence.faults, *([mismatch] if mismatch and mismatch not in evidence.faults else [])]


def _lacking(policy: ExperimentPolicy, evidence: ExperimentEvidence, now: datetime) -> list[str]:
    """What a winner still waits for."""
    lacking, fewest, running = [], min(evidence.exposures.units), now - evidence.started
    if fewest < policy.sample:
        lacking.append(f"{fewest:,} of {policy.sample:,} units in the smallest variant")
    if running < policy.minimum:
        lacking.append(f"{write_span(policy.minimum - running)} left of the minimum of {write_span(policy.minimum)}")
    return [*lacking, *evidence.lacking]
