"""The beginning of an experiment: its versions can answer, nobody else has the turn, and its first row is written."""

from datetime import UTC, datetime, timedelta

import msgspec

from ml_assets.decisions.route import CHAMPION, PREVIOUS
from ml_assets.errors import MlAssetsError
from ml_assets.events.store import EventStore
from ml_assets.rollouts.baseline import FEWEST, measure_champion
from ml_assets.rollouts.experiment_ledger import ExperimentStep, claim
from ml_assets.rollouts.ledger import is_of_rollout, open_step
from ml_assets.rollouts.turns import end_turn, take_turn
from ml_assets.rollouts.turns import ledger as turns
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.release import history

_KILLED = timedelta(minutes=10)
"""A rollout takes its first step so soon after its turn, or was killed."""


class ExperimentError(MlAssetsError):
    """An experiment cannot begin, or there is none to end."""


def starts_at(spec: ExperimentSpec) -> datetime | None:
    """From when on an experiment may begin, naive UTC; None: at once. A moment without a time zone is UTC."""
    start = spec.start
    return start.astimezone(UTC).replace(tzinfo=None) if start is not None and start.tzinfo else start


def holder(name: str) -> str:
    """The name of an experiment among those that take turns."""
    return f"experiment {name}"


def begin(
    lake: Lake, registry: Registry, store: EventStore, model: str, spec: ExperimentSpec, now: datetime, *, actor: str
) -> ExperimentStep:
    """Take the model's turn and write the first row; servers follow with `apply_step`.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        store: where servers write: of the champion's answers the limits of guardrails are made.
        model: the model's folder.
        spec: as declared.
        now: naive UTC.
        actor: who asks.

    Raises:
        EventStoreError: the event store does not answer.
        ExperimentError: its start is not reached, a version is not released, the name runs on another model, or the
            champion has answered too little to say how it does.
        TurnTakenError: another rollout or experiment of the model runs.
    """
    start = starts_at(spec)
    if start is not None and now < start:
        raise ExperimentError(f"experiment {spec.name} of {model} begins at {start:%Y-%m-%d %H:%M} UTC")
    _require_own_name(registry, model, spec.name)
    versions = _released_versions(lake, registry, model, spec)
    baseline = _baseline(lake, registry, store, model, spec, versions, now)
    _free_turn(lake, model, now)
    take_turn(lake, model, holder(spec.name), now)
    first = ExperimentStep(
        experiment=spec.name, step=0, at=now, actor=actor, action="start", winner=None, started=now,
        reason=f"until {now + spec.duration:%Y-%m-%d %H:%M} UTC", salt=spec.full_salt(model),
        versions=msgspec.json.encode(versions).decode(),
        declaration=spec.model_dump_json(), evidence="null",
        baseline=baseline,
    )  # fmt: skip
    return claim(lake, model, first)


def _baseline(
    lake: Lake, registry: Registry, store: EventStore, model: str, spec: ExperimentSpec, versions: dict[str, int],
    now: datetime,
) -> str:  # fmt: skip
    """How the champion answered before, of which the limits of guardrails are made; `null` where there are none."""
    if not spec.guardrails:
        return "null"
    control = registry.version(model, next(iter(versions.values())))
    baseline = measure_champion(lake, registry, store, control, unit=spec.unit, now=now)
    if baseline.answers < FEWEST:
        raise ExperimentError(
            f"experiment {spec.name} of {model}: the champion has answered {baseline.answers} of the {FEWEST} times "
            "that the limits of guardrails are made of: wait, or leave guardrails out"
        )
    return baseline.to_json()


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
