"""The beginning of a rollout: the newest offer's turn comes, if nothing speaks against it."""

from dataclasses import dataclass, replace
from datetime import datetime

from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.quality import FEWEST_PAIRS
from ml_assets.decisions.rollout import SHADOW_STAGE
from ml_assets.errors import DataError, MlAssetsError, RegistryError, TrainingError
from ml_assets.events.store import EventStore
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.baseline import FEWEST, RolloutBaseline, count_entities, measure_champion
from ml_assets.rollouts.disagreement import expected_disagreement
from ml_assets.rollouts.ledger import RolloutStep, claim_start, is_of_rollout, last_step, ledger, time_after, turn_of
from ml_assets.rollouts.offers import RolloutOffer, next_offer, refuse_offer
from ml_assets.rollouts.turns import TurnTakenError, end_turn, take_turn, turn_holder
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import ManifestError
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
    # In this order: an offer that another process began in between is seen as a rollout that is running.
    waiting, last = next_offer(lake, folder.name), last_step(lake, folder.name)
    champion = registry.champion(folder.name)
    if last is not None and last.is_open:
        apply_step(lake, registry, folder.name, now=now)  # whoever began it may have been killed
        return Beginning(last, f"rollout {last.rollout} is running: {last.reason}")
    if waiting is None or champion is None:
        return Beginning(None, "no candidate waits for its rollout")
    version = registry.version(folder.name, waiting.version)
    try:
        rollout = _take_turn(lake, folder.name, waiting, now)
        baseline = measure_champion(lake, registry, store, champion, unit=spec.unit, now=now)
        _require_answers(champion, version, baseline)
        _require_good(lake, registry, folder, champion, version, waiting, workers)
        baseline = _complete(lake, registry, folder, spec, baseline, champion, version, workers)
    except _RefusedError as error:
        refuse_offer(lake, folder.name, waiting, str(error))
        return Beginning(None, f"version {version.number} is refused: {error}")
    except (DataError, ManifestError, RegistryError, TrainingError, TurnTakenError) as error:
        return Beginning(None, f"version {version.number} waits: {error}")
    row = _first(folder.name, rollout, spec, baseline, champion, version, waiting, store.identity, actor, now)
    at = time_after(last, row.at)
    stands = claim_start(lake, folder.name, replace(row, at=at, began_at=at), last)
    if stands.rollout != rollout:  # another process began one of a newer offer
        end_turn(lake, folder.name, turn_of(rollout), now)
        take_turn(lake, folder.name, turn_of(stands.rollout), now)
    apply_step(lake, registry, folder.name, now=now)
    return Beginning(stands, stands.reason)


class _RefusedError(MlAssetsError):
    """An offer is not good any more, now that its turn has come."""


def _take_turn(lake: Lake, model: str, waiting: RolloutOffer, now: datetime) -> str:
    """The name of the rollout, once it is its turn."""
    past = ledger(model).history(lake)
    attempt = 1 + sum(step.action == "start" and step.challenger == waiting.version for step in past)
    rollout = f"{waiting.version}-{attempt}"
    holder = turn_holder(lake, model) or ""
    if is_of_rollout(holder) and holder != turn_of(rollout):  # of one that was killed before its first step
        end_turn(lake, model, holder, now)
    take_turn(lake, model, turn_of(rollout), now)
    return rollout


def _require_answers(champion: Version, version: Version, baseline: RolloutBaseline) -> None:
    """Wait until there is enough to make limits of."""
    if baseline.answers < FEWEST:
        raise TrainingError(
            f"version {champion.number}, the champion, has answered {baseline.answers} of the {FEWEST} times that the "
            f"limits are made of; without traffic `ml-assets rollback {version.model} --to {version.number} "
            "--reason …` makes it the champion"
        )


def _require_good(
    lake: Lake, registry: Registry, folder: ModelDefinition, champion: Version, version: Version,
    waiting: RolloutOffer, workers: int,
) -> None:  # fmt: skip
    """Refuse what was good when it was offered, and is not beside the champion of today."""
    if champion.number == version.number:
        raise _RefusedError("it is the champion already")
    if not waiting.gated:
        return
    from ml_assets.training.report import report

    verdict = report(lake, registry, folder, version, workers=workers).verdict
    why = verdict.reason if verdict.action is not GateAction.SHIP else obstacle(lake, registry, version, verdict)
    if why is not None:
        raise _RefusedError(why)


def _complete(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: RolloutSpec, baseline: RolloutBaseline,
    champion: Version, version: Version, workers: int,
) -> RolloutBaseline:  # fmt: skip
    """The baseline with what the declaration and the test rows say."""
    after = spec.shadow_after(folder.spec.label.horizon).total_seconds()
    known = count_entities(lake, folder.name) if spec.unit == "entity" else 0
    baseline = replace(baseline, shadow_after=after, entities=known)
    if all(each.metric != "disagreement" for each in spec.guardrails):
        return baseline
    expected = expected_disagreement(lake, registry, folder, champion, version, workers=workers)
    return replace(baseline, disagreement=expected)


def explain_pairs(spec: RolloutSpec, entities: int) -> list[str]:
    """Why labels will decide nothing: too few units are answered by both versions.

    Args:
        spec: as declared.
        entities: that may be asked about; 0: not known.
    """
    pairs = round(spec.shadow.share * entities)
    if not entities or not spec.quality or pairs >= FEWEST_PAIRS:
        return []
    metrics = ", ".join(each.metric for each in spec.quality)
    given = f"a shadow.share of {spec.shadow.share:g} of {entities:,} entities gives about {pairs:,} rows"
    return [f"{metrics} cannot be judged by labels: {given} that both answer, {FEWEST_PAIRS:,} are needed: raise it"]


def _first(
    model: str, rollout: str, spec: RolloutSpec, baseline: RolloutBaseline, champion: Version, version: Version,
    waiting: RolloutOffer, store: str, actor: str, now: datetime,
) -> RolloutStep:  # fmt: skip
    at, stage = max(now, waiting.at), SHADOW_STAGE if spec.shadow.first else 0
    reason = "; ".join([waiting.reason, *explain_pairs(spec, baseline.entities)])
    return RolloutStep(
        rollout=rollout, step=0, at=at, actor=actor, action="start", stage=stage,
        share=0.0 if stage == SHADOW_STAGE else spec.stages[0], reason=reason, control=champion.number,
        challenger=version.number, began=0, began_at=at, salt=f"{model}/{rollout}", policy=spec.model_dump_json(),
        baseline=baseline.to_json(), evidence="{}", store=store,
    )  # fmt: skip
