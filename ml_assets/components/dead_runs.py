"""Runs whose process was killed, and the slots of pools that they still hold."""

import os
import socket
from pathlib import Path

import dagster as dg

from ml_assets.components.sensors import ALWAYS

CLI = "ml_assets/cli"
"""The tag of runs of `ml-assets run`: the model."""

HOST = "ml_assets/host"
"""The tag that names the machine of such a run: a process id means something there only."""


def cli_tags(model: str) -> dict[str, str]:
    """The tags of a run of `ml-assets run` on this machine."""
    return {CLI: model, HOST: socket.gethostname()}


def slots_sensor() -> dg.SensorDefinition:
    """Free what a killed `ml-assets run` holds of pools: the runs of the daemon would wait for it."""

    @dg.sensor(name="dead_slots", **ALWAYS)
    def dead_slots(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """The holders of slots are looked at."""
        freed = free_dead_slots(context.instance)
        return dg.SkipReason(f"slots of killed runs freed: {', '.join(freed) or 'none'}")

    return dead_slots


def free_dead_slots(instance: dg.DagsterInstance) -> list[str]:
    """Free the slots that killed runs of `ml-assets run` on this machine hold; the ids of the runs."""
    storage = instance.event_log_storage
    ids = [*storage.get_concurrency_run_ids()] if storage.supports_global_concurrency_limits else []
    runs = instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
    dead = [run.run_id for run in runs if run.tags.get(HOST) == socket.gethostname() and not is_alive(instance, run)]
    for run_id in dead:
        storage.free_concurrency_slots_for_run(run_id)
    return dead


def end_dead_run(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> None:
    """Mark a run as failed whose process is gone, and free its slots."""
    instance.report_run_failed(run, reason)
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a process of this machine that the run named as its own is still there, and still is it."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    data = [entry.dagster_event.engine_event_data for entry in events if entry.dagster_event]
    pids = {str(item.metadata["pid"].value) for item in data if "pid" in item.metadata}
    return any(_runs_dagster(pid) for pid in pids)


def _runs_dagster(pid: str) -> bool:
    """The system gives numbers again: the process must be one of Dagster's."""
    try:
        os.kill(int(pid), 0)
    except (OSError, ValueError):
        return False
    command = Path(f"/proc/{pid}/cmdline")
    return not command.exists() or b"dagster" in command.read_bytes() or b"ml_assets" in command.read_bytes()
