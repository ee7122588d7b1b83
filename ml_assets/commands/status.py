"""`ml-assets status`: what stands, read only. Nothing is computed, and no lock is taken."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ml_assets.commands.environment import IMPATIENT
from ml_assets.commands.file_states import state as _source
from ml_assets.commands.progress import Show, nobody
from ml_assets.commands.project import Project
from ml_assets.commands.screen import echo
from ml_assets.commands.summary import numbers
from ml_assets.commands.titled_table import Line, put
from ml_assets.components import Model, Source
from ml_assets.decisions.metric import headline
from ml_assets.monitoring.verdict import latest
from ml_assets.redaction import redacted
from ml_assets.settings import settings
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import explain, ledger

Champions = Mapping[str, dict[str, Any] | str]
"""Model → its champion (`version`, `as_of`, `metrics`), or the sentence that says why that is not known."""

_SHOWN_FILES = 3
_GOING = dg.DagsterRunStatus
_IN_PROGRESS = dg.RunsFilter(statuses=[_GOING.QUEUED, _GOING.STARTING, _GOING.STARTED, _GOING.CANCELING])


def say(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what `collect` found: a table per model, or one JSON object."""
    if as_json:
        echo(json.dumps(found, default=str))
    else:
        for title, lines in tables(found).items():
            put(title, lines)


def collect(project: Project, progress: Show = nobody) -> dict[str, Any]:
    """What stands: plain values, times and dates in UTC.

    Args:
        project: the project; its SQL is not checked.
        progress: told the model, the models done and all models.

    Returns:
        `models`: by name `last_run`, `candidate`, `champion`, `predictions`, `drift` (None where there is none yet) and
        `sources`; `broken`: folder → why it cannot be loaded; `left_over`: what is of no folder → the command that
        removes it; `runs`: `in_progress` and `failed`, a list each.
    """
    lake = Lake(settings().lake_url)
    models: dict[str, dict[str, Any]] = {}
    with dg.DagsterInstance.get() as instance:
        for done, component in enumerate(project.models.values()):
            progress(component.folder, done, len(project.models))
            models[component.folder] = _model(project, lake, instance, component)
        in_progress = [_run(record) for record in instance.get_run_records(_IN_PROGRESS, limit=100)]
    released = [name for name in models if lake.version(ledger(name).table) is not None]
    progress("the registry", len(models), len(models))
    known = champions(settings().tracking_uri, released)
    for name, model in models.items():
        model["champion"] = _champion(lake, name, known.get(name))
    last = [model["last_run"] for model in models.values() if model["last_run"]]
    failed = [run for run in last if run["status"] == "FAILURE"]
    runs = {"in_progress": in_progress, "failed": failed}
    return {"models": models, "broken": project.broken, "left_over": _left_over(project), "runs": runs}


def _left_over(project: Project) -> dict[str, str]:
    """What is left of models that are gone → the command that removes it; nothing while the registry is away."""
    from ml_assets.commands.leftovers import remedies

    try:
        return remedies(settings(), project.root / "ml_assets" / "defs")
    except Exception:  # noqa: BLE001 - each model says already that the registry does not answer
        return {}


def champions(uri: str, names: Sequence[str]) -> Champions:
    """The champion of each model, from the registry."""
    os.environ.update(IMPATIENT)
    registry, found = Registry(uri), {}
    for name in names:
        try:
            found[name] = _registered(registry, name)
        except Exception as error:  # noqa: BLE001 - whatever the client of a tracking server raises; it is said, not hidden
            return dict.fromkeys(
                names, redacted(f"{uri} does not answer ({' '.join(str(error).split())[:200]}): ml-assets doctor")
            )
    return found


def _registered(registry: Registry, name: str) -> dict[str, Any] | str:
    found = registry.glance(name)
    if found is None:
        lost = "the registry has no champion, though the ledger has: was data/mlflow removed?"
        return f"{lost} `ml-assets run {name}` trains one"
    version, metrics = found
    chosen = {metric: metrics[metric] for metric in headline() if metric in metrics}
    return {"version": version.number, "as_of": str(version.as_of), "run_id": version.run_id, "metrics": chosen}


def _champion(lake: Lake, name: str, registered: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """The champion of the registry, with what the ledger says about it."""
    if registered is None:
        return None
    if isinstance(registered, str):
        return {"unknown": registered}
    found = explain(lake, name, registered["version"])
    since = str(found.since) if found.since else None
    return registered | {"since": since, "decision": found.decision, "reason": found.reason}


def _model(project: Project, lake: Lake, instance: dg.DagsterInstance, model: Model) -> dict[str, Any]:
    name = model.folder
    runs = instance.get_run_records(dg.RunsFilter(job_name=f"{name}_loop"), limit=1)
    sources = [source.spec.name for source in model.siblings(project.tree, Source)]
    return {
        "last_run": _run(runs[0]) if runs else None,
        "candidate": _candidate(instance, name),
        "predictions": _predictions(lake, name),
        "drift": _drift(lake, name),
        "verdict": _verdict(lake, name),
        "sources": {source: _source(lake, ModelTables(name).raw(source)) for source in sources},
    }


def _run(record: dg.RunRecord) -> dict[str, Any]:
    run = record.dagster_run
    seconds = None if record.start_time is None or record.end_time is None else record.end_time - record.start_time
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "as_of": run.tags.get("dagster/partition"),
        "status": run.status.value,
        "started": None if record.start_time is None else _time(record.start_time),
        "seconds": None if seconds is None else round(seconds, 1),
    }


def _time(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def _candidate(instance: dg.DagsterInstance, name: str) -> dict[str, Any] | None:
    """The last evaluated version, as its report said it in the event log."""
    event = instance.get_latest_materialization_event(dg.AssetKey([name, "evaluation_report"]))
    made = event.asset_materialization if event else None
    if made is None:
        return None
    said = {key: value.value for key, value in made.metadata.items()}
    metrics = {metric: said[metric] for metric in headline() if metric in said}
    return {
        "as_of": made.partition,
        **{key: said.get(key) for key in ("version", "verdict", "reason")},
        "metrics": metrics,
    }


def _predictions(lake: Lake, name: str) -> dict[str, Any] | None:
    table = ModelTables(name).predictions
    if lake.version(table) is None:
        return None
    last = (
        "SELECT as_of, count(*) AS entities, max(model_version) AS model_version, avg(score) AS mean_score "
        "FROM t WHERE as_of = (SELECT max(as_of) FROM t) GROUP BY as_of"
    )
    found: list[dict[str, Any]] = lake.query(last, t=table).to_pylist()
    return found[0] if found else None


def _drift(lake: Lake, name: str) -> dict[str, Any] | None:
    table = ModelTables(name).drift_report
    if lake.version(table) is None:
        return None
    last = "SELECT as_of, feature, drifted, reason FROM t WHERE as_of = (SELECT max(as_of) FROM t) ORDER BY feature"
    rows = lake.query(last, t=table).to_pylist()
    drifted = {row["feature"]: row["reason"] for row in rows if row["drifted"]}
    return {"as_of": rows[0]["as_of"], "features": len(rows), "drifted": drifted} if rows else None


def _verdict(lake: Lake, name: str) -> dict[str, Any] | None:
    found = latest(lake, name)
    return None if found is None else {"as_of": found.as_of, "action": found.action.value, "reason": found.reason}


def tables(found: Mapping[str, Any]) -> dict[str, list[Line]]:
    """The same for people: title → lines; one table per model, and one of the runs in progress."""
    from rich.markup import escape

    going = [f"{run['job']} {run['as_of'] or ''} {run['status'].lower()}" for run in found["runs"]["in_progress"]]
    shown = {name: _lines(model) for name, model in found["models"].items()}
    left_out = {name: [("broken", error)] for name, error in found["broken"].items()}
    left_over = [("left over", f"{what}: `{command}`") for what, command in found["left_over"].items()]
    whole = {**shown, **left_out, "runs": [("in progress", "\n".join(going) or "none"), *left_over]}
    return {title: [(label, escape(text)) for label, text in lines] for title, lines in whole.items()}


def _lines(model: Mapping[str, Any]) -> list[Line]:
    run, predictions, drift, verdict = (model[name] for name in ("last_run", "predictions", "drift", "verdict"))
    scored = (
        f"{predictions['entities']:,} entities at {predictions['as_of']}, by version {predictions['model_version']}"
        if predictions
        else "none yet"
    )
    sources = [line for name, row in model["sources"].items() for line in _delivered(name, row)]
    return [
        (
            "last run",
            f"{run['status'].lower()}, as of {run['as_of']}, {run['started'] or 'queued'}" if run else "never",
        ),
        ("champion", _who(model["champion"]) if model["champion"] else "none yet"),
        ("last candidate", _tried(model["candidate"]) if model["candidate"] else "none yet"),
        ("predictions", scored),
        ("drift", _drifted(drift) if drift else "no report yet"),
        ("verdict", f"{verdict['action']} at {verdict['as_of']}: {verdict['reason']}" if verdict else "none yet"),
        ("sources", "\n".join(sources)),
    ]


def _delivered(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """What a source has; why rows are in the quarantine, and the first files that were left where they are."""
    yield f"{name}: {row['rows']:,} rows until {row['last_event'] or 'never'}"
    if row["quarantined"]:
        yield f"  {row['quarantined']:,} rows are in the quarantine"
        yield from (f"    {each['rows']:,}: {each['reason']}" for each in row["quarantine_reasons"])
    yield from (f"  left where it is: {each['reason']}" for each in row["left"][:_SHOWN_FILES])
    if len(row["left"]) > _SHOWN_FILES:
        yield f"  and {len(row['left']) - _SHOWN_FILES} more files (--json names all)"


def _tried(candidate: Mapping[str, Any]) -> str:
    verdict = f"{candidate['verdict']}: {candidate['reason']}"
    return f"version {candidate['version']} of {candidate['as_of']}, {verdict}\n{numbers(candidate['metrics'])}"


def _who(champion: Mapping[str, Any]) -> str:
    if "unknown" in champion:
        return f"unknown: {champion['unknown']}"
    since = champion["since"] or "a change by hand"
    return f"version {champion['version']} since {since}\n{numbers(champion['metrics'])}"


def _drifted(drift: Mapping[str, Any]) -> str:
    drifted = [f"{name} ({reason})" for name, reason in drift["drifted"].items()]
    return "\n".join(drifted) or f"none of {drift['features']} features at {drift['as_of']}"
