"""`ml-assets status`: what stands, read only. Nothing is computed, and no lock is taken."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ml_assets.commands.progress import Show, nobody
from ml_assets.commands.project import Project
from ml_assets.commands.screen import echo
from ml_assets.commands.summary import numbers
from ml_assets.commands.titled_table import Line, print_table
from ml_assets.components import Source
from ml_assets.decisions.metric import headline
from ml_assets.monitoring.overview import CandidateState, Overview, RunState, model_overview, with_champions

_SHOWN_FILES = 3
_GOING = dg.DagsterRunStatus
_IN_PROGRESS = dg.RunsFilter(statuses=[_GOING.QUEUED, _GOING.STARTING, _GOING.STARTED, _GOING.CANCELING])


def say(overview: Overview, *, as_json: bool) -> None:
    """Print an overview: a table per model, or one JSON object."""
    overview_json = overview.to_json()
    if as_json:
        echo(json.dumps(overview_json, default=str))
    else:
        for title, lines in tables(overview_json).items():
            print_table(title, lines)


def collect(project: Project, progress: Show = nobody) -> Overview:
    """What stands: the lake, the registry and Dagster's instance are asked, in this order of models.

    Args:
        project: the project; its SQL is not checked.
        progress: told the model, the models done and all models.
    """
    from ml_assets.rollouts.experiment import describe_experiments  # sqlalchemy, scipy
    from ml_assets.rollouts.report import describe_rollout

    lake, models = project.lake, {}
    with dg.DagsterInstance.get() as instance:
        for done, (name, component) in enumerate(project.models.items()):
            progress(name, done, len(project.models))
            sources = [source.spec.name for source in component.siblings(project.tree, Source)]
            overview = model_overview(
                lake, name, sources, last_run=_last_run(instance, name), candidate=_candidate(instance, name)
            )
            rollout, experiments = describe_rollout(lake, name), describe_experiments(lake, name)
            models[name] = replace(overview, rollout=rollout, experiments=experiments)
        in_progress = tuple(_run(record) for record in instance.get_run_records(_IN_PROGRESS, limit=100))
    progress("the registry", len(models), len(models))
    with_champion = with_champions(lake, project.registry, models)
    return Overview(with_champion, project.broken, _left_over(project), in_progress)


def _left_over(project: Project) -> dict[str, str]:
    """What is left of models that are gone → the command that removes it; nothing while the registry is away."""
    from ml_assets.commands.leftovers import remedies

    try:
        return remedies(project.settings, project.root / "ml_assets" / "defs")
    except Exception:  # noqa: BLE001 - each model says already that the registry does not answer
        return {}


def _last_run(instance: dg.DagsterInstance, name: str) -> RunState | None:
    records = instance.get_run_records(dg.RunsFilter(job_name=f"{name}_loop"), limit=1)
    return _run(records[0]) if records else None


def _run(record: dg.RunRecord) -> RunState:
    run = record.dagster_run
    seconds = None if record.start_time is None or record.end_time is None else record.end_time - record.start_time
    return RunState(
        run_id=run.run_id,
        job=run.job_name,
        as_of=run.tags.get("dagster/partition"),
        status=run.status.value,
        started=None if record.start_time is None else _time(record.start_time),
        seconds=None if seconds is None else round(seconds, 1),
    )


def _time(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def _candidate(instance: dg.DagsterInstance, name: str) -> CandidateState | None:
    """The last evaluated version, as its report said it in the event log."""
    event = instance.get_latest_materialization_event(dg.AssetKey([name, "evaluation_report"]))
    materialization = event.asset_materialization if event else None
    if materialization is None:
        return None
    values = {key: value.value for key, value in materialization.metadata.items()}
    metrics = {metric: values[metric] for metric in headline() if metric in values}
    return CandidateState(
        materialization.partition, values.get("version"), values.get("verdict"), values.get("reason"), metrics
    )


def tables(found: Mapping[str, Any]) -> dict[str, list[Line]]:
    """The same for people: title → lines; one table per model, and one of the runs in progress."""
    from rich.markup import escape

    going = [f"{run['job']} {run['as_of'] or ''} {run['status'].lower()}" for run in found["runs"]["in_progress"]]
    model_lines = {name: _lines(model) for name, model in found["models"].items()}
    left_out = {name: [("broken", error)] for name, error in found["broken"].items()}
    left_over = [("left over", f"{what}: `{command}`") for what, command in found["left_over"].items()]
    whole = {**model_lines, **left_out, "runs": [("in progress", "\n".join(going) or "none"), *left_over]}
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
        *((label, model[label]) for label in ("rollout", "experiments") if model.get(label)),
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
