"""What a run of the loop came to, as one object for `--json`; `outcome.py` says it to people."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ml_assets.commands.project import Project
from ml_assets.commands.samples import of_model
from ml_assets.components.monitor import Monitor
from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.metric import headline
from ml_assets.ingest.source_state import count_waiting
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables

if TYPE_CHECKING:
    from ml_assets.training.report import Report


@dataclass(frozen=True)
class Summary:
    """The outcome of one model's loop.

    Args:
        model: the folder.
        as_of: `T`.
        behind: what is to be said of data that end before it, or of a calendar that has gone on; else empty.
        trained: whether a model was fitted in this run.
        reason: why, with what changed since the champion; or why not.
        candidate: the version of this `T`.
        champion: who answers now: `version`, `run_id`, `since`, `decision`, `reason`; None before the first release.
        not_champion: why the candidate does not answer; empty where it does.
        metrics: of the candidate on its test rows.
        best_possible: the best ROC AUC that any model could reach, where the sample knows it.
        gates: `name`, `passed`, `value`, `limit`, `reason`.
        rows: by source: `accepted` and `quarantined` of all time; of this run `new_files`, `accepted_now`,
            `quarantined_now`, `refused` (`file`, `reason`: left where it is), `reasons` of the quarantine (`reason`,
            `rows`), `warnings`.
        predictions: entities scored at `T`.
        predictions_table: where they are, below the lake.
        watched: whether a Monitor looks at the model.
        page: the drift report's page; None without one.
        drift: by feature: its distances and whether it drifted.
        verdict: `action` and `reason` of the retraining policy; None without a report.
        table_versions: every table that went into the candidate, with its version.
        mlflow: the address of the candidate's run.
        seconds: of this run.
        label: which value was read as 0 and which as 1, where the query says it in other words.
        suspected_leak: a feature that ranks too well alone; empty where there is none.
        record: the candidate's release record: `ship`, `reason`, `entry`, `sha256`, `key`, `headline`, `checks`
            (`name`, `status`, `reason`, `value`, `limit`, `evidence`); None where it has none.
    """

    model: str
    as_of: date
    behind: str
    trained: bool
    reason: str
    candidate: int
    champion: dict[str, Any] | None
    not_champion: str
    metrics: dict[str, float]
    best_possible: float | None
    gates: list[dict[str, Any]]
    rows: dict[str, dict[str, Any]]
    predictions: int
    predictions_table: str
    watched: bool
    page: str | None
    drift: dict[str, dict[str, Any]]
    verdict: dict[str, str] | None
    table_versions: dict[str, int]
    mlflow: str
    seconds: float
    label: str = ""
    suspected_leak: str = ""
    record: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without the model's name (it is the key above)."""
        plain = asdict(self) | {"as_of": str(self.as_of), "seconds": round(self.seconds, 1)}
        return {key: _plain(value) for key, value in plain.items() if key != "model"}


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Dicts, lists, text and numbers; a number that is none, which JSON cannot hold, is null."""
    match value:
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
    return str(value)


def summarise(
    project: Project, name: str, as_of: date, metadata: dict[str, dict[str, Any]], *, behind: str, seconds: float
) -> Summary:
    """Collect the outcome from the lake and the registry; `metadata` is what this run's assets said.

    Args:
        project: the loaded project.
        name: the model.
        as_of: `T`.
        metadata: asset → what it said in this run.
        behind: what is to be said of data that end before `T`; else empty.
        seconds: of this run.
    """
    from ml_assets.training.record import record
    from ml_assets.training.report import report
    from ml_assets.training.score import count_scored
    from ml_assets.training.train import candidate

    lake, registry, folder = project.lake, project.registry, project.folder(name)
    version = candidate(lake, registry, folder, as_of)
    evaluation = report(lake, registry, folder, version)
    champion = _champion(lake, registry, name)
    trained = metadata.get("model", {})
    return Summary(
        model=name,
        as_of=as_of,
        behind=behind,
        trained=bool(trained.get("trained", False)),
        reason=str(trained.get("reason", "")),
        candidate=version.number,
        champion=champion,
        not_champion=_not_champion(champion, evaluation, metadata),
        metrics=evaluation.metrics,
        best_possible=_best_possible(project, name, evaluation),
        gates=[asdict(gate) for gate in evaluation.verdict.numbers],
        rows=_sources(project, name, as_of, metadata),
        predictions=count_scored(lake, name, as_of),
        predictions_table=ModelTables(name).predictions,
        watched=bool(project.model(name).siblings(project.tree, Monitor)),
        page=metadata.get("drift_report", {}).get("page"),
        drift=_drift(lake, name, as_of),
        verdict=_verdict(lake, name, as_of),
        table_versions=record(registry, version).tables,
        mlflow=registry.link(version),
        seconds=seconds,
        label=str(metadata.get("labels", {}).get("label", "")),
        suspected_leak=str(evaluation.metadata().get("suspected_leak", "")),
        record=_record(lake, name, version.number),
    )


def _record(lake: Lake, name: str, version: int) -> dict[str, Any] | None:
    from ml_assets.release.chain import last_entry
    from ml_assets.release.text import headline as one_line

    row = last_entry(lake, name, "candidate", version)
    if row is None:
        return None
    entry = row.read(name).entry
    place = {"entry": row.number, "sha256": row.sha256, "key": row.key, "headline": one_line(row, entry)}
    return {"ship": entry["ship"], "reason": entry["reason"], **place, "checks": entry["checks"]}


def _champion(lake: Lake, registry: Registry, name: str) -> dict[str, Any] | None:
    from ml_assets.training.release import explain

    champion = registry.champion(name)
    if champion is None:
        return None
    answers = explain(lake, name, champion.number)
    since = None if answers.since is None else str(answers.since)
    decision = {"since": since, "decision": str(answers.decision), "reason": answers.reason}
    return {"version": champion.number, "run_id": champion.run_id} | decision


def _not_champion(champion: dict[str, Any] | None, found: "Report", metadata: Mapping[str, Mapping[str, Any]]) -> str:
    """Why the candidate does not answer: what the release said, or where there was none, the gates or the groups."""
    if champion is not None and champion["version"] == found.version.number:
        return ""
    gates, groups = found.verdict, metadata.get("fairness_report", {})
    blocked = groups if gates.action is GateAction.SHIP else {}
    return str(metadata.get("champion", blocked).get("reason") or gates.reason)


def _rows(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a source; what its asset does not say is none."""
    names = {
        "accepted": "dagster/row_count",
        "quarantined": "rows_in_quarantine",
        "new_files": "new_files",
        "accepted_now": "accepted",
        "quarantined_now": "quarantined",
    }
    lists = {
        "refused": "left_where_they_are",
        "reasons": "quarantine_reasons",
        "warnings": "warnings",
        "beside": "beside",
    }
    counts = {name: int(metadata.get(key, 0)) for name, key in names.items()}
    return {**counts, **{name: list(metadata.get(key) or []) for name, key in lists.items()}}


def _sources(
    project: Project, name: str, as_of: date, metadata: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What came of each source."""
    sources = {}
    for spec in (source.spec for source in project.sources(name)):
        sources[spec.name] = row = _rows(metadata.get(f"raw/{spec.name}", {}))
        if late := count_waiting(project.lake, ModelTables(name).raw(spec.name), spec, as_of):
            following = project.model(name).spec.cadence.step(as_of)
            row["warnings"].append(f"{late:,} documents arrived since {as_of}: {following} scores them")
    return sources


def _verdict(lake: Lake, name: str, as_of: date) -> dict[str, str] | None:
    from ml_assets.monitoring.verdict import at

    verdict = at(lake, name, as_of)
    return None if verdict is None else {"action": verdict.action.value, "reason": verdict.reason}


def _drift(lake: Lake, name: str, as_of: date) -> dict[str, dict[str, Any]]:
    from ml_assets.monitoring.drift.table import feature_rows

    keys = ("psi", "ks_statistic", "ks_p_value", "jensen_shannon", "chi_square_p", "drifted", "reason")
    rows = feature_rows(lake, name, as_of)
    return {row["feature"]: {key: row[key] for key in keys if row[key] is not None} for row in rows}


def _best_possible(project: Project, name: str, found: "Report") -> float | None:
    """The best possible ROC AUC on the candidate's test dates, where the sample knows it; kept with the run."""
    from ml_assets.training.record import record

    registry, model = project.registry, project.model(name)
    sample = of_model(model.path, model.spec)
    recorded = registry.metrics(found.version.run_id).get("best_possible_roc_auc")
    best_roc_auc = sample.best_roc_auc() if sample and recorded is None else None
    if best_roc_auc is None:
        return recorded
    dates, horizon = record(registry, found.version).split.test, model.spec.label.horizon
    best = best_roc_auc(project.settings.incoming / name, dates, horizon)
    if best is not None:
        registry.log(found.version.run_id, {"best_possible_roc_auc": best})
    return best


def numbers(metrics: Mapping[str, float]) -> str:
    """The metrics that people look at first, in one line."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in headline() if name in metrics)
