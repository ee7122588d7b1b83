"""A measurement of a running rollout: what was counted of it, and what follows. Nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ml_assets.decisions.doubts import BROKEN, ControlEvidence
from ml_assets.decisions.guardrail import Guardrail, GuardrailEvidence, GuardrailResult
from ml_assets.decisions.rates import RateStage
from ml_assets.decisions.rollout import SHADOW_STAGE, RolloutEvidence, decide
from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.decisions.sample_ratio import SampleCounts
from ml_assets.events.counts import TrafficCounts, TrafficTally, tally_traffic
from ml_assets.events.exposures import ERROR, MISSING, SLOW
from ml_assets.events.rows import EventStoreError
from ml_assets.events.store import EventStore
from ml_assets.rollouts.baseline import RolloutBaseline, count_requests
from ml_assets.rollouts.late_verdict import read_losses
from ml_assets.rollouts.ledger import Action, RolloutStep, counted_stages, open_step, steps_of
from ml_assets.rollouts.routes import TOLERANCE, current_route
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry

_LEAST_DISAGREEMENT = 0.005
"""Versions that agree on all test rows may still disagree on so many live ones."""
_MOST_DISAGREEMENT = 0.99


@dataclass(frozen=True)
class Measurement:
    """What was counted, and what follows.

    Args:
        step: that was in force.
        at: when, naive UTC.
        action: what follows.
        reason: in a sentence.
        guardrails: each with its numbers and its sentence.
        stages: the stages whose counts hold.
        counts: what was counted in each.
        store: the identity of the event store; that of the step where it does not answer.
        until: table of the event store → the number of its last row that was counted.
    """

    step: RolloutStep
    at: datetime
    action: Action
    reason: str
    guardrails: tuple[GuardrailResult, ...] = ()
    stages: tuple[RolloutStep, ...] = ()
    counts: tuple[TrafficCounts, ...] = ()
    store: str = ""
    until: Mapping[str, int] = field(default_factory=dict)

    @property
    def spec(self) -> RolloutSpec:
        """The declaration as it was when the rollout started."""
        return RolloutSpec.model_validate_json(self.step.policy)

    @property
    def baseline(self) -> RolloutBaseline:
        """What the limits are made of."""
        return RolloutBaseline.from_json(self.step.baseline)

    @property
    def evidence(self) -> str:
        """JSON, for the ledger: `guardrails`, `stages` with their counts, and `until` where these go."""
        stages = [
            {"stage": stage.stage, "share": stage.share, **msgspec.to_builtins(counts)}
            for stage, counts in zip(self.stages, self.counts, strict=True)
        ]
        kept = {"guardrails": self.guardrails, "stages": stages, "until": self.until}
        return msgspec.json.encode(kept).decode()


def measure(lake: Lake, registry: Registry, store: EventStore, model: str, *, now: datetime) -> Measurement | None:
    """Count what the servers wrote of a running rollout and decide; None where none is running.

    Args:
        lake: where the ledger is.
        registry: who is champion, and which route is in force.
        store: where servers write.
        model: the model's folder.
        now: naive UTC.
    """
    step = open_step(lake, model)
    if step is None:
        return None
    now = max(now, step.at)
    if (moved := _find_move(registry, model, step)) is not None:
        return Measurement(step, now, "close", moved, store=step.store)
    try:
        identity = store.identity
        if (gap := _find_gap(registry, model, step, identity, now)) is not None:
            return Measurement(step, now, "restart", gap, store=identity)
        return _count(lake, store, model, step, now)
    except EventStoreError as error:
        return Measurement(step, now, "error", f"the log cannot be read: {error}", store=step.store)


def _find_move(registry: Registry, model: str, step: RolloutStep) -> str | None:
    champion = registry.champion(model)
    if champion is not None and champion.number == step.control:
        return None
    who = "nobody" if champion is None else f"version {champion.number}"
    return (
        f"{who} is the champion, not version {step.control}, which the rollout compares with: somebody moved the alias"
    )


def _find_gap(registry: Registry, model: str, step: RolloutStep, identity: str, now: datetime) -> str | None:
    """Why what was counted in this stage does not hold together with what is counted from now on."""
    if identity != step.store:
        return "the event store is another one than that in which the stage was counted: the stage begins anew"
    route = current_route(registry, model)
    if route is None or route.experiment != step.experiment or route.until is None:
        return None
    ended = datetime.fromtimestamp(route.until, UTC).replace(tzinfo=None)
    if now <= ended + TOLERANCE:
        return None
    return f"nobody watched from {ended:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC: the stage begins anew"


def _count(lake: Lake, store: EventStore, model: str, step: RolloutStep, now: datetime) -> Measurement:
    steps = steps_of(lake, model, step.rollout)
    stages = counted_stages(steps)
    names = [stage.experiment for stage in stages]
    tally = tally_traffic(store, model, names, find_tally(steps, step.store, names))
    counts = tally.counts
    requests = count_requests(lake, store, model, step.began_at)
    spec, baseline = RolloutSpec.model_validate_json(step.policy), RolloutBaseline.from_json(step.baseline)
    evidence = RolloutEvidence(
        step.stage,
        step.began_at,
        count_exposures(stages, counts),
        count_guardrails(spec.policy.guardrails, baseline, stages, counts),
        faults=_find_broken(model, step, steps),
        exposed=sum(counts[-1].exposed.values()),
        sampled=counts[-1].exposed.get(CHALLENGER, 0),
        repeated=counts[-1].repeated,
        idle=_idle(step, counts[-1], now),
        control=ControlEvidence(requests.answers, requests.errors, baseline.error_rate + _margin(spec)),
        quality=read_losses(lake, model, step.rollout),
        entities=baseline.entities,
    )
    verdict = decide(spec.policy, evidence, now)
    action: Action = verdict.action.value
    return Measurement(
        step, now, action, verdict.reason, verdict.numbers, tuple(stages), counts, step.store, tally.until
    )


def find_tally(steps: Sequence[RolloutStep], store: str, names: Sequence[str]) -> TrafficTally | None:
    """What the ledger keeps of an earlier measurement from which counting may go on; None: everything is counted.

    Args:
        steps: of the rollout, in order.
        store: the identity of the event store, whose numbers mean nothing in another one.
        names: of the stages whose counts hold. One that began anew is another one, and what was counted with the stage
            in its place is of no use.
    """
    for step in reversed(steps):
        if step.store != store:
            return None
        kept = read_evidence(step)
        counts = tuple(msgspec.convert(each, TrafficCounts) for each in kept.get("stages", ()))
        if kept.get("until") and [each.experiment for each in counts] == [*names[: len(counts)]]:
            return TrafficTally(counts, kept["until"])
    return None


def _margin(spec: RolloutSpec) -> float:
    """By how much more the champion may fail and still be as before; without a limit of errors it may always."""
    return next((each.at_most_worse for each in spec.guardrails if each.metric == "errors" and each.at_most_worse), 1.0)


def _find_broken(model: str, step: RolloutStep, steps: Sequence[RolloutStep]) -> tuple[str, ...]:
    """Why the counts of this stage are not believed any more, whatever they say now: what is rejected stays so."""
    broken = [each for each in steps if each.step >= step.began and each.action == "error" and BROKEN in each.reason]
    if not broken:
        return ()
    said = broken[0].reason.partition("; `")[0]
    return (f"{said}; `ml-assets rollout {model} resume --reason …` begins the stage anew",)


def _idle(step: RolloutStep, counts: TrafficCounts, now: datetime) -> timedelta:
    """How long nobody was exposed; a clock that is ahead makes it no less than nothing."""
    last = now if step.stage == SHADOW_STAGE else step.began_at
    if counts.last is not None:
        last = max(last, datetime.fromtimestamp(counts.last / 1e6, UTC).replace(tzinfo=None))
    return max(timedelta(), now - last)


def count_exposures(stages: Sequence[RolloutStep], counts: Sequence[TrafficCounts]) -> tuple[SampleCounts, ...]:
    """Units at their first exposure, champion first, by stage; a stage in shadow only has none."""
    return tuple(
        SampleCounts(tuple(each.first.get(name, 0) for name in (CHAMPION, CHALLENGER)), (1 - stage.share, stage.share))
        for stage, each in zip(stages, counts, strict=True)
        if stage.stage != SHADOW_STAGE
    )


def count_guardrails(
    guardrails: Sequence[Guardrail],
    baseline: RolloutBaseline,
    stages: Sequence[RolloutStep],
    counts: Sequence[TrafficCounts],
) -> Mapping[str, GuardrailEvidence]:
    """Units with a first bad event, by guardrail; one that cannot be counted is left out.

    Args:
        guardrails: of the rollout.
        baseline: what their limits are made of.
        stages: whose counts hold.
        counts: of each of them.
    """
    seen = [pair for pair in zip(stages, counts, strict=True) if pair[0].stage != SHADOW_STAGE]

    def failures(reason: str) -> tuple[RateStage, ...]:
        return tuple(_rate_stage(stage.share, each.failures.get(reason, {})) for stage, each in seen)

    answered = sum(each.first.get(CHALLENGER, 0) for _, each in seen)
    evidence: dict[str, GuardrailEvidence] = {
        "errors": GuardrailEvidence((failures(ERROR),), baseline.error_rate, answered),
        "missing": GuardrailEvidence((failures(MISSING),), baseline.missing_rate, answered),
    }
    if baseline.latency:
        evidence["latency"] = GuardrailEvidence(tuple(failures(reason) for reason in SLOW), 0.05)
    times = next((each.at_most_times for each in guardrails if each.metric == "disagreement"), None)
    if times is not None and baseline.disagreement is not None:
        evidence["disagreement"] = _disagreement(times * max(baseline.disagreement, _LEAST_DISAGREEMENT), counts)
    return evidence


def _rate_stage(share: float, failures: Mapping[str, int]) -> RateStage:
    of_challenger = failures.get(CHALLENGER, 0)
    return RateStage(failures.get(CHAMPION, 0) + of_challenger, of_challenger, share)


def _disagreement(expected: float, counts: Sequence[TrafficCounts]) -> GuardrailEvidence:
    limit = min(expected, _MOST_DISAGREEMENT)
    shadowed, disagreeing = sum(each.shadowed for each in counts), sum(each.disagreeing for each in counts)
    return GuardrailEvidence(((RateStage(shadowed, disagreeing, limit),),), limit)


def read_evidence(step: RolloutStep) -> dict[str, Any]:
    """What a step kept of its measurement: `guardrails` and `stages`; empty where nothing was measured."""
    evidence: dict[str, Any] = msgspec.json.decode(step.evidence)
    return evidence
