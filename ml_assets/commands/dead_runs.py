"""Runs whose process is gone: killed with the daemon, nobody else would notice them."""

import os
from pathlib import Path

import dagster as dg

from ml_assets.commands.run import CLI

_GOING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs whose process is gone as failed: the daemon then takes them up again where they stopped.

    Only for who starts the daemon, because no other one can be at work then. Runs of `ml-assets run` are left to the
    next call of that command.

    Returns:
        The ids of the runs.
    """
    going = instance.get_runs(filters=dg.RunsFilter(statuses=_GOING))
    dead = [run for run in going if CLI not in run.tags and not _alive(instance, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "The process was killed; it is taken up again where it stopped.")
    return [run.run_id for run in dead]


def _alive(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a process that the run named as its own is still there, and still is it."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
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
