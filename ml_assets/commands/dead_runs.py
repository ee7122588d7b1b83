"""Runs whose process is gone: killed with the daemon, nobody else would notice them."""

import dagster as dg

from ml_assets.components.dead_runs import CLI, end_dead_run, is_alive

_GOING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs whose process is gone as failed: the daemon then takes them up again where they stopped.

    Only for who starts the daemon, because no other one can be at work then. Runs of `ml-assets run` are left to the
    next call of that command.

    Returns:
        The ids of the runs.
    """
    going = instance.get_runs(filters=dg.RunsFilter(statuses=_GOING))
    dead = [run for run in going if CLI not in run.tags and not is_alive(instance, run)]
    for run in dead:
        end_dead_run(instance, run, "The process was killed; it is taken up again where it stopped.")
    return [run.run_id for run in dead]
