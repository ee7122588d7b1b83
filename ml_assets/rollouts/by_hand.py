"""A person goes back: what runs is ended first, whatever it is, and then another version is the champion."""

from datetime import datetime

from ml_assets.rollouts import experiment, experiment_ledger, turns
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.ledger import open_step
from ml_assets.rollouts.rollout import roll_back_by_hand
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.release import explain
from ml_assets.training.rollback import rollback

_EXPERIMENT = "experiment "


def go_back(
    lake: Lake, registry: Registry, model: str, *, to: int | None, reason: str, actor: str, now: datetime
) -> str:
    """End the rollout that is running; without one, or where a version is named, make that version the champion.

    Args:
        lake: where the ledgers are.
        registry: aliases and routes.
        model: the model's folder.
        to: the number of a version; None: the champion stays where a rollout is running, else the one before it.
        reason: why, for the ledgers.
        actor: who.
        now: naive UTC.

    Returns:
        The sentence that says who answers now.

    Raises:
        TrainingError: there is no reason, nothing to go back to, or the version was never released.
    """
    apply_step(lake, registry, model, now=now)  # a promotion that was claimed and then killed is one to go back from
    ended = open_step(lake, model)
    if ended is not None:
        roll_back_by_hand(lake, registry, model, reason=reason, actor=actor, now=now)
    if ended is None or (to is not None and to != ended.control):
        rollback(lake, registry, model, to=to, reason=reason, decided_at=now)
        apply_step(lake, registry, model, now=now)
    _stop_experiment(lake, registry, model, reason, actor, now)
    champion = registry.champion(model)
    number = champion.number if champion else 0
    first = f"rollout {ended.rollout} of version {ended.challenger} is ended; " if ended else ""
    return f"{first}{explain(lake, model, number)}"


def _stop_experiment(lake: Lake, registry: Registry, model: str, reason: str, actor: str, now: datetime) -> None:
    """Its control does not answer any more."""
    name = (turns.turn_holder(lake, model) or "").removeprefix(_EXPERIMENT)
    last = experiment_ledger.ledger(model, name).last(lake) if name else None
    if last is not None and last.is_open:
        why = f"its control was rolled back: {reason}"
        experiment.stop(lake, registry, model, name, now, actor=actor, reason=why)
