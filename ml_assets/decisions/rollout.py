"""The decision of a rollout's next step: a policy and counts in, a verdict with its reason out.

It may be asked as often as one likes: every number that it looks at holds at all looks. The order: can the evidence be
believed, is a guardrail breached, has the stage been looked at long enough, are the margins proven.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ml_assets.decisions.guardrail import (
    Guardrail,
    GuardrailEvidence,
    GuardrailResult,
    GuardrailStatus,
    judge_guardrail,
)
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch
from ml_assets.decisions.verdict import Verdict

_MISMATCH = 0.01
"""The level of the sample-ratio test."""


class RolloutAction(StrEnum):
    """What follows for the challenger."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    ERROR = "error"


@dataclass(frozen=True)
class RolloutPolicy:
    """How a challenger earns its traffic.

    Args:
        stages: shares of the challenger, ascending; the last is 1: promotion.
        guardrails: limits that it has to keep.
        sample: first exposures of the challenger in a stage before it moves on.
        bake: time in a stage before it moves on.
        patience: time after which a stage that proves nothing ends as `then` says.
        then: `HOLD` or `ROLL_BACK`.
        level: probability of a false rollback in the whole rollout, shared by all guardrails.
        proof: probability of a false proof, of each guardrail.
        prove_each_stage: margins are proven at each stage, not only at the last one before promotion.
    """

    stages: tuple[float, ...] = (0.1, 0.5, 1.0)
    guardrails: tuple[Guardrail, ...] = ()
    sample: int = 1_000
    bake: timedelta = timedelta(hours=1)
    patience: timedelta = timedelta(days=7)
    then: RolloutAction = RolloutAction.HOLD
    level: float = 0.05
    proof: float = 0.05
    prove_each_stage: bool = False

    def __post_init__(self) -> None:
        """Refuse stages that do not ascend to 1."""
        ascends = all(low < high for low, high in zip(self.stages, self.stages[1:], strict=False))
        if not self.stages or not ascends or self.stages[0] <= 0 or self.stages[-1] != 1:
            message = f"stages {list(self.stages)}: shares above 0 that ascend; the last is 1"
            raise ValueError(message)
        if self.then not in {RolloutAction.HOLD, RolloutAction.ROLL_BACK}:
            message = f"then {self.then.value!r}: hold or roll_back"
            raise ValueError(message)


@dataclass(frozen=True)
class RolloutEvidence:
    """What was counted of a rollout up to now.

    Args:
        stage: the number of the stage, from 0.
        entered: when it began.
        exposures: units at their first exposure, champion first, by stage up to this one.
        guardrails: metric → what was counted; a metric that could not be counted is left out.
        faults: why the evidence cannot be believed, in sentences: a log that cannot be read, a lease that has ended.
    """

    stage: int
    entered: datetime
    exposures: tuple[SampleCounts, ...]
    guardrails: Mapping[str, GuardrailEvidence] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


RolloutVerdict = Verdict[RolloutAction, GuardrailResult]
"""Its numbers are the guardrails."""


def decide(policy: RolloutPolicy, evidence: RolloutEvidence, now: datetime) -> RolloutVerdict:
    """Advance, promote, hold, roll back, or say that nothing can be decided.

    >>> start = datetime(2026, 6, 1)
    >>> counted = RolloutEvidence(0, start, (SampleCounts((9_000, 1_000), (0.9, 0.1)),))
    >>> decide(RolloutPolicy(), counted, start + timedelta(hours=2)).reason
    '1,000 units in 2:00:00 at a share of 10 %: on to 50 %'
    """
    results = _judge(policy, evidence)

    def conclude(action: RolloutAction, reason: str) -> RolloutVerdict:
        return Verdict(action, reason, results)

    if faults := _faults(evidence):
        return conclude(RolloutAction.ERROR, "; ".join(faults))
    if breached := [each.reason for each in results if each.status is GuardrailStatus.BREACHED]:
        return conclude(RolloutAction.ROLL_BACK, "; ".join(breached))
    lacking = _lacking(policy, evidence, results, now)
    if not lacking:
        return conclude(*_next(policy, evidence, now))
    if now - evidence.entered >= policy.patience:
        return conclude(policy.then, f"nothing proven within {policy.patience}: {'; '.join(lacking)}")
    return conclude(RolloutAction.HOLD, "; ".join(lacking))


def _judge(policy: RolloutPolicy, evidence: RolloutEvidence) -> tuple[GuardrailResult, ...]:
    alpha = policy.level / max(1, len(policy.guardrails))
    share = policy.stages[evidence.stage]
    return tuple(
        judge_guardrail(each, evidence.guardrails.get(each.metric), share, alpha, policy.proof)
        for each in policy.guardrails
    )


def _faults(evidence: RolloutEvidence) -> list[str]:
    """Why nothing can be decided."""
    faults = list(evidence.faults)
    log_e = log_e_mismatch(evidence.exposures)
    if log_e >= math.log(1 / _MISMATCH):
        last = evidence.exposures[-1]
        faults.append(
            f"sample-ratio mismatch: {' and '.join(f'{units:,}' for units in last.units)} units at shares of "
            f"{' and '.join(f'{share:.0%}' for share in last.shares)} (e-value {math.exp(min(log_e, 700)):.3g}): "
            "the assignment or the log is broken"
        )
    return faults


def _lacking(
    policy: RolloutPolicy, evidence: RolloutEvidence, results: tuple[GuardrailResult, ...], now: datetime
) -> list[str]:
    """What the stage still waits for."""
    units = evidence.exposures[-1].units[-1] if evidence.exposures else 0
    last = evidence.stage >= len(policy.stages) - 2
    lacking = [each.reason for each in results if each.status is GuardrailStatus.UNKNOWN]
    if units < policy.sample:
        lacking.append(f"{units:,} of {policy.sample:,} units seen by the challenger")
    if now - evidence.entered < policy.bake:
        lacking.append(f"{policy.bake - (now - evidence.entered)} left of the bake of {policy.bake}")
    if last or policy.prove_each_stage:
        open_margins = (each for each in results if each.needed and each.status is GuardrailStatus.OPEN)
        lacking += [each.reason for each in open_margins]
    return lacking


def _next(policy: RolloutPolicy, evidence: RolloutEvidence, now: datetime) -> tuple[RolloutAction, str]:
    following = policy.stages[evidence.stage + 1]
    seen = f"{evidence.exposures[-1].units[-1]:,} units in {now - evidence.entered}"
    reason = f"{seen} at a share of {policy.stages[evidence.stage]:.0%}: on to {following:.0%}"
    action = RolloutAction.PROMOTE if following == 1 else RolloutAction.ADVANCE
    return action, reason.replace("%", " %")
