"""Rollouts: a candidate is offered, its turn comes, it is measured, and each step is taken once and applied.

    step = begin(lake, registry, store, folder, spec, actor="sensor", now=now).step
    while step.is_open:                                     # at each tick, by as many processes as one likes
        apply_step(lake, registry, model, now=now)          # what was claimed and then killed; renews the lease
        measurement = measure(lake, registry, store, model, now=now)
        if measurement.action != "hold":                    # or every `spec.every`, so that it is kept
            step = take_step(lake, registry, model, measurement, actor="sensor", now=now)

`offer`, `begin`, `measure` and `apply_step` have files of their own.
"""

from dataclasses import replace
from datetime import datetime

from ml_assets.errors import TrainingError
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.begin import Beginning, begin
from ml_assets.rollouts.ledger import Action, RolloutStep, claim, ledger, open_step, time_after
from ml_assets.rollouts.measurement import Measurement, measure
from ml_assets.rollouts.offers import offer
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry

__all__ = [
    "Beginning", "Measurement", "apply_step", "begin", "measure", "offer", "promote_by_hand", "resume",
    "roll_back_by_hand", "take_step",
]  # fmt: skip

_COMPACTED_EACH = 50
"""So many steps of a ledger are files of their own before closed days become one."""


def take_step(
    lake: Lake, registry: Registry, model: str, measurement: Measurement, *, actor: str, now: datetime
) -> RolloutStep:
    """Take the step that follows from a measurement, once, and apply what stands; another process may have been first.

    Args:
        lake: where the ledger is.
        registry: aliases and routes.
        model: the model's folder.
        measurement: what was counted, and what follows.
        actor: who takes it.
        now: naive UTC.
    """
    row = _following(measurement.step, measurement.action, measurement.reason, actor, now)
    stands = claim(lake, model, replace(row, evidence=measurement.evidence, store=measurement.store))
    apply_step(lake, registry, model, now=now)
    if stands.step % _COMPACTED_EACH == 0:
        lake.compact(ledger(model).table)
    return stands


def _following(last: RolloutStep, action: Action, reason: str, actor: str, now: datetime) -> RolloutStep:
    """The row after a row: some actions change the stage, and some begin one."""
    at, number = time_after(last, now), last.step + 1
    row = replace(last, step=number, at=at, actor=actor, action=action, reason=reason)
    if action in {"advance", "promote", "restart"}:
        row = replace(row, began=number, began_at=at)
    if action in {"advance", "promote"}:
        stages = RolloutSpec.model_validate_json(last.policy).stages
        stage = last.stage + 1 if action == "advance" else len(stages) - 1
        row = replace(row, stage=stage, share=stages[stage])
    return row if row.is_open or action == "promote" else replace(row, share=0.0)


def roll_back_by_hand(
    lake: Lake, registry: Registry, model: str, *, reason: str, actor: str, now: datetime
) -> RolloutStep:
    """End the rollout that is running: the champion answers everything.

    Args:
        lake: where the ledger is.
        registry: aliases and routes.
        model: the model's folder.
        reason: why, for the ledger.
        actor: who.
        now: naive UTC.

    Raises:
        TrainingError: no rollout is running, or there is no reason.
    """
    return _insist(lake, registry, model, "roll_back", reason, actor, now)


def promote_by_hand(
    lake: Lake, registry: Registry, model: str, *, reason: str, actor: str, now: datetime
) -> RolloutStep:
    """Make the challenger the champion, whatever is proven.

    Args:
        lake: where the ledger is.
        registry: aliases and routes.
        model: the model's folder.
        reason: why, for the ledger.
        actor: who.
        now: naive UTC.

    Raises:
        TrainingError: no rollout is running, or there is no reason.
    """
    return _insist(lake, registry, model, "promote", reason, actor, now)


def resume(lake: Lake, registry: Registry, model: str, *, reason: str, actor: str, now: datetime) -> RolloutStep:
    """Begin the stage anew with other units, after what made its counts unbelievable was put right.

    Args:
        lake: where the ledger is.
        registry: aliases and routes.
        model: the model's folder.
        reason: what was put right, for the ledger.
        actor: who.
        now: naive UTC.

    Raises:
        TrainingError: no rollout is running, or there is no reason.
    """
    return _insist(lake, registry, model, "restart", reason, actor, now)


def _insist(
    lake: Lake, registry: Registry, model: str, action: Action, reason: str, actor: str, now: datetime
) -> RolloutStep:
    """Take a step that a person wants: where another process takes the next one first, the one after it."""
    if not reason.strip():
        raise TrainingError(f"{model}: a reason is needed: say with --reason why")
    while (last := open_step(lake, model)) is not None:
        row = _following(last, action, " ".join(reason.split())[:1000], actor, now)
        if action == "restart":
            row = replace(row, salt=f"{model}/{row.experiment}")
        if claim(lake, model, row) == row:
            apply_step(lake, registry, model, now=now)
            return row
    raise TrainingError(f"{model}: no rollout is running")
