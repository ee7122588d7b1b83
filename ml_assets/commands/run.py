"""`ml-assets run`: the whole loop of a model at an as-of date, in this process, on the project's Dagster instance."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo
from filelock import FileLock, Timeout

from ml_assets.commands.project import Project
from ml_assets.commands.summary import Summary, summarise
from ml_assets.errors import MlAssetsError
from ml_assets.settings import settings

CLI = "ml_assets/cli"
# What a gate that does not pass leaves out: the champion of before is still there to predict and to be watched.
_AFTER = [
    "predictions", "online_features", "prediction_log", "drift_report", "performance_report", "prediction_report",
    "retraining_verdict", "alerts",
]  # fmt: skip
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Show = Callable[[str, int, int], None]


class RunError(MlAssetsError):
    """A step of the loop failed."""


def run(project: Project, name: str, as_of: date, show: Show) -> Summary:
    """Run the loop of one model and say what came out.

    A gate that does not pass is a result: the champion that stands then still predicts and is still watched.

    Args:
        project: the loaded project.
        name: the model.
        as_of: `T`, on the model's cadence.
        show: told the step, the steps done and all steps.

    Raises:
        RunError: a step failed, or another process runs the same loop.
    """
    started = time.perf_counter()
    with _alone(name), dg.DagsterInstance.get() as instance:
        _bury(instance, name)
        result = _execute(project, instance, name, as_of, None, show)
        blocked = _blocked(result)
        if not result.success and not blocked:
            raise RunError(_failure(result, name, as_of))
        if blocked and project.registry.champion(name) is not None:
            _require(_execute(project, instance, name, as_of, _AFTER, show), name, as_of)
    return summarise(project, name, as_of, _metadata(result), time.perf_counter() - started)


def _execute(
    project: Project,
    instance: dg.DagsterInstance,
    name: str,
    as_of: date,
    assets: list[str] | None,
    show: Show,
) -> dg.ExecuteInProcessResult:
    job = project.definitions.resolve_job_def(f"{name}_loop")
    selection = [dg.AssetKey([name, asset]) for asset in assets] if assets else None
    run_id = str(uuid.uuid4())
    steps = len(assets) if assets else len(job.all_node_defs)
    with _watched(instance, run_id, steps, show):
        return job.execute_in_process(
            partition_key=str(as_of),
            instance=instance,
            run_id=run_id,
            run_config=_QUIET,
            asset_selection=selection,
            raise_on_error=False,
            # Whoever called is there to call again: the daemon does not.
            tags={CLI: name, "reason": "ml-assets run", "dagster/max_retries": "0"},
        )


@contextmanager
def _watched(instance: dg.DagsterInstance, run_id: str, steps: int, show: Show) -> Iterator[None]:
    """Tell `show` what the event log says, until the body ends."""
    ended = threading.Event()

    def watch() -> None:
        cursor, done = None, 0
        while not ended.wait(0.25):
            page = instance.get_records_for_run(run_id, cursor)
            cursor = page.cursor
            for record in page.records:
                event = record.event_log_entry.dagster_event
                if event is not None and event.is_step_event and event.step_key:
                    done += event.is_step_success
                    show(event.step_key.replace("__", "/"), done, steps)

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One run of a model at a time; the lock of a killed process is free."""
    path = settings().dagster / f"{name}.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise RunError(f"another process runs the loop of {name}: wait for it, or stop it (lock {path})") from error


def _bury(instance: dg.DagsterInstance, name: str) -> None:
    """Mark the runs of killed commands as failed: we hold the lock, so nobody is executing them."""
    chosen = dg.RunsFilter(tags={CLI: name}, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for dead in instance.get_runs(filters=chosen):
        instance.report_run_failed(dead, "The process was killed; the next run went on from what it had finished.")


def _blocked(result: dg.ExecuteInProcessResult) -> bool:
    """Whether the only thing that failed is a gate."""
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    checks = [check for check in result.get_asset_check_evaluations() if not check.passed]
    gates = {
        check.asset_key.to_user_string().replace("/", "__")
        for check in checks
        if check.asset_key.path[-1] == "evaluation_report"
    }
    return bool(failed) and failed <= gates


def _require(result: dg.ExecuteInProcessResult, name: str, as_of: date) -> None:
    if not result.success:
        raise RunError(_failure(result, name, as_of))


def _failure(result: dg.ExecuteInProcessResult, name: str, as_of: date) -> str:
    """The first failed step with the innermost error, in one line."""
    for event in result.all_events:
        if event.is_step_failure:
            what = _said(event.step_failure_data.error)
            return f"{name} at {as_of}: {str(event.step_key).replace('__', '/')}: {what}"
    return f"{name} at {as_of}: the run failed; `ml-assets up` shows why"


def _said(error: SerializableErrorInfo | None) -> str:
    """The outermost message of ours, which says what to do; else the innermost of whoever failed."""
    ours = {kind.__name__ for kind in MlAssetsError.__subclasses__()}
    while error is not None and error.cls_name not in ours and error.cause is not None:
        error = error.cause
    if error is None:
        return "failed"
    return " ".join(error.message.removeprefix(f"{error.cls_name}: ").split("\n\nStack Trace")[0].split())


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Asset → its metadata of this run."""
    found = {}
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        found["/".join(made.asset_key.path[1:])] = {key: value.value for key, value in made.metadata.items()}
    return found
