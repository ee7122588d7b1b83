"""The state of every model: champion, last candidate, predictions, drift, verdict, files. Nothing is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from ml_assets.decisions.metric import headline
from ml_assets.ingest.source_state import SourceState, source_state
from ml_assets.monitoring import verdict
from ml_assets.monitoring.drift.table import LatestDrift, latest_drift
from ml_assets.redaction import redact
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import explain
from ml_assets.training.score import LatestPredictions, latest_predictions


@dataclass(frozen=True)
class RunState:
    """A run of a loop.

    Args:
        run_id: of the orchestrator.
        job: its name.
        as_of: the as-of date; None where the run has none.
        status: as the orchestrator calls it.
        started: in UTC, ISO text; None while it is queued.
        seconds: how long it took; None until it has ended.
    """

    run_id: str
    job: str
    as_of: str | None
    status: str
    started: str | None
    seconds: float | None


@dataclass(frozen=True)
class CandidateState:
    """The version that was evaluated last.

    Args:
        as_of: of its evaluation.
        version: its number.
        verdict: of the gates.
        reason: of the verdict.
        metrics: on its test rows.
    """

    as_of: str | None
    version: Any
    verdict: Any
    reason: Any
    metrics: dict[str, Any]


@dataclass(frozen=True)
class ChampionState:
    """The version that answers by default.

    Args:
        version: its number.
        as_of: of its training.
        run_id: of its training.
        metrics: on its test rows.
        since: the as-of date of the decision; None where somebody moved the alias by hand.
        decision: how it became the champion.
        reason: of the decision.
    """

    version: int
    as_of: str
    run_id: str
    metrics: dict[str, float]
    since: str | None = None
    decision: str = ""
    reason: str = ""


@dataclass(frozen=True)
class UnknownChampion:
    """A champion that the registry does not tell.

    Args:
        unknown: why.
    """

    unknown: str


@dataclass(frozen=True)
class VerdictState:
    """The verdict of the retraining policy that is in force."""

    as_of: date
    action: str
    reason: str


@dataclass(frozen=True)
class ModelOverview:
    """The state of one model; None where there is none yet.

    Args:
        last_run: of its loop.
        candidate: the version that was evaluated last.
        predictions: of the last as-of date.
        drift: of the last report.
        verdict: of the last as-of date that has one.
        sources: by name, what became of the files.
        champion: who answers.
        rollout: how the last one stands, and who waits for the next, in a line each.
        experiments: how those stand that run, in a line each.
    """

    last_run: RunState | None
    candidate: CandidateState | None
    predictions: LatestPredictions | None
    drift: LatestDrift | None
    verdict: VerdictState | None
    sources: dict[str, SourceState]
    champion: ChampionState | UnknownChampion | None = None
    rollout: str | None = None
    experiments: str | None = None


@dataclass(frozen=True)
class Overview:
    """The state of the whole project.

    Args:
        models: by name.
        broken: folder → why it cannot be loaded.
        left_over: what is of no folder → the command that removes it.
        in_progress: the runs that have not ended.
    """

    models: dict[str, ModelOverview]
    broken: dict[str, str]
    left_over: dict[str, str]
    in_progress: tuple[RunState, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; dates stay dates, for `json.dumps(…, default=str)`."""
        last = [model.last_run for model in self.models.values() if model.last_run]
        failed = [asdict(run) for run in last if run.status == "FAILURE"]
        return {
            "models": {name: asdict(model) for name, model in self.models.items()},
            "broken": self.broken,
            "left_over": self.left_over,
            "runs": {"in_progress": [asdict(run) for run in self.in_progress], "failed": failed},
        }


def model_overview(
    lake: Lake,
    model: str,
    sources: Sequence[str],
    *,
    last_run: RunState | None = None,
    candidate: CandidateState | None = None,
) -> ModelOverview:
    """The state of a model in the lake, without its champion, which the registry knows.

    Args:
        lake: the tables.
        model: its name.
        sources: the names of its sources.
        last_run: of its loop, as the orchestrator remembers it.
        candidate: the version that was evaluated last, as the orchestrator remembers it.
    """
    tables, row = ModelTables(model), verdict.latest(lake, model)
    return ModelOverview(
        last_run=last_run,
        candidate=candidate,
        predictions=latest_predictions(lake, model),
        drift=latest_drift(lake, model),
        verdict=None if row is None else VerdictState(row.as_of, row.action.value, row.reason),
        sources={source: source_state(lake, tables.raw(source)) for source in sources},
    )


def with_champions(lake: Lake, registry: Registry, models: Mapping[str, ModelOverview]) -> dict[str, ModelOverview]:
    """Add the champions of models; the registry is asked only for those that have been released."""
    released = [name for name in models if lake.version(ModelTables(name).champion) is not None]
    numbers = champions(registry, released)
    return {
        name: replace(model, champion=explain_champion(lake, name, numbers.get(name))) for name, model in models.items()
    }


def champions(registry: Registry, models: Sequence[str]) -> dict[str, ChampionState | UnknownChampion]:
    """The champion of each model; where the registry does not answer, all of them are unknown, with the reason."""
    answers: dict[str, ChampionState | UnknownChampion] = {}
    for model in models:
        try:
            answers[model] = _champion(registry, model)
        except Exception as error:  # noqa: BLE001 - whatever the client of a tracking server raises; it is said, not hidden
            why = f"{registry.uri} does not answer ({' '.join(str(error).split())[:200]}): ml-assets doctor"
            return dict.fromkeys(models, UnknownChampion(redact(why)))
    return answers


def _champion(registry: Registry, model: str) -> ChampionState | UnknownChampion:
    glance = registry.glance(model)
    if glance is None:
        reason = "the registry has no champion, though the ledger has: was data/mlflow removed?"
        return UnknownChampion(f"{reason} `ml-assets run {model}` trains one")
    version, metrics = glance
    headlines = {metric: metrics[metric] for metric in headline() if metric in metrics}
    return ChampionState(version.number, str(version.as_of), version.run_id, headlines)


def explain_champion(
    lake: Lake, model: str, champion: ChampionState | UnknownChampion | None
) -> ChampionState | UnknownChampion | None:
    """The champion of the registry, with what the ledger says of it."""
    if not isinstance(champion, ChampionState):
        return champion
    answering = explain(lake, model, champion.version)
    since = str(answering.since) if answering.since else None
    return replace(champion, since=since, decision=str(answering.decision), reason=answering.reason)
