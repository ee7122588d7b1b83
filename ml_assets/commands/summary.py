"""What a run of the loop came to: one object for `--json`, one table for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ml_assets.commands.project import Project
from ml_assets.commands.sheet import Line, put
from ml_assets.lake import Lake
from ml_assets.settings import settings

if TYPE_CHECKING:
    from ml_assets.training.report import Report

SHOWN = ("accuracy", "macro_f1", "roc_auc", "pr_auc", "brier", "calibration_error", "lift_at_10")


@dataclass(frozen=True)
class Summary:
    """The outcome of one model's loop.

    Args:
        model: the folder.
        as_of: `T`.
        trained: whether a model was fitted in this run.
        reason: why, or why not.
        candidate: the version of this `T`.
        champion: `version` and `run_id` of who answers now; None before the first release.
        metrics: of the candidate on its test rows.
        best_possible: the ROC AUC of the latent truth, for simulated data.
        gates: `name`, `passed`, `value`, `limit`, `reason`.
        rows: by source: `accepted`, `quarantined` (all runs), `new_files` (this run), `refused`.
        predictions: entities scored at `T`.
        drift: by feature: its distances and whether it drifted.
        verdict: `action` and `reason` of the retraining policy; None without a report.
        table_versions: every table that went into the candidate, with its version.
        mlflow: the address of the candidate's run.
        seconds: of this run.
    """

    model: str
    as_of: date
    trained: bool
    reason: str
    candidate: int
    champion: dict[str, Any] | None
    metrics: dict[str, float]
    best_possible: float | None
    gates: list[dict[str, Any]]
    rows: dict[str, dict[str, Any]]
    predictions: int
    drift: dict[str, dict[str, Any]]
    verdict: dict[str, str] | None
    table_versions: dict[str, int]
    mlflow: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without the model's name (it is the key above)."""
        plain = asdict(self) | {"as_of": str(self.as_of), "seconds": round(self.seconds, 1)}
        return {key: value for key, value in plain.items() if key != "model"}


def summarise(project: Project, name: str, as_of: date, metadata: dict[str, dict[str, Any]], seconds: float) -> Summary:
    """Collect the outcome from the lake and the registry; `metadata` is what this run's assets said."""
    from ml_assets.training.record import record
    from ml_assets.training.report import report
    from ml_assets.training.train import candidate

    lake, registry, folder = project.lake, project.registry, project.folder(name)
    version = candidate(lake, registry, folder, as_of)
    found = report(lake, registry, folder, version)
    champion = registry.champion(name)
    trained = metadata.get("model", {})
    return Summary(
        model=name,
        as_of=as_of,
        trained=bool(trained.get("trained", False)),
        reason=str(trained.get("reason", "")),
        candidate=version.number,
        champion=None if champion is None else {"version": champion.number, "run_id": champion.run_id},
        metrics=found.metrics,
        best_possible=_best_possible(project, name, found),
        gates=[asdict(gate) for gate in found.verdict.gates],
        rows={source.spec.name: _rows(metadata.get(f"raw/{source.spec.name}", {})) for source in project.sources(name)},
        predictions=_count(lake, f"{name}/predictions", as_of),
        drift=_drift(lake, name, as_of),
        verdict=_verdict(lake, name, as_of),
        table_versions=record(registry, version).tables,
        mlflow=registry.link(version),
        seconds=seconds,
    )


def _rows(metadata: dict[str, Any]) -> dict[str, Any]:
    names = {
        "accepted": "dagster/row_count",
        "quarantined": "rows_in_quarantine",
        "new_files": "new_files",
        "refused": "left_where_they_are",
    }
    return {name: metadata.get(key, 0) for name, key in names.items()}


def _count(lake: Lake, table: str, as_of: date) -> int:
    if lake.version(table) is None:
        return 0
    return int(lake.query("SELECT count(*) AS n FROM t WHERE as_of = $day", {"day": as_of}, t=table)["n"][0].as_py())


def _verdict(lake: Lake, name: str, as_of: date) -> dict[str, str] | None:
    from ml_assets.monitoring.verdict import at

    found = at(lake, name, as_of)
    return found and {key: found[key] for key in ("action", "reason")}


def _drift(lake: Lake, name: str, as_of: date) -> dict[str, dict[str, Any]]:
    table = f"{name}/drift_report"
    if lake.version(table) is None:
        return {}
    rows = lake.query("SELECT * FROM t WHERE as_of = $day", {"day": as_of}, t=table).to_pylist()
    keys = ("psi", "ks_statistic", "ks_p_value", "jensen_shannon", "chi_square_p", "drifted", "reason")
    return {row["feature"]: {key: row[key] for key in keys if row[key] is not None} for row in rows}


def _best_possible(project: Project, name: str, found: "Report") -> float | None:
    """The ROC AUC of the latent truth on the candidate's test dates; asked once, then kept with its run."""
    from ml_assets.simulation.churn import best_roc_auc, read
    from ml_assets.training.record import record

    registry, folder = project.registry, settings().incoming / name
    known = registry.metrics(found.version.run_id).get("best_possible_roc_auc")
    if known is not None or not (folder / "simulation.json").is_file():
        return known
    horizon = project.model(name).spec.label.horizon
    best = best_roc_auc(read(folder), record(registry, found.version).split.test, horizon)
    registry.log(found.version.run_id, {"best_possible_roc_auc": best})
    return best


def show(done: Summary) -> None:
    """Print a short table of the outcome."""
    put(f"{done.model} as of {done.as_of}", _lines(done))


def numbers(metrics: Mapping[str, float]) -> str:
    """The metrics that people look at first, in one line."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in SHOWN if name in metrics)


def _lines(done: Summary) -> list[Line]:
    champion = "none yet" if done.champion is None else f"version {done.champion['version']}"
    return [
        ("rows", "\n".join(_source(name, row) for name, row in done.rows.items())),
        (
            "model",
            f"version {done.candidate}, {'trained now' if done.trained else 'not trained'}: {done.reason}",
        ),
        ("metrics", _metrics(done)),
        ("gates", "\n".join(_gate(gate) for gate in done.gates)),
        ("champion", f"{champion}; {done.predictions:,} entities scored"),
        ("drift", _drifted(done)),
        ("verdict", f"{done.verdict['action']}: {done.verdict['reason']}" if done.verdict else "none"),
        ("seconds", f"{done.seconds:.1f}"),
        ("look next", f"ml-assets up: {settings().dagster_ui}/locations/ml_assets/asset-groups/{done.model}"),
        ("training", done.mlflow),
    ]


def _source(name: str, row: dict[str, Any]) -> str:
    left = f", {len(row['refused'])} files left where they are" if row["refused"] else ""
    return (
        f"{name}: {row['accepted']:,} accepted, {row['quarantined']:,} quarantined, {row['new_files']} new files{left}"
    )


def _metrics(done: Summary) -> str:
    best = "" if done.best_possible is None else f"  (best possible roc_auc {done.best_possible:.4f})"
    return numbers(done.metrics) + best


def _gate(gate: dict[str, Any]) -> str:
    return f"{'[green]✓[/]' if gate['passed'] else '[red]✗[/]'} {gate['reason']}"


def _drifted(done: Summary) -> str:
    drifted = [f"{name} ({row['reason']})" for name, row in done.drift.items() if row.get("drifted")]
    return "\n".join(drifted) or (
        f"none of {len(done.drift)} features" if done.drift else "no champion to compare with"
    )
