"""An experiment: begun, measured again and again, and ended; the ledger is the truth, and servers follow the last row.

Every function may be called again after it was killed, and by two processes at once: a step is taken once.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from ml_assets.decisions.route import CHAMPION, PREVIOUS, Route, Variant
from ml_assets.errors import MlAssetsError
from ml_assets.rollouts.experiment_ledger import ExperimentStep, ExperimentStepAction, claim, ledger
from ml_assets.rollouts.experiment_report import ExperimentReport, make_report
from ml_assets.rollouts.ledger import is_of_rollout, open_step
from ml_assets.rollouts.offers import offer_version
from ml_assets.rollouts.outcomes import read_units
from ml_assets.rollouts.turns import end_turn, take_turn
from ml_assets.rollouts.turns import ledger as turns
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.route_tag import ENDED
from ml_assets.training.release import history
from ml_assets.training.rollback import reached_as_of

LEASE = timedelta(days=1)
"""Nobody has looked for so long: the control answers everything."""

_KILLED = timedelta(minutes=10)
"""A rollout takes its first step so soon after its turn, or was killed."""
_LONGEST = 300  # characters of a verdict that servers tell


class ExperimentError(MlAssetsError):
    """An experiment cannot begin, or there is none to end."""


def starts_at(spec: ExperimentSpec) -> datetime | None:
    """From when on an experiment may begin, naive UTC; None: at once. A moment without a time zone is UTC."""
    start = spec.start
    return start.astimezone(UTC).replace(tzinfo=None) if start is not None and start.tzinfo else start


def take_step(
    lake: Lake, registry: Registry, model: str, spec: ExperimentSpec, now: datetime, *, actor: str, entity: str
) -> ExperimentStep:
    """Begin an experiment, or measure it and do what follows; the step that stands.

    Args:
        lake: where the ledger and the log of servers are.
        registry: whose route servers follow.
        model: the model's folder.
        spec: as declared now; one that has begun goes on as it was declared then.
        now: naive UTC.
        actor: who asks.
        entity: the column of batch predictions that names the entity.

    Raises:
        ExperimentError: it cannot begin yet.
        TurnTakenError: another rollout or experiment of the model runs.
    """
    last = ledger(model, spec.name).last(lake) or begin(lake, registry, model, spec, now, actor=actor)
    if last.is_open and last.at < now:
        last = claim(lake, model, _next_step(lake, registry, model, last, now, actor=actor, entity=entity))
    return apply_step(lake, registry, model, last, now)


def begin(
    lake: Lake, registry: Registry, model: str, spec: ExperimentSpec, now: datetime, *, actor: str
) -> ExperimentStep:
    """Take the model's turn and write the first row; servers follow with `apply_step`.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        model: the model's folder.
        spec: as declared.
        now: naive UTC.
        actor: who asks.

    Raises:
        ExperimentError: its start is not reached, a version is not released, or the name runs on another model.
        TurnTakenError: another rollout or experiment of the model runs.
    """
    start = starts_at(spec)
    if start is not None and now < start:
        raise ExperimentError(f"experiment {spec.name} of {model} begins at {start:%Y-%m-%d %H:%M} UTC")
    _require_own_name(registry, model, spec.name)
    versions = _released_versions(lake, registry, model, spec)
    _free_turn(lake, model, now)
    take_turn(lake, model, holder(spec.name), now)
    first = ExperimentStep(
        experiment=spec.name, step=0, at=now, actor=actor, action="start", winner=None, started=now,
        reason=f"until {now + spec.duration:%Y-%m-%d %H:%M} UTC", salt=spec.full_salt(model),
        versions=msgspec.json.encode(versions).decode(),
        declaration=spec.model_dump_json(), evidence="null",
    )  # fmt: skip
    return claim(lake, model, first)


def measure(lake: Lake, model: str, step: ExperimentStep, now: datetime, *, entity: str) -> ExperimentReport:
    """What is known of an experiment, and what follows; nothing is written.

    Args:
        lake: with the log of servers.
        model: the model's folder.
        step: any row of its ledger.
        now: naive UTC.
        entity: the column of batch predictions that names the entity.
    """
    return make_report(step, read_units(lake, model, step, now, entity=entity), now)


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
    return Route(model, step.salt, variants, step.spec.unit, step.experiment, until=until)


def list_experiments(lake: Lake, model: str) -> list[ExperimentStep]:
    """The last step of each experiment of a model, in the order in which they began."""
    holders = dict.fromkeys(turn.holder for turn in turns(model).history(lake))
    names = [name for kind, _, name in (each.partition(" ") for each in holders) if kind == "experiment"]
    steps = [ledger(model, name).last(lake) for name in names]
    return [step for step in steps if step is not None]


def holder(name: str) -> str:
    """The name of an experiment among those that take turns."""
    return f"experiment {name}"


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
    verdict = {f"{ENDED}{step.experiment}": step.reason[:_LONGEST]}
    for number in sorted(set(step.version_of.values())):
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


def _free_turn(lake: Lake, model: str, now: datetime) -> None:
    """Give back the turn of a rollout that was killed before its first step, and never came again."""
    turn = turns(model).last(lake)
    if turn is None or not is_of_rollout(turn.holder) or now - turn.at < _KILLED:
        return
    if open_step(lake, model) is None:
        end_turn(lake, model, turn.holder, now)


def _require_own_name(registry: Registry, model: str, name: str) -> None:
    """A product asks for an experiment by its name alone."""
    others = [other for other, each in registry.routes().items() if each.route.experiment == name and other != model]
    if others:
        raise ExperimentError(f"an experiment {name} runs on {others[0]} already: give that of {model} another name")


def _version(lake: Lake, registry: Registry, model: str, number: int | str) -> Version | None:
    """The version that a variant names: by its number, the champion, or the champion before that."""
    if number == CHAMPION:
        return registry.champion(model)
    if number == PREVIOUS:
        past = history(lake, model)
        number = past[-1]["previous"] if past and past[-1]["previous"] else 0
    return registry.find_version(model, int(number))


def _released_versions(lake: Lake, registry: Registry, model: str, spec: ExperimentSpec) -> dict[str, int]:
    """Variant → the number of its released version."""
    versions = {}
    for name, arm in spec.variants.items():
        version = _version(lake, registry, model, arm.version)
        who = f"experiment {spec.name} of {model}: variant {name}, version {arm.version},"
        if version is None:
            raise ExperimentError(f"{who} is not there: name one that was released, see `ml-assets status`")
        if "release" not in version.tags:
            raise ExperimentError(f"{who} never passed its gates, so no server can load it: name one that was released")
        versions[name] = version.number
    return versions
