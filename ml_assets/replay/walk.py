"""Replay: what would a retraining policy have done, and what would have come of it?

History is walked as-of date by as-of date, with the decision function, the training code, the gates (but those on
latency) and the drift numbers of the loop. A decision at `T` sees what was known before `T`; the labels of `T` itself
are used for the comparison only. The registry is not touched: models live in the replay's own store, where each is
trained once for the same rows and recipe, whichever policy asks.

All policies start from the same model: until a first candidate passes its gates, each date tries again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.metric import realisable
from ml_assets.decisions.retrain import Action, RetrainEvidence, RetrainVerdict, counts, decide
from ml_assets.errors import DeclarationError, TrainingError
from ml_assets.replay.history import PolicyState, ReplayHistory, drift_reference
from ml_assets.replay.history_index import Say, prepare
from ml_assets.replay.models import ReplayedModels
from ml_assets.replay.result import Replay, Step, Training, Walk
from ml_assets.replay.store import ReplayStore
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.storage.lake import Lake
from ml_assets.training.dataset import window
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import known_until
from ml_assets.training.split import Split, validation

__all__ = ["Replay", "ReplayStore", "replay", "replayable_dates", "standard_policies"]

_OFF = {"rows": None, "drift": None, "floor": None, "drop": None, "estimate": None, "age": None, "every": None}
_STEPS = {"daily": 1, "weekly": 7, "monthly": 28}


def standard_policies(folder: ModelDefinition, monitor: MonitorSpec) -> dict[str, RetrainSpec]:
    """The policies that every replay compares: never, at every as-of date, on drift, on performance, the declared one.

    "On drift" and "on performance" are the declared policy with those triggers alone; where it has none of them, with
    the default limit.
    """
    declared, default, every = monitor.retrain, RetrainSpec(), folder.spec.cadence.every
    drift = declared.drift or default.drift
    measured = {"floor": declared.floor, "drop": declared.drop}
    performance = measured if any(limit is not None for limit in measured.values()) else {"drop": default.drop}
    always = {"every": timedelta(days=_STEPS[every]), "cooldown": timedelta(0)}
    return {
        "never": declared.model_copy(update=_OFF),
        every: declared.model_copy(update=_OFF | always),
        "drift": declared.model_copy(update=_OFF | {"drift": drift}),
        "performance": declared.model_copy(update=_OFF | performance),
        "declared": declared,
    }


def replayable_dates(
    lake: Lake, folder: ModelDefinition, first: date | None = None, last: date | None = None
) -> list[date]:
    """The as-of dates that can be replayed: from the first at which a model can be trained to the last with labels.

    Args:
        lake: which rows are there.
        folder: the model.
        first: no date before this one.
        last: no date after this one.

    Raises:
        DataError: a source of the label has no rows yet.
        TrainingError: there is no such date.
    """
    # A feed that may be quiet today was not quiet in the past: what came after the last event is not known.
    reached = folder.spec.cadence.dates(known_until(lake, folder, date.max, step=timedelta(days=1)))
    mature = [day for day in reached if day + folder.spec.label.horizon <= reached[-1]]
    able = [day for day in mature if _window(folder, day) is not None]
    dates = [day for day in able if (first or day) <= day <= (last or day)]
    if dates:
        return dates
    possible = f"{able[0]} to {able[-1]}" if able else "none"
    raise TrainingError(
        f"{folder.name}: no as-of date to replay from {first or 'the first'} to {last or 'the last'}: a model must be "
        f"trainable there and the labels mature by {reached[-1] if reached else 'then'}, which leaves {possible}"
    )


def replay(
    lake: Lake,
    folder: ModelDefinition,
    monitor: MonitorSpec,
    policies: Mapping[str, RetrainSpec],
    dates: Sequence[date],
    *,
    store: ReplayStore,
    metric: str | None = None,
    workers: int = 2,
    say: Say = lambda _done, _all, _what: None,
) -> Replay:
    """Walk all policies through history, side by side; two replays of a model wait for each other.

    Args:
        lake: the rows; views and training sets that are lacking are computed, as the loop would.
        folder: the model.
        monitor: how drift and performance are told.
        policies: by name.
        dates: of `replayable_dates`.
        store: where models, scores and measurements are kept.
        metric: the realised metric that is compared; default: the one that the declared policy watches.
        workers: as-of dates computed side by side.
        say: told steps done, all steps, and what is being done.

    Raises:
        DeclarationError: a policy's metric cannot be had from history.
        TrainingError: a model cannot be trained.
    """
    metrics, declared = realisable(folder.task.name), monitor.retrain.metric
    compared = metric or (declared if declared in metrics else folder.task.objective)
    if compared not in metrics:
        raise DeclarationError(
            f"{compared} is not in history, so policies cannot be compared by it: use one of {', '.join(metrics)}"
        )
    with lake.lock(f"replay/{folder.name}"):
        store.sweep()
        index = prepare(lake, folder, _needed(folder, monitor, dates), workers=workers, say=say)
        history = ReplayHistory(ReplayedModels(lake, folder, store, index, workers), monitor)
        walks = _walk(history, policies, dates, say)
    after = folder.spec.cadence.step(dates[-1])
    return Replay(folder.name, compared, tuple(dates), after, walks, folder.task.name)


def _walk(
    history: ReplayHistory, policies: Mapping[str, RetrainSpec], dates: Sequence[date], say: Say
) -> dict[str, Walk]:
    """All policies at one date before any at the next: the rows of a date are read once, whoever asks."""
    states = dict.fromkeys(policies, PolicyState())
    steps: dict[str, list[Step]] = {name: [] for name in policies}
    for nr, day in enumerate(dates):
        for place, (name, spec) in enumerate(policies.items()):
            say(nr * len(policies) + place, len(dates) * len(policies), f"{day} {name}")
            states[name], step = _step(history, spec, states[name], day)
            steps[name].append(step)
    say(len(dates) * len(policies), len(dates) * len(policies), "done")
    return {name: Walk(spec, tuple(steps[name])) for name, spec in policies.items()}


def _step(history: ReplayHistory, spec: RetrainSpec, state: PolicyState, day: date) -> tuple[PolicyState, Step]:
    evidence = history.evidence(spec, state, day)
    verdict = decide(spec.policy, evidence)
    moved, training = _moved(history, state, evidence, verdict, day)
    realised = history.realise(moved.champion, day) if moved.champion else None
    return moved, Step(
        as_of=day,
        action=verdict.action.value,
        reason=verdict.reason,
        triggers=tuple(trigger.name for trigger in verdict.numbers if trigger.detected),
        training=training,
        champion=moved.champion.record.as_of if moved.champion else None,
        metrics={name: realised[name] for name in realisable(history.folder.task.name)} if realised else {},
    )


def _moved(
    history: ReplayHistory, state: PolicyState, evidence: RetrainEvidence, verdict: RetrainVerdict, day: date
) -> tuple[PolicyState, Training | None]:
    """The state after a decision: the champion of `day` has answered `day`."""
    if verdict.action is not Action.RETRAIN:
        answered = (*state.answered, day) if state.champion else ()
        return replace(state, before=counts(evidence, verdict), answered=answered), None
    candidate = history.candidate(day)
    gates = history.models.decide(candidate, state.champion)
    ships = gates.action is GateAction.SHIP
    training = Training(candidate.recipe, candidate.seconds, ships, gates.reason)
    if ships:
        return PolicyState(candidate, attempted=day, answered=(day,)), training
    if state.champion is None:  # all policies start from the same model: the next date tries again, without a cooldown
        return state, training
    answered = (*state.answered, day)
    return replace(state, attempted=day, before=counts(evidence, verdict), answered=answered), training


def _window(folder: ModelDefinition, day: date) -> Split | None:
    """The split at an as-of date of the past; None where history is too short to train."""
    spec = folder.spec
    try:
        split = window(folder, day, day)
    except TrainingError:
        return None
    searched = spec.search is not None and spec.search.trials
    short = searched and validation(split.train, spec.label.horizon, dates=spec.window.test) is None
    return None if short else split


def _needed(folder: ModelDefinition, monitor: MonitorSpec, dates: Sequence[date]) -> list[date]:
    """Every as-of date that is trained, tested or scored on, or that drift is told against."""
    windows = [split for day in dates if (split := _window(folder, day)) is not None]
    references = {drift_reference(folder, monitor.drift, day, day).day for day in dates}
    return sorted({*dates, *(day for window in windows for day in window.refit), *filter(None, references)})
