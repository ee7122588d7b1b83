"""The decision to train another model: a policy and evidence in, a verdict with its reason out.

A trigger looks at one kind of evidence. Those that count or look at the calendar (`rows`, `age`, `schedule`) are sure
at once. Those that stand on samples (`drift`, `floor`, `drop`, `estimate`) are `suspected` first, and `detected` only
after `after` as-of dates in a row: a single odd week retrains nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.verdict import Verdict


class Action(StrEnum):
    """The actions of a verdict."""

    RETRAIN = "retrain"
    SUSPECTED = "suspected"
    WAIT = "wait"


@dataclass(frozen=True)
class Policy:
    """When to retrain; a trigger that is None is off.

    Args:
        rows: mature rows since the champion's training, as a share of the rows that it was fitted on.
        drift: share of the importance that drifted features hold together, from 0 to 1.
        floor: the measured metric may not fall below this (above, where smaller is better).
        drop: how much worse than in its evaluation the champion may measure, in units of the metric.
        estimate: how much worse than in its evaluation the estimated metric may be.
        age: how old the champion may grow.
        every: time from one retraining to the next, whatever else is seen.
        after: as-of dates in a row after which a suspicion counts.
        cooldown: time after a retraining in which no other one starts.
    """

    rows: float | None = None
    drift: float | None = None
    floor: float | None = None
    drop: float | None = None
    estimate: float | None = None
    age: timedelta | None = None
    every: timedelta | None = None
    after: int = 2
    cooldown: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.after < 1:
            raise ValueError(f"after {self.after}: a suspicion counts after 1 as-of date or more")


@dataclass(frozen=True)
class RetrainEvidence:
    """The evidence at an as-of date; None where it is not known, which never triggers anything.

    Args:
        as_of: `T`.
        trained: the champion's as-of date; None = there is no champion.
        attempted: the as-of date of the last training, shipped or not.
        rows: mature rows that the champion was fitted on.
        new_rows: mature rows since.
        drifted: the share of importance that drifted features hold (`drifted_importance`).
        evaluated: the metric in the champion's evaluation.
        measured: the metric on labels that matured since.
        estimated: the metric as estimated from calibrated scores.
        direction: 1 where a larger metric is better, -1 where a smaller one is.
        before: trigger → as-of dates in a row, up to the one before this, at which it fired.
    """

    as_of: date
    trained: date | None
    attempted: date | None = None
    rows: int = 0
    new_rows: int = 0
    drifted: float | None = None
    evaluated: float | None = None
    measured: Interval | None = None
    estimated: Interval | None = None
    direction: int = 1
    before: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    """One trigger's outcome: `value` against `limit`, how often it fired in a row, and the sentence for people."""

    name: str
    fired: bool
    value: float
    limit: float
    in_a_row: int
    needed: int
    reason: str

    @property
    def detected(self) -> bool:
        """True if it fired often enough to count."""
        return self.in_a_row >= self.needed


RetrainVerdict = Verdict[Action, Trigger]
"""Its numbers are the triggers that could be asked."""


def drifted_importance(drifted: Mapping[str, bool], importance: Mapping[str, float]) -> float:
    """The share of importance that drifted features hold; a feature that does no good (importance ≤ 0) weighs nothing.

    Raises:
        ValueError: no feature weighs anything, so that no share can be told.
    """
    weights = {name: max(importance.get(name, 0.0), 0.0) for name in drifted}
    total = math.fsum(weights.values())
    if not total > 0:
        raise ValueError(f"none of {len(weights)} features has an importance above 0: drift cannot be weighed")
    return math.fsum(weight for name, weight in weights.items() if drifted[name]) / total


def drift_weight(drifted: Mapping[str, bool | None], importance: Mapping[str, float]) -> float | None:
    """As `drifted_importance`, where None is a feature whose drift is not known: it did not drift.

    None where no feature's drift is known, or none weighs anything: a champion that leans on nothing.
    """
    if all(verdict is None for verdict in drifted.values()):
        return None
    try:
        return drifted_importance({name: bool(verdict) for name, verdict in drifted.items()}, importance)
    except ValueError:
        return None


def decide(policy: Policy, evidence: RetrainEvidence) -> RetrainVerdict:
    """Retrain, suspect, or wait.

    The rule of `after` dates in a row is the sensitizing rule of control charts, by which chance alone seldom alarms:
    Western Electric Company (1956), Statistical Quality Control Handbook.

    Args:
        policy: which triggers are on, with their limits.
        evidence: what is known at the as-of date.

    >>> grown = RetrainEvidence(date(2026, 6, 7), trained=date(2026, 1, 4), rows=1000, new_rows=400)
    >>> verdict = decide(Policy(rows=0.3), grown)
    >>> verdict.action.value, verdict.reason
    ('retrain', "400 new mature rows are 40% of the champion's 1,000, limit 30%")
    """
    if evidence.trained is None:
        return _first(policy, evidence)
    triggers = tuple(trigger for trigger in _triggers(policy, evidence) if trigger is not None)
    action, reason = _weighed(policy, evidence, triggers)
    return Verdict(action, reason, triggers)


def counts(evidence: RetrainEvidence, verdict: RetrainVerdict) -> dict[str, int]:
    """`RetrainEvidence.before` of the next as-of date: trigger → as-of dates in a row at which it fired.

    What could not be asked keeps its count: silence neither confirms nor clears a suspicion.
    """
    before = evidence.before if evidence.trained else {}
    return {**before, **{trigger.name: trigger.in_a_row for trigger in verdict.numbers}}


def _first(policy: Policy, evidence: RetrainEvidence) -> RetrainVerdict:
    """Nobody answers: nothing but the cooldown speaks against the next try."""
    if evidence.attempted is None:
        return Verdict(Action.RETRAIN, "there is no model yet", ())
    why = f"there is no champion: the candidate of {evidence.attempted} was not released"
    ready = _ready(policy, evidence)
    if evidence.as_of <= evidence.attempted or ready > evidence.as_of:
        return Verdict(Action.WAIT, f"{why}; but the cooldown lasts until {ready}", ())
    return Verdict(Action.RETRAIN, why, ())


def _weighed(policy: Policy, evidence: RetrainEvidence, triggers: tuple[Trigger, ...]) -> tuple[Action, str]:
    detected = [trigger for trigger in triggers if trigger.detected]
    suspected = [trigger for trigger in triggers if trigger.fired and not trigger.detected]
    why = "; ".join(trigger.reason for trigger in detected or suspected)
    if detected and (ready := _ready(policy, evidence)) > evidence.as_of:
        return Action.WAIT, f"{why}; but the cooldown lasts until {ready}"
    if detected:
        return Action.RETRAIN, why
    if suspected:
        return Action.SUSPECTED, why
    return Action.WAIT, "nothing speaks for a retraining" if triggers else "no trigger could be asked"


def _ready(policy: Policy, evidence: RetrainEvidence) -> date:
    last = _last(evidence)
    return date.min if last is None else last + policy.cooldown


def _triggers(policy: Policy, evidence: RetrainEvidence) -> "list[Trigger | None]":
    return [
        _rows(policy, evidence),
        _calendar("age", policy.age, evidence.trained, "the champion is", evidence),
        _calendar("schedule", policy.every, _last(evidence), "the last training was", evidence),
        _drift(policy, evidence),
        _floor(policy, evidence),
        _worse("drop", policy.drop, evidence.measured, "measured", policy, evidence),
        _worse("estimate", policy.estimate, evidence.estimated, "estimated", policy, evidence),
    ]


def _last(evidence: RetrainEvidence) -> date | None:
    return max(filter(None, (evidence.trained, evidence.attempted)), default=None)


def _rows(policy: Policy, evidence: RetrainEvidence) -> Trigger | None:
    if policy.rows is None or not evidence.rows:
        return None
    share = evidence.new_rows / evidence.rows
    reason = f"{evidence.new_rows:,} new mature rows are {share:.0%} of the champion's {evidence.rows:,}"
    return _sure("rows", share, policy.rows, f"{reason}, limit {policy.rows:.0%}")


def _calendar(
    name: str, limit: timedelta | None, since: date | None, what: str, evidence: RetrainEvidence
) -> Trigger | None:
    if limit is None or since is None:
        return None
    days = (evidence.as_of - since).days
    return _sure(name, days, limit.days, f"{what} {days} days ago, limit {limit.days}")


def _sure(name: str, value: float, limit: float, reason: str) -> Trigger:
    fired = value >= limit
    return Trigger(name, fired, value, limit, int(fired), 1, reason)


def _drift(policy: Policy, evidence: RetrainEvidence) -> Trigger | None:
    if policy.drift is None or evidence.drifted is None:
        return None
    reason = f"drifted features hold {evidence.drifted:.0%} of the importance, limit {policy.drift:.0%}"
    return _unsure("drift", evidence.drifted >= policy.drift, evidence.drifted, policy.drift, reason, policy, evidence)


def _floor(policy: Policy, evidence: RetrainEvidence) -> Trigger | None:
    if policy.floor is None or evidence.measured is None:
        return None
    interval, sign = evidence.measured, evidence.direction
    fired = sign * interval.best(sign) < sign * policy.floor  # chance alone shall not accuse the champion
    reason = f"the measured metric is {_shown(interval)}, limit {policy.floor:.4g}"
    return _unsure("floor", fired, interval.estimate, policy.floor, reason, policy, evidence)


def _worse(
    name: str, limit: float | None, interval: Interval | None, how: str, policy: Policy, evidence: RetrainEvidence
) -> Trigger | None:
    if limit is None or interval is None or evidence.evaluated is None:
        return None
    sign, evaluated = evidence.direction, evidence.evaluated
    loss = sign * (evaluated - interval.estimate)
    fired = sign * (evaluated - interval.best(sign)) > limit
    reason = f"the {how} metric is {_shown(interval)}, {loss:.4g} worse than the {evaluated:.4g} of the evaluation"
    return _unsure(name, fired, loss, limit, f"{reason}, limit {limit:.4g}", policy, evidence)


def _shown(interval: Interval) -> str:
    return f"{interval.estimate:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _unsure(
    name: str, fired: bool, value: float, limit: float, reason: str, policy: Policy, evidence: RetrainEvidence
) -> Trigger:
    in_a_row = evidence.before.get(name, 0) + 1 if fired else 0
    counted = f" ({min(in_a_row, policy.after)} of {policy.after} in a row)" if fired and policy.after > 1 else ""
    return Trigger(name, fired, value, limit, in_a_row, policy.after, reason + counted)
