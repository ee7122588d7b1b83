"""One look at a rollout: what was claimed and then killed is applied, it is measured, and what follows is done at once.

Whoever looks may do so as often as one likes, and several at once: every number holds at all looks, and a step is taken
once. A measurement that changes nothing is kept every now and then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ml_assets.alerts.outbox import record_notice
from ml_assets.decisions.alert import Severity
from ml_assets.events.store import EventStore
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.begin import begin
from ml_assets.rollouts.late_verdict import compare_quality, take_late_step
from ml_assets.rollouts.ledger import RolloutStep
from ml_assets.rollouts.measurement import Measurement, measure
from ml_assets.rollouts.offers import RolloutOffer, next_offer
from ml_assets.rollouts.rollout import take_step
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition

WATCHERS = ("sensor", "asset")
"""The actors that are no person."""

_TOLD: Mapping[str, Severity] = {
    "roll_back": Severity.WARNING,
    "error": Severity.CRITICAL,
    "restart": Severity.WARNING,
    "close": Severity.WARNING,
    "promote": Severity.INFO,
    "confirm": Severity.INFO,
}
"""The steps that people are told of: decisions that change who answers, and evidence that cannot be believed."""


@dataclass(frozen=True)
class RolloutLook:
    """What a look left behind.

    Args:
        step: the last step of the ledger; None: there never was a rollout.
        reason: in a sentence.
        waiting: the offer whose turn it is; None: a rollout is running, or nobody waits.
    """

    step: RolloutStep | None
    reason: str
    waiting: RolloutOffer | None = None


def look(lake: Lake, registry: Registry, store: EventStore, model: str, *, actor: str, now: datetime) -> RolloutLook:
    """Apply the last step, measure the rollout that is running, and take the step that follows.

    Args:
        lake: where the ledgers are.
        registry: aliases and routes.
        store: where servers write.
        model: the model's folder.
        actor: who looks.
        now: naive UTC.
    """
    step = apply_step(lake, registry, model, now=now)
    if step is None or not step.is_open:
        return _idle(lake, model, step)
    measurement = measure(lake, registry, store, model, now=now)
    if measurement is None:  # somebody ended it a moment ago
        return _idle(lake, model, apply_step(lake, registry, model, now=now))
    if is_kept(measurement):
        step = take_step(lake, registry, model, measurement, actor=actor, now=now)
    return RolloutLook(step, measurement.reason)


def tell_step(lake: Lake, model: str, step: RolloutStep | None, link: str) -> None:
    """Tell people of the last step, if it is one that they should hear of and not their own; once, whoever looks.

    Args:
        lake: where the outbox is.
        model: the model's folder.
        step: the last one.
        link: to where it is seen.
    """
    severity = _TOLD.get(step.action) if step else None
    if step is None or severity is None or step.actor not in WATCHERS:
        return
    verb = step.action.replace("_", " ")
    text = f"rollout {step.rollout} of {model}, version {step.challenger}: {verb}, {step.reason}"
    record_notice(lake, model, "rollout", f"{step.rollout}/{step.step}", text, link, step.at, severity=severity)


def is_kept(measurement: Measurement) -> bool:
    """Whether a measurement becomes a step: it changes something, or the last one that was kept is old enough."""
    last, action = measurement.step, measurement.action
    if action not in {"hold", "error"}:
        return True
    return (action == "error") != (last.action == "error") or measurement.at - last.at >= measurement.spec.every


def begin_and_look(
    lake: Lake,
    registry: Registry,
    store: EventStore,
    folder: ModelDefinition,
    spec: RolloutSpec,
    *,
    actor: str,
    now: datetime,
    workers: int = 2,
) -> RolloutLook:
    """Begin the rollout whose turn it is, look at the one that is running, and compare by the labels that are known.

    Args:
        lake: where the ledgers are.
        registry: where the versions are.
        store: where servers write.
        folder: the model.
        spec: as declared now; a rollout that is running keeps what it began with.
        actor: who looks.
        now: naive UTC.
        workers: as-of dates computed side by side.

    Raises:
        EventStoreError: the event store does not answer.
    """
    found = look(lake, registry, store, folder.name, actor=actor, now=now)
    if found.waiting is not None:
        beginning = begin(lake, registry, store, folder, spec, actor=actor, now=now, workers=workers)
        found = RolloutLook(beginning.step or found.step, beginning.reason, next_offer(lake, folder.name))
    compare_quality(lake, registry, folder, now=now, workers=workers)  # last: what it lacks keeps nothing else waiting
    late = take_late_step(lake, registry, folder.name, horizon=folder.spec.label.horizon, actor=actor, now=now)
    return found if late is None else RolloutLook(late, late.reason, found.waiting)


def _idle(lake: Lake, model: str, step: RolloutStep | None) -> RolloutLook:
    waiting = next_offer(lake, model)
    if waiting is not None:
        return RolloutLook(step, f"version {waiting.version} waits for its rollout", waiting)
    if step is None:
        return RolloutLook(None, "no candidate was offered yet")
    return RolloutLook(step, f"no rollout is running; rollout {step.rollout}: {step.action}, {step.reason}")
