"""An experiment: begun, measured again and again, and ended; the ledger is the truth, and servers follow the last row.

Every function may be called again after it was killed, and by two processes at once: a step is taken once.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from ml_assets.decisions.route import Route, Variant
from ml_assets.events.store import EventStore
from ml_assets.rollouts.baseline import RolloutBaseline
from ml_assets.rollouts.experiment_begin import ExperimentError, begin, holder
from ml_assets.rollouts.experiment_guardrails import count_failures
from ml_assets.rollouts.experiment_ledger import ExperimentStep, ExperimentStepAction, claim, ledger
from ml_assets.rollouts.experiment_measurement import make_report
from ml_assets.rollouts.experiment_report import ExperimentReport
from ml_assets.rollouts.offers import offer_version
from ml_assets.rollouts.outcomes import read_units
from ml_assets.rollouts.turns import end_turn
from ml_assets.rollouts.turns import ledger as turns
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.storage.route_tag import ENDED
from ml_assets.training.rollback import reached_as_of

LEASE = timedelta(days=1)
"""Nobody has looked for so long: the control answers everything."""

_COMPACTED_EACH = 50
"""So many steps of a ledger are files of their own before closed days become one."""
_LONGEST = 300  # characters of a verdict that servers tell


def take_step(
    lake: Lake,
    registry: Registry,
    store: EventStore,
    model: str,
    spec: ExperimentSpec,
    now: datetime,
    *,
    actor: str,
    entity: str,
) -> ExperimentStep:
    """Begin an experiment, or measure it and do what follows; the step that stands.

    Args:
        lake: where the ledger and the log of servers are.
        registry: whose route servers follow.
        store: where servers write.
        model: the model's folder.
        spec: as declared now; one that has begun goes on as it was declared then.
        now: naive UTC.
        actor: who asks.
        entity: the column of batch predictions that names the entity.

    Raises:
        EventStoreError: it cannot begin, for the event store does not answer.
        ExperimentError: it cannot begin yet.
        TurnTakenError: another rollout or experiment of the model runs.
    """
    last = ledger(model, spec.name).last(lake) or begin(lake, registry, store, model, spec, now, actor=actor)
    if last.is_open and last.at < now:
        last = claim(lake, model, _next_step(lake, registry, model, last, now, actor=actor, entity=entity))
        if last.step % _COMPACTED_EACH == 0:
            lake.compact(ledger(model, spec.name).table)
    return apply_step(lake, registry, model, last, now)


def measure(lake: Lake, model: str, step: ExperimentStep, now: datetime, *, entity: str) -> ExperimentReport:
    """What is known of an experiment, and what follows; nothing is written.

    Args:
        lake: with the log of servers.
        model: the model's folder.
        step: any row of its ledger.
        now: naive UTC.
        entity: the column of batch predictions that names the entity.
    """
    units = read_units(lake, model, step, now, entity=entity)
    failures = count_failures(lake, model, step.experiment) if step.spec.guardrails else {}
    return make_report(step, units, now, failures, _gaps(lake, model, step, now))


def stop(
    lake: Lake, registry: Registry, model: str, name: str, now: datetime, *, actor: str, reason: str
) -> ExperimentStep:
    """End an experiment; servers let the champion answer everything.

    Args:
        lake: where the ledger is.
        registry: whose route servers follow.
        model: the model's folder.
        name: of the experiment.
        now: naive UTC.
        actor: who asks.
        reason: why, for the ledger.

    Raises:
        ExperimentError: it does not run.
    """
    last = ledger(model, name).last(lake)
    if last is None:
        end_turn(lake, model, holder(name), now)  # of one that was killed before its first row
        raise ExperimentError(f"{model} has no experiment {name}: see `ml-assets experiment list {model}`")
    if not last.is_open:
        apply_step(lake, registry, model, last, now)
        raise ExperimentError(f"experiment {name} of {model} ended at {last.at:%Y-%m-%d %H:%M} UTC: {last.reason}")
    while last.is_open:
        last = claim(lake, model, _follow_up(last, now, actor, "stop", f"stopped: {reason}"))
    return apply_step(lake, registry, model, last, now)


def apply_step(lake: Lake, registry: Registry, model: str, step: ExperimentStep, now: datetime) -> ExperimentStep:
    """Make servers follow the last step; may be called again, and ends with the step that stands.

    Args:
        lake: where the ledger is.
        registry: whose route servers follow.
        model: the model's folder.
        step: the last one that is known.
        now: naive UTC.
    """
    while True:
        if step.is_open:
            registry.set_route(make_route(model, step, now))
        else:
            _close(lake, registry, model, step, now)
        last = ledger(model, step.experiment).last(lake) or step
        if last.step == step.step:
            return step
        step = last  # another process has ended it meanwhile


def make_route(model: str, step: ExperimentStep, now: datetime) -> Route:
    """What servers follow while an experiment runs.

    Args:
        model: the model's folder.
        step: any row of its ledger.
        now: naive UTC; the route ends when nobody has looked for a day, and on the last day.
    """
    arms = step.spec.variants
    until = (min(step.ends, now + LEASE) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - naive UTC
    variants = tuple(Variant(name, version, arms[name].share) for name, version in step.version_of.items())
    limits = RolloutBaseline.from_json(step.baseline).latency if step.spec.guardrails else ()
    return Route(
        model, step.salt, variants, step.spec.unit, step.experiment, limits=limits, tolerance=step.spec.tolerance,
        until=until,
    )  # fmt: skip


def list_experiments(lake: Lake, model: str) -> list[ExperimentStep]:
    """The last step of each experiment of a model, in the order in which they began."""
    holders = dict.fromkeys(turn.holder for turn in turns(model).history(lake))
    names = [name for kind, _, name in (each.partition(" ") for each in holders) if kind == "experiment"]
    steps = [ledger(model, name).last(lake) for name in names]
    return [step for step in steps if step is not None]


def describe_experiments(lake: Lake, model: str) -> str | None:
    """The experiments that run, each in a sentence; None: none does."""
    running = [step for step in list_experiments(lake, model) if step.is_open]
    return "\n".join(f"{step.experiment} since {step.started:%Y-%m-%d}: {step.reason}" for step in running) or None


def _gaps(lake: Lake, model: str, step: ExperimentStep, now: datetime) -> list[str]:
    """Times in which servers let the control answer everything, because nobody looked."""
    looks = [each.at for each in ledger(model, step.experiment).history(lake)]
    return [
        f"nobody looked from {first:%Y-%m-%d %H:%M} to {then:%Y-%m-%d %H:%M} UTC: after a day the control answered all"
        for first, then in pairwise([*looks, now])
        if then - first > LEASE
    ]


def _next_step(
    lake: Lake, registry: Registry, model: str, last: ExperimentStep, now: datetime, *, actor: str, entity: str
) -> ExperimentStep:
    report = measure(lake, model, last, now, entity=entity)
    champion = registry.champion(model)
    action: ExperimentStepAction = report.action.value
    reason = report.recommendation
    if champion is None or champion.number != last.control:
        who = "nobody" if champion is None else f"version {champion.number}"
        action, reason = "stop", f"stopped: its control, version {last.control}, is not the champion any more: {who} is"
    elif action == "error" and now >= last.ends:
        action, reason = "stop", f"its last day was reached without a verdict. {reason}"
    row = _follow_up(last, now, actor, action, reason)
    return replace(row, evidence=report.to_json(), winner=report.winner if action == "winner" else None)


def _follow_up(
    last: ExperimentStep, now: datetime, actor: str, action: ExperimentStepAction, reason: str
) -> ExperimentStep:
    return replace(last, step=last.step + 1, at=now, actor=actor, action=action, reason=" ".join(reason.split()))


def _close(lake: Lake, registry: Registry, model: str, step: ExperimentStep, now: datetime) -> None:
    """The champion answers everything, servers can say why, and others may begin: in this order, each once or again."""
    route = registry.route(model)
    if route is not None and route.experiment == step.experiment:
        registry.clear_route(model)
    verdict, champion = {f"{ENDED}{step.experiment}": step.reason[:_LONGEST]}, registry.champion(model)
    for number in sorted({*step.version_of.values(), *([champion.number] if champion else [])}):
        version = registry.find_version(model, number)
        if version is not None and not verdict.items() <= version.tags.items():
            registry.tag(version, **verdict)
    if step.winner is not None and step.version_of[step.winner] != step.control:
        _offer(lake, registry, model, step, step.version_of[step.winner])
    end_turn(lake, model, holder(step.experiment), now)


def _offer(lake: Lake, registry: Registry, model: str, step: ExperimentStep, number: int) -> None:
    """A winner never becomes the champion by itself: its rollout begins when its gates pass beside today's champion."""
    version = registry.find_version(model, number)
    if version is not None:
        as_of, actor = reached_as_of(lake, model, step.at), holder(step.experiment)
        offer_version(lake, version, as_of=as_of, at=step.at, actor=actor, reason=step.reason)
