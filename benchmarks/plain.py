"""The churn loop both ways: through Dagster, and as the calls that the bodies of its assets make, in their order."""

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_assets.commands.project import Project
    from ml_assets.monitoring.drift.report import DriftReport
    from ml_assets.monitoring.performance.table import PerformanceReport
    from ml_assets.spec.monitor import MonitorSpec

NAME = "churn"


def ways(project: "Project") -> dict[str, Callable[[date], object]]:
    """Each way to run the loop at an as-of date."""
    project.folder(NAME)
    return {
        "dagster": functools.partial(_dagster, project),
        "plain": functools.partial(_plain, project),
    }


def metrics(project: "Project", as_of: date) -> dict[str, float]:
    """What the candidate of an as-of date achieved, without the latency (which is a measurement itself)."""
    from ml_assets.training.report import report
    from ml_assets.training.train import candidate

    lake, registry, folder = project.lake, project.registry, project.folder(NAME)
    found = report(lake, registry, folder, candidate(lake, registry, folder, as_of)).metrics
    return {name: value for name, value in found.items() if "latency" not in name}


def _dagster(project: "Project", as_of: date) -> None:
    """The job on the project's own instance: one process, SQLite, everything logged but nothing printed."""
    import dagster as dg

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = project.definitions.resolve_job_def(f"{NAME}_loop")
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(partition_key=str(as_of), instance=instance, run_config=quiet)


def _plain(project: "Project", as_of: date) -> None:
    _features(project, as_of)
    _model(project, as_of)
    _predictions(project, as_of)
    _reports(project, as_of)


def _features(project: "Project", as_of: date) -> None:
    """`raw/*` and `features/*`."""
    from ml_assets.features.store import describe, refresh
    from ml_assets.ingest.ingest import ingest
    from ml_assets.settings import read_settings

    lake, workers = project.lake, read_settings().workers
    for source in project.sources(NAME):
        ingest(lake, f"{NAME}/raw/{source.spec.name}", source.spec, read_settings().incoming)
    for item in project.folder(NAME).features:
        refresh(lake, item.view, [as_of], workers=workers)
        describe(lake, item.view, as_of)


def _model(project: "Project", as_of: date) -> None:
    """`labels`, `training_set`, `model`, `evaluation_report`, `release_record`, `champion`."""
    from ml_assets.components.provenance import files, tags
    from ml_assets.release.record import standing_release
    from ml_assets.settings import read_settings
    from ml_assets.training.dataset import build, refresh_labels
    from ml_assets.training.release import history, release
    from ml_assets.training.report import read_report, report
    from ml_assets.training.train import candidate, train

    lake, registry, folder, workers = project.lake, project.registry, project.folder(NAME), read_settings().workers
    refresh_labels(lake, folder, as_of, workers=workers).metadata()
    build(lake, folder, as_of, workers=workers).metadata()
    built = build(lake, folder, as_of, workers=workers)
    made = train(lake, registry, folder, built, tags=tags("none"), files=files())
    registry.link(made.version)
    report(lake, registry, folder, candidate(lake, registry, folder, as_of), workers=workers).metadata()
    now = datetime.now(UTC).replace(tzinfo=None)
    _record(project, as_of, now)
    judged = read_report(registry, folder, candidate(lake, registry, folder, as_of))
    stands = standing_release(lake, registry, folder, judged)
    release(lake, registry, judged.version, stands.verdict, manifest=stands.manifest, as_of=as_of, decided_at=now)
    history(lake, NAME)


def _record(project: "Project", as_of: date, now: datetime) -> None:
    """`release_record`."""
    from ml_assets.components import Monitor
    from ml_assets.components.provenance import tags
    from ml_assets.release.documentation import read_documentation
    from ml_assets.release.evidence import read_alerts
    from ml_assets.release.record import record_candidate
    from ml_assets.release.scan import PackageAuditor
    from ml_assets.release.sign import KeyFolder
    from ml_assets.settings import PROJECT, read_settings
    from ml_assets.spec.view import ViewSpec
    from ml_assets.training.report import read_report
    from ml_assets.training.train import candidate

    lake, registry, folder, settings = project.lake, project.registry, project.folder(NAME), read_settings()
    model = project.model(NAME)
    rules = sum(len(each.spec.alerts.judged) for each in model.siblings(project.tree, Monitor))
    sources, views = [each.spec for each in project.sources(NAME)], model.specs_beside(project.tree, ViewSpec)
    record_candidate(
        lake, registry, folder, read_report(registry, folder, candidate(lake, registry, folder, as_of)),
        key=KeyFolder.at(settings.state).open(), auditor=PackageAuditor(PROJECT),
        alerts=read_alerts(lake, rules, settings.alerts, now),
        documentation=read_documentation(model.path, folder.spec.card, sources, views),
        origin=tags("none"), now=now,
    )  # fmt: skip


def _predictions(project: "Project", as_of: date) -> None:
    """`predictions`."""
    from ml_assets.settings import read_settings
    from ml_assets.training.score import predict, summary

    lake, registry, folder, workers = project.lake, project.registry, project.folder(NAME), read_settings().workers
    registry.champion(NAME)
    summary(lake, predict(lake, registry, folder, as_of, workers=workers), as_of)


def _reports(project: "Project", as_of: date) -> None:
    """`drift_report`, `performance_report`, `prediction_report`, `retraining_verdict`, `alerts`."""
    from ml_assets.alerts.outbox import evaluate
    from ml_assets.components import Monitor
    from ml_assets.decisions.metric import METRICS
    from ml_assets.monitoring import verdict
    from ml_assets.settings import read_settings

    lake, registry, folder, workers = project.lake, project.registry, project.folder(NAME), read_settings().workers
    spec = project.model(NAME).siblings(project.tree, Monitor)[0].spec
    drift, performance, predicted = _three(project, spec, as_of)
    performance.plot()
    performance.table()
    predicted.plot()
    now = datetime.now(UTC).replace(tzinfo=None)

    drift, performance, _ = _three(project, spec, as_of)
    metric = spec.retrain.metric
    seen = verdict.ReportSummary(
        {name: feature.drifted for name, feature in drift.features.items()},
        performance.evaluated_metric(metric), performance.headline(metric), performance.estimated_metric(metric),
    )  # fmt: skip
    verdict.decide(
        lake, registry, folder, spec.retrain.policy, seen, as_of,
        direction=METRICS[metric].direction, decided_at=now, workers=workers,
    )  # fmt: skip
    verdict.history(lake, NAME)

    numbers = {"psi": 0.0} | dict.fromkeys(verdict.numbers(lake, NAME, as_of), 0.0)
    _three(project, spec, as_of)
    verdict.at(lake, NAME, as_of)
    evaluate(lake, NAME, spec.alerts.judged, numbers, as_of, link="", decided_at=now)


def _three(project: "Project", spec: "MonitorSpec", as_of: date) -> "tuple[DriftReport, PerformanceReport, Any]":
    from ml_assets.monitoring.drift.report import drift_report
    from ml_assets.monitoring.performance.report import performance_report
    from ml_assets.monitoring.predictions.report import prediction_report
    from ml_assets.settings import read_settings

    lake, registry, folder, workers = project.lake, project.registry, project.folder(NAME), read_settings().workers
    drift = drift_report(lake, registry, folder, spec.drift, as_of, pages=read_settings().reports, workers=workers)
    performance = performance_report(lake, registry, folder, spec.performance, as_of, workers=workers)
    return drift, performance, prediction_report(lake, registry, folder, as_of, workers=workers)
