"""`ml-assets run`: the whole loop of a model at an as-of date, in this process, on the project's Dagster instance."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import chain
from typing import Any

import dagster as dg

from ml_assets.commands.failure import RunError, fail
from ml_assets.commands.forget import require_whole
from ml_assets.commands.progress import Show
from ml_assets.commands.project import Project
from ml_assets.commands.summary import Summary, summarise
from ml_assets.components.dead_runs import CLI, cli_tags, end_dead_run
from ml_assets.settings import Settings
from ml_assets.storage.files import hold_lock
from ml_assets.training.preflight import require_trainable
from ml_assets.training.reach import Reach, reach

_DECIDE = frozenset({"evaluation_report", "fairness_report", "release_record"})
"""Assets whose checks may say no to a candidate; the loop then goes on with the champion of before."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class EndedError(RunError):
    """The data ended long ago, and nobody named a date."""


def run(project: Project, name: str, as_of: date | None, today: date, show: Show) -> Summary:
    """Run the loop of one model and say what came out.

    The files come first: without a date, what they reach decides as of when the rest is run. A gate that does not pass
    is a result: the champion that stands then still predicts and is still watched.

    Args:
        project: the loaded project.
        name: the model.
        as_of: `T`, on the model's cadence; None = the last one that calendar and data have reached.
        today: the calendar.
        show: told the step, the steps done and all steps.

    Raises:
        RunError: a step failed, or another process runs the same loop.
        EndedError: no date was named and the data ended long ago.
        TrainingError: the estimator cannot be made as it is declared; nothing was run.
        UnforeseenError: a step failed in a way that nobody foresaw.
    """
    started = time.perf_counter()
    with _alone(project.settings, name), dg.DagsterInstance.get() as instance:
        _bury(instance, name)
        show("declaration", 0, 0)
        require_trainable(project.folder(name))
        loop = _Loop(project, instance, name, show)
        loop.ingest()
        reached = reach(project.lake, project.folder(name), today)
        day = as_of or _reached(name, reached)
        loop.go_on(day)
    seconds = time.perf_counter() - started
    return summarise(project, name, day, loop.metadata(), behind=_behind(reached, day), seconds=seconds)


def _reached(name: str, reached: Reach) -> date:
    """The as-of date of a run without one."""
    if reached.as_of is None:
        raise RunError(
            f"{name}: its data end on {reached.last_event}, before the first as-of date: let the cadence start earlier"
        )
    if reached.ended:
        raise EndedError(
            f"{name}: its data end on {reached.last_event}, long before {reached.calendar}, the last as-of date of the "
            f"calendar, so there is nothing to say of today; the last date that calendar and data both reach is "
            f"{reached.as_of}: ml-assets run {name} --as-of {reached.as_of}"
        )
    return reached.as_of


def _behind(reached: Reach, as_of: date) -> str:
    """What is to be said where the data end before the date, or the date before the calendar; else nothing."""
    if reached.as_of is None or as_of > reached.as_of:
        return f"the data end on {reached.last_event}: what came after is not known as of {as_of}"
    if as_of == reached.as_of < reached.calendar and not reached.ended:
        return f"the data end on {reached.last_event}, so the run is as of {as_of} and not {reached.calendar}"
    return ""


def after_champion(job: dg.JobDefinition, model: str) -> list[dg.AssetKey]:
    """What a gate that does not pass leaves out of a loop: everything downstream of the champion.

    The champion of before is still there to predict and to be watched.
    """
    downstream = dg.AssetSelection.assets([model, "champion"]).downstream(include_self=False)
    return sorted(downstream.resolve(job.asset_layer.asset_graph) & job.asset_layer.selected_asset_keys)


class _Loop:
    """The runs that a loop takes, one after the other."""

    def __init__(self, project: Project, instance: dg.DagsterInstance, name: str, show: Show) -> None:
        self.project, self.instance, self.name, self.show = project, instance, name, show
        self.job = project.definitions.resolve_job_def(f"{name}_loop")
        self.results: list[dg.ExecuteInProcessResult] = []

    def ingest(self) -> None:
        """Bring the files into the lake."""
        self._require(self._execute(self.project.definitions.resolve_implicit_global_asset_job_def(), raw=True))

    def go_on(self, as_of: date) -> None:
        """Everything after the raw tables, at an as-of date."""
        result = self._execute(self.job, raw=False, as_of=as_of)
        if not _blocked(result):
            self._require(result)
        elif self.project.registry.champion(self.name) is not None:
            self._require(self._execute(self.job, raw=False, as_of=as_of, only=after_champion(self.job, self.name)))

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Asset → its metadata of this run."""
        values = {}
        for event in chain.from_iterable(result.get_asset_materialization_events() for result in self.results):
            materialization = event.step_materialization_data.materialization
            key = "/".join(materialization.asset_key.path[1:])
            values[key] = {name: value.value for name, value in materialization.metadata.items()}
        return values

    def _execute(
        self, job: dg.JobDefinition, *, raw: bool, as_of: date | None = None, only: list[dg.AssetKey] | None = None
    ) -> dg.ExecuteInProcessResult:
        keys = self.job.asset_layer.selected_asset_keys
        selection = only or sorted(key for key in keys if (key.path[1] == "raw") == raw)
        done = 0 if raw else len(keys) - len(selection)
        run_id = str(uuid.uuid4())
        with _watched(self.instance, run_id, f"{self.name}/", done, len(keys), self.show):
            result = job.execute_in_process(
                partition_key=str(as_of) if as_of else None,
                instance=self.instance,
                run_id=run_id,
                run_config=_QUIET,
                asset_selection=selection,
                raise_on_error=False,
                # Whoever called is there to call again: the daemon does not.
                tags=cli_tags(self.name) | {"reason": "ml-assets run", "dagster/max_retries": "0"},
            )
        self.results.append(result)
        return result

    def _require(self, result: dg.ExecuteInProcessResult) -> None:
        if not result.success:
            fail(result, self.name)


@contextmanager
def _watched(
    instance: dg.DagsterInstance, run_id: str, prefix: str, before: int, steps: int, show: Show
) -> Iterator[None]:
    """Tell `show` what the event log says, until the body ends."""
    ended = threading.Event()

    def watch() -> None:
        cursor, done = None, before
        while not ended.wait(0.25):
            page = instance.get_records_for_run(run_id, cursor)
            cursor = page.cursor
            for record in page.records:
                entry = record.event_log_entry
                if entry.step_key and (entry.dagster_event is None or entry.dagster_event.is_step_event):
                    done += bool(entry.dagster_event and entry.dagster_event.is_step_success)
                    step = entry.step_key.replace("__", "/").removeprefix(prefix)
                    show(step if entry.dagster_event else f"{step}: {entry.user_message}", done, steps)

    thread = threading.Thread(target=watch, name="events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _alone(settings: Settings, name: str) -> Iterator[None]:
    """One run of a model at a time; the lock of a killed process is free."""
    path = settings.dagster / f"{name}.lock"
    busy = RunError(f"another process runs the loop of {name}: wait for it, or stop it (lock {path})")
    with hold_lock(path, busy=busy):
        require_whole(settings, name)
        yield


def _bury(instance: dg.DagsterInstance, name: str) -> None:
    """Mark the runs of killed commands as failed: we hold the lock, so nobody is executing them."""
    in_progress = dg.RunsFilter(tags={CLI: name}, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for dead in instance.get_runs(filters=in_progress):
        end_dead_run(instance, dead, "The process was killed; the next run went on from what it had finished.")


def _blocked(result: dg.ExecuteInProcessResult) -> bool:
    """Whether all that failed are assets that decide, and each by a check of its own."""
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    refusals = [check.asset_key for check in result.get_asset_check_evaluations() if not check.passed]
    gates = {key.to_user_string().replace("/", "__") for key in refusals if key.path[-1] in _DECIDE}
    return bool(failed) and failed <= gates
