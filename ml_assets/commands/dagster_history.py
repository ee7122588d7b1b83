"""What Dagster remembers of a model: runs, what they made, and how far its sensors have looked."""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData

from ml_assets.components.dead_runs import CLI
from ml_assets.errors import DataError

_GOING = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
_INSTIGATORS = ("data", "automation", "retrain", "schedule")


class Remembered(NamedTuple):
    """Of one model.

    Args:
        runs: of its job, or of its assets alone.
        assets: that were ever made.
        instigators: its sensors and its schedule.
    """

    runs: Sequence[dg.DagsterRun]
    assets: Sequence[dg.AssetKey]
    instigators: Sequence[InstigatorState]


def find_history(instance: dg.DagsterInstance, model: str) -> Remembered:
    """What there is of a model."""
    names = {f"{model}_{kind}" for kind in _INSTIGATORS}
    return Remembered(
        [run for run in instance.get_runs() if _is_of(run, model)],
        [key for key in instance.get_asset_keys() if key.path[0] == model],
        [state for state in instance.all_instigator_state() if state.name in names],
    )


def describe(found: Remembered) -> str:
    """In a few words; empty where there is nothing."""
    if not (found.runs or found.assets):
        return ""
    return f"{len(found.runs)} runs of Dagster, and what it knows of {len(found.assets)} assets"


def require_quiet(instance: dg.DagsterInstance, model: str) -> None:
    """Refuse while something of the model is being computed.

    Raises:
        DataError: a run is queued or in progress.
    """
    going = [run for run in instance.get_runs(dg.RunsFilter(statuses=_GOING)) if _is_of(run, model)]
    # Runs of `ml-assets run` hold a lock that we have: their process is gone.
    alive = [run for run in going if CLI not in run.tags]
    if alive:
        raise DataError(
            f"a run of {model} is {alive[0].status.value.lower()} ({alive[0].run_id[:8]}): wait until it has ended, or "
            "terminate it in the Dagster UI"
        )


def forget(instance: dg.DagsterInstance, model: str, *, remove: bool) -> None:
    """Delete it; sensors stay as they were switched on or off, and begin to look from the start.

    A run's key would keep its sensor from asking for the same run again, so the runs go as well.
    """
    history = find_history(instance, model)
    if history.assets:
        instance.wipe_assets(history.assets)
    for run in history.runs:
        instance.delete_run(run.run_id)
    _forget_pools(instance, model)
    for state in history.instigators:
        if remove:
            instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)
        elif isinstance(data := state.instigator_data, SensorInstigatorData):
            instance.update_instigator_state(state.with_data(data._replace(cursor=None, last_run_key=None)))


def _forget_pools(instance: dg.DagsterInstance, model: str) -> None:
    """The pools of its assets; they are made anew when they are needed."""
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for pool in storage.get_concurrency_keys():
            if pool.startswith(f"{model}/"):
                storage.delete_concurrency_limit(pool)


def _is_of(run: dg.DagsterRun, model: str) -> bool:
    selected = run.asset_selection or set()
    return (
        run.tags.get(CLI) == model
        or run.job_name == f"{model}_loop"
        or (bool(selected) and all(key.path[0] == model for key in selected))
    )
