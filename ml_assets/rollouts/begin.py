"""The beginning of a rollout: the newest offer's turn comes, if nothing speaks against it."""

from dataclasses import dataclass, replace
from datetime import datetime

from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.rollout import SHADOW_STAGE
from ml_assets.events.store import EventStore
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.baseline import FEWEST, RolloutBaseline, measure_champion
from ml_assets.rollouts.ledger import RolloutStep, claim_start, last_step, ledger, time_after
from ml_assets.rollouts.offers import RolloutOffer, next_offer, refuse_offer
from ml_assets.rollouts.routes import current_route, owner_of, to_seconds
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.release import obstacle


@dataclass(frozen=True)
class Beginning:
    """The rollout that is running, and a sentence; None: none is, and the sentence says why."""

    step: RolloutStep | None
    reason: str


def begin(
    lake: Lake,
    registry: Registry,
    store: EventStore,
    folder: ModelDefinition,
    spec: RolloutSpec,
    *,
    actor: str,
    now: datetime,
    workers: int = 2,
) -> Beginning:
    """Begin the rollout of the newest offer, if none is running and nothing speaks against it.

    Its gates are asked again beside the champion of today, who may be another one than when it was offered.

    Args:
        lake: where the ledgers are.
        registry: where the versions are.
        store: where servers write.
        folder: the model.
        spec: how a candidate earns its traffic; frozen for the whole rollout.
        actor: who begins it.
        now: naive UTC.
        workers: as-of dates computed side by side.

    Raises:
        EventStoreError: the event store does not answer.
    """
    last, waiting, champion = (
        last_step(lake, folder.name),
        next_offer(lake, folder.name),
        registry.champion(folder.name),
    )
    if last is not None and last.is_open:
        return Beginning(last, f"rollout {last.rollout} is running: {last.reason}")
    if waiting is None or champion is None:
        return Beginning(None, "no candidate waits for its rollout")
    if (name := running_experiment(registry, folder.name, now)) is not None:
        return Beginning(None, f"version {waiting.version} waits until experiment {name} has ended")
    version = registry.version(folder.name, waiting.version)
    if (why := _refusal(lake, registry, folder, version, waiting, workers)) is not None:
        refuse_offer(lake, folder.name, waiting, why)
        return Beginning(None, f"version {version.number} is refused: {why}")
    baseline = measure_champion(lake, store, folder.name, champion.number, unit=spec.unit, now=now)
    if baseline.answers < FEWEST:
        return Beginning(None, _too_quiet(version, champion, baseline))
    baseline = _complete(lake, registry, folder, spec, baseline, champion, version, workers)
    row = _first(lake, folder.name, spec, baseline, champion, version, waiting, store.identity, actor, now)
    stands = claim_start(lake, folder.name, row, last)
    apply_step(lake, registry, folder.name, now=now)
    return Beginning(stands, stands.reason)


def running_experiment(registry: Registry, model: str, now: datetime) -> str | None:
    """The experiment that has the traffic of a model; None: none has."""
    route = current_route(registry, model)
    return owner_of(route) if route is not None and route.is_in_force(to_seconds(now)) else None


def _refusal(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, waiting: RolloutOffer, workers: int
) -> str | None:
    """Why an offer is not begun although it was good when it was made; None: nothing speaks against it."""
    champion = registry.champion(folder.name)
    if champion is not None and champion.number == version.number:
        return "it is the champion already"
    if not waiting.gated:
        return None
    from ml_assets.training.report import report

    verdict = report(lake, registry, folder, version, workers=workers).verdict
    if verdict.action is not GateAction.SHIP:
        return verdict.reason
    return obstacle(lake, registry, version, verdict)


def _too_quiet(version: Version, champion: Version, baseline: RolloutBaseline) -> str:
    return (
        f"version {version.number} waits: version {champion.number}, the champion, has answered {baseline.answers} of "
        f"the {FEWEST} times that its limits are made of; without traffic `ml-assets rollback {version.model} --to "
        f"{version.number} --reason …` makes it the champion"
    )


def _complete(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: RolloutSpec, baseline: RolloutBaseline,
    champion: Version, version: Version, workers: int,
) -> RolloutBaseline:  # fmt: skip
    _ = (lake, registry, champion, version, workers)
    after = spec.shadow_after(folder.spec.label.horizon).total_seconds()
    return replace(baseline, shadow_after=after)


def _first(
    lake: Lake, model: str, spec: RolloutSpec, baseline: RolloutBaseline, champion: Version, version: Version,
    waiting: RolloutOffer, store: str, actor: str, now: datetime,
) -> RolloutStep:  # fmt: skip
    past = ledger(model).history(lake)
    attempt = 1 + sum(step.action == "start" and step.challenger == version.number for step in past)
    at, rollout = time_after(past[-1] if past else None, max(now, waiting.at)), f"{version.number}-{attempt}"
    stage = SHADOW_STAGE if spec.shadow.first else 0
    return RolloutStep(
        rollout=rollout, step=0, at=at, actor=actor, action="start", stage=stage,
        share=0.0 if stage == SHADOW_STAGE else spec.stages[0], reason=waiting.reason, control=champion.number,
        challenger=version.number, began=0, began_at=at, salt=f"{model}/{rollout}", policy=spec.model_dump_json(),
        baseline=baseline.to_json(), evidence="{}", store=store,
    )  # fmt: skip
