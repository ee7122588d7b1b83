"""What a step of a rollout means for the registry: which route is in force, which aliases there are, who is champion.

It is made from the last row of the ledger, as often as one likes and by as many processes as one likes. The order of
its writes leaves a servable state wherever it is killed: servers ignore a route whose default version is not the
champion, so between the move of the champion and its new route the new champion answers everything.
"""

import contextlib
from dataclasses import replace
from datetime import datetime

from ml_assets.decisions.route import CHALLENGER, PREVIOUS, Route
from ml_assets.errors import TrainingError
from ml_assets.rollouts.ledger import RolloutStep, last_step, steps_of, turn_of
from ml_assets.rollouts.routes import (
    belongs_to,
    current_route,
    owner_of,
    shadow_end,
    shadow_route,
    split_route,
    to_seconds,
)
from ml_assets.rollouts.turns import end_turn
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import LedgerRelease, append, complete
from ml_assets.training.rollback import reached_as_of, rollback, time_of_move

_FRESH = 0.8
"""A lease is renewed when less of it than this share is left."""


def apply_step(lake: Lake, registry: Registry, model: str, *, now: datetime) -> RolloutStep | None:
    """Bring the registry to what the last step of the ledger says, and renew the lease of a rollout that is running.

    A lease that has ended is not renewed: `measure` sees the gap, and the stage begins anew.

    Args:
        lake: where the ledger is.
        registry: aliases and routes.
        model: the model's folder.
        now: naive UTC.

    Returns:
        The last step; None where there never was a rollout.
    """
    step = last_step(lake, model)
    if step is None:
        return None
    if step.is_open:
        _split(registry, model, step, max(now, step.at))
        return step
    if step.action == "promote":
        _promote(lake, registry, model, step, now)
    else:
        _end(lake, registry, model, step)
    end_turn(lake, model, turn_of(step.rollout), now)
    return step


def _split(registry: Registry, model: str, step: RolloutStep, now: datetime) -> None:
    champion = registry.champion(model)
    if champion is None or champion.number != step.control:
        return  # `measure` closes the rollout
    lease = RolloutSpec.model_validate_json(step.policy).lease
    route, current = split_route(model, step, now + lease), current_route(registry, model)
    if current is not None and replace(current, until=route.until) == route:
        left = (current.until or 0) - to_seconds(now)
        if left > _FRESH * lease.total_seconds() or left <= 0:
            return
    registry.promote(registry.version(model, step.challenger), CHALLENGER)
    registry.set_route(route)


def _promote(lake: Lake, registry: Registry, model: str, step: RolloutStep, now: datetime) -> None:
    """The champion first: servers ignore the old route from then on. The ledger says when all of it is over."""
    key = _key(step)
    if lake.record(ModelTables(model).champion, key) is None:
        version, control = (registry.version(model, number) for number in (step.challenger, step.control))
        registry.promote(version)
        registry.promote(control, PREVIOUS)
        as_of = reached_as_of(lake, model, step.at)
        row = LedgerRelease(
            max(as_of, version.as_of), version.number, version.run_id, control.number, step.reason, step.evidence,
            time_of_move(lake, model, step.at), "promoted",
        )  # fmt: skip
        append(lake, model, row, key)
    registry.demote(model, CHALLENGER)
    _shadow(registry, model, step, now)


def _key(step: RolloutStep) -> str:
    """Under which the ledger of champions records that a step was applied."""
    return f"rollout={step.rollout} step={step.step}"


def _shadow(registry: Registry, model: str, step: RolloutStep, now: datetime) -> None:
    """The previous champion answers in shadow for a while, unless another rollout or experiment took its place."""
    current, champion, route = current_route(registry, model), registry.champion(model), shadow_route(model, step)
    wanted = champion is not None and champion.number == step.challenger and now < shadow_end(step) and route.shadow > 0
    if not wanted:
        _clear(registry, model, step, current)
    elif current != route and owner_of(current) is None:
        registry.set_route(route)


def _end(lake: Lake, registry: Registry, model: str, step: RolloutStep) -> None:
    """The route first: from then on the champion answers everything. A late rollback moves the champion, too."""
    _clear(registry, model, step, current_route(registry, model))
    registry.demote(model, CHALLENGER)
    if step.action == "roll_back" and _was_promoted(lake, model, step):
        _go_back(lake, registry, model, step)


def _was_promoted(lake: Lake, model: str, step: RolloutStep) -> bool:
    return any(each.action == "promote" for each in steps_of(lake, model, step.rollout))


def _go_back(lake: Lake, registry: Registry, model: str, step: RolloutStep) -> None:
    complete(lake, registry, model)  # what was announced and then killed, also after its row was written
    key = _key(step)
    if lake.record(ModelTables(model).champion, key) is not None:
        return
    with contextlib.suppress(TrainingError):  # somebody was quicker: it is the champion already
        rollback(lake, registry, model, to=step.control, reason=step.reason, decided_at=step.at, key=key)


def _clear(registry: Registry, model: str, step: RolloutStep, current: Route | None) -> None:
    if belongs_to(current, step):
        registry.clear_route(model)
