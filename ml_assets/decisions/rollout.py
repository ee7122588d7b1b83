"""The decision of a rollout's next step: a policy and counts in, a verdict with its reason out.

It may be asked as often as one likes: every number that it looks at holds at all looks. The order: can the evidence be
believed, is a guardrail breached, has the stage been looked at long enough, are the margins proven.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ml_assets.decisions.doubts import (
    ControlEvidence,
    EvidenceDoubt,
    Reaction,
    Reactions,
    doubt_assignment,
    doubt_control,
    doubt_split,
    doubt_traffic,
)
from ml_assets.decisions.guardrail import (
    DISAGREEMENT,
    Guardrail,
    GuardrailEvidence,
    GuardrailResult,
    GuardrailStatus,
    judge_guardrail,
)
from ml_assets.decisions.quality import PairedLosses, QualityGuardrail, judge_quality
from ml_assets.decisions.sample_ratio import SampleCounts
from ml_assets.decisions.time_span import write_span
from ml_assets.decisions.verdict import Verdict

SHADOW_STAGE = -1
"""The number of the stage in which the challenger answers in shadow only."""

_ASKED = 0.8
"""Of the entities that the challenger's share can give, those that are waited for: not all of them ever ask."""


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
        quality: limits of its quality, judged as labels become known, also after the promotion.
        shadow: how long the challenger answers in shadow only, before the first stage.
        reactions: what follows where the evidence is doubtful.
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
    quality: tuple[QualityGuardrail, ...] = ()
    shadow: timedelta = timedelta()
    reactions: Reactions = field(default_factory=Reactions)

    @property
    def alpha(self) -> float:
        """Of a false rollback by each guardrail and each limit of quality."""
        return self.level / max(1, len(self.guardrails) + len(self.quality))

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
        stage: the number of the stage, from 0; `SHADOW_STAGE`.
        entered: when it began.
        exposures: units at their first exposure, champion first, by stage up to this one.
        guardrails: metric → what was counted; a metric that could not be counted is left out.
        faults: why the evidence cannot be believed, in sentences: a log that cannot be read, a lease that has ended.
        sampled: units that the challenger answered in this stage; None: those that met it here first.
        exposed: units of this stage, of both variants; None: not known.
        repeated: units of this stage that both variants answered.
        idle: time since the last unit was exposed.
        control: the champion's own answers since the stage began; None: not known.
        quality: metric → what both versions lost on the same rows, as far as labels are known.
        entities: that may be asked about; 0: not known.
    """

    stage: int
    entered: datetime
    exposures: tuple[SampleCounts, ...]
    guardrails: Mapping[str, GuardrailEvidence] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    sampled: int | None = None
    exposed: int | None = None
    repeated: int = 0
    idle: timedelta = timedelta()
    control: ControlEvidence | None = None
    quality: Mapping[str, PairedLosses] = field(default_factory=dict)
    entities: int = 0

    @property
    def units(self) -> int:
        """The units that the challenger has answered in this stage."""
        if self.sampled is not None:
            return self.sampled
        return self.exposures[-1].units[-1] if self.exposures else 0


RolloutVerdict = Verdict[RolloutAction, GuardrailResult]
"""Its numbers are the guardrails."""


def decide(policy: RolloutPolicy, evidence: RolloutEvidence, now: datetime) -> RolloutVerdict:
    """Advance, promote, hold, roll back, or say that nothing can be decided.

    >>> start = datetime(2026, 6, 1)
    >>> counted = RolloutEvidence(0, start, (SampleCounts((9_000, 1_000), (0.9, 0.1)),))
    >>> decide(RolloutPolicy(), counted, start + timedelta(hours=2)).reason
    '1,000 units in 2 h at a share of 10 %: on to 50 %'
    """
    results = _judge(policy, evidence)
    action, reasons = _conclude(policy, evidence, results, now)
    return Verdict(action, "; ".join([*reasons, *_reasons(_doubts(policy, evidence), Reaction.WARN)]), results)


def _conclude(
    policy: RolloutPolicy, evidence: RolloutEvidence, results: tuple[GuardrailResult, ...], now: datetime
) -> tuple[RolloutAction, list[str]]:
    """The action and its reasons, in the order in which they weigh."""
    broken = doubt_control(evidence.control)
    unsplit = doubt_split(evidence.control, evidence.exposed, now - evidence.entered)
    in_order = (
        (RolloutAction.ERROR, [*evidence.faults]),
        (RolloutAction.ROLL_BACK, _reasons(_doubts(policy, evidence), Reaction.ROLL_BACK)),
        (RolloutAction.ERROR, _reasons(_doubts_of_counts(policy, evidence), Reaction.HOLD)),
        (RolloutAction.ROLL_BACK, [each.reason for each in results if each.status is GuardrailStatus.BREACHED]),
        (RolloutAction.ERROR, [broken] if broken else []),
        (RolloutAction.ROLL_BACK, [unsplit] if unsplit and evidence.stage != SHADOW_STAGE else []),
    )
    for action, reasons in in_order:
        if reasons:
            return action, reasons
    lacking = _lacking(policy, evidence, results, now)
    if not lacking:
        return _next(policy, evidence, now)
    if now - evidence.entered >= policy.patience:
        return policy.then, [f"nothing proven within {write_span(policy.patience)}: {'; '.join(lacking)}"]
    return RolloutAction.HOLD, lacking


def _doubts_of_counts(policy: RolloutPolicy, evidence: RolloutEvidence) -> list[EvidenceDoubt]:
    return doubt_assignment(policy.reactions, evidence.exposures, evidence.repeated)


def _doubts_of_traffic(policy: RolloutPolicy, evidence: RolloutEvidence) -> list[EvidenceDoubt]:
    return doubt_traffic(policy.reactions, evidence.idle)


def _doubts(policy: RolloutPolicy, evidence: RolloutEvidence) -> list[EvidenceDoubt]:
    return [*_doubts_of_counts(policy, evidence), *_doubts_of_traffic(policy, evidence)]


def _reasons(doubts: list[EvidenceDoubt], reaction: Reaction) -> list[str]:
    return [each.reason for each in doubts if each.reaction is reaction]


def _judge(policy: RolloutPolicy, evidence: RolloutEvidence) -> tuple[GuardrailResult, ...]:
    """Every guardrail; while nobody sees the challenger's answers, those that need no traffic of its own."""
    share = policy.stages[max(0, evidence.stage)]
    unseen = evidence.stage == SHADOW_STAGE
    judged = (
        judge_guardrail(each, evidence.guardrails.get(each.metric), share, policy.alpha, policy.proof)
        for each in policy.guardrails
        if not unseen or each.metric == DISAGREEMENT
    )
    quality = (
        judge_quality(each, evidence.quality.get(each.metric), policy.alpha, policy.proof) for each in policy.quality
    )
    return (*judged, *quality)


def _lacking(
    policy: RolloutPolicy, evidence: RolloutEvidence, results: tuple[GuardrailResult, ...], now: datetime
) -> list[str]:
    """What the stage still waits for."""
    labelled = {each.metric for each in policy.quality}
    lacking = [each.reason for each in results if each.status is GuardrailStatus.UNKNOWN and each.name not in labelled]
    lacking += _reasons(_doubts_of_traffic(policy, evidence), Reaction.HOLD)
    if evidence.stage == SHADOW_STAGE:
        return [*lacking, *_left(policy.shadow, "answers in shadow", now - evidence.entered)]
    if evidence.units < (needed := reachable_sample(policy, evidence)):
        few = _explain_sample(policy, evidence).replace("%", " %")
        lacking.append(f"{evidence.units:,} of {needed:,} units seen by the challenger{few}")
    lacking += _left(policy.bake, "bake", now - evidence.entered)
    if policy.prove_each_stage or evidence.stage >= len(policy.stages) - 2:
        open_margins = (each for each in results if each.needed and each.status is GuardrailStatus.OPEN)
        lacking += [each.reason for each in open_margins]
        required = {each.metric for each in policy.quality if each.required}
        lacking += [
            each.reason for each in results if each.name in required and each.status is not GuardrailStatus.PROVEN
        ]
    return lacking


def reachable_sample(policy: RolloutPolicy, evidence: RolloutEvidence) -> int:
    """The units that the challenger answers before a stage ends: the sample, or most of what its share can give.

    A stage whose share of all entities is smaller than the sample would be held for ever. The tests hold at any number
    of units, so a smaller sample makes no error more probable; it proves less, and the verdict says so.

    >>> few = RolloutEvidence(0, datetime(2026, 6, 1), (), entities=3_000)
    >>> reachable_sample(RolloutPolicy(), few), reachable_sample(RolloutPolicy(stages=(0.5, 1)), few)
    (240, 1000)
    """
    if not evidence.entities:
        return policy.sample
    share = policy.stages[max(0, evidence.stage)]
    return max(1, min(policy.sample, round(_ASKED * share * evidence.entities)))


def _explain_sample(policy: RolloutPolicy, evidence: RolloutEvidence) -> str:
    """Why fewer units are enough than are declared; empty where they are not."""
    if reachable_sample(policy, evidence) == policy.sample:
        return ""
    share = policy.stages[max(0, evidence.stage)]
    few = f"{share:.0%} of {evidence.entities:,} entities are {share * evidence.entities:,.0f}"
    return f" ({few}, too few for a sample of {policy.sample:,})"


def _left(needed: timedelta, what: str, passed: timedelta) -> list[str]:
    return [f"{write_span(needed - passed)} left of the {what} of {write_span(needed)}"] if passed < needed else []


def _next(policy: RolloutPolicy, evidence: RolloutEvidence, now: datetime) -> tuple[RolloutAction, list[str]]:
    following, passed = policy.stages[evidence.stage + 1], write_span(now - evidence.entered)
    if evidence.stage == SHADOW_STAGE:
        seen = f"{passed} of answers in shadow"
    else:
        seen = f"{evidence.units:,} units in {passed} at a share of {policy.stages[evidence.stage]:.0%}"
        seen += _explain_sample(policy, evidence) if evidence.units < policy.sample else ""
    action = RolloutAction.PROMOTE if following == 1 else RolloutAction.ADVANCE
    return action, [f"{seen}: on to {following:.0%}".replace("%", " %")]
