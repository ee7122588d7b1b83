"""What is told to people: alerts out of the outbox, and runs that failed or succeeded again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.resources import LakeResource, SettingsResource
from ml_assets.components.retries import ATTEMPT
from ml_assets.components.sensors import ALWAYS
from ml_assets.decisions.alert import Severity
from ml_assets.settings import Settings
from ml_assets.spec.alert import PROJECT

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorState

    from ml_assets.storage.lake import Lake

Severities = Mapping[str, Severity | None]
"""Folder → how severe a failed run of it is; None: it is not told."""


def delivery_sensor(folders: Severities) -> dg.SensorDefinition:
    """Send what waits in the outboxes. It stays there until its URL took it, whatever is killed in between."""

    @dg.sensor(name="alerts", **ALWAYS)
    def alerts(lake: LakeResource, settings: SettingsResource) -> dg.SkipReason:
        """Alerts that are not delivered yet are sent."""
        from ml_assets.alerts.delivery import deliver  # pyarrow: not at load

        done = deliver(lake.open(), folders, settings.alerts, now=_now())
        return dg.SkipReason(f"{done.sent} delivered, {done.left} left: {done.reason}")

    return alerts


def failure_sensor(folders: Severities) -> dg.SensorDefinition:
    """A run that failed for good becomes an alert."""

    @dg.run_failure_sensor(name="failed_runs", **ALWAYS)
    def failed_runs(context: dg.RunFailureSensorContext, lake: LakeResource, settings: SettingsResource) -> None:
        """A run that will be tried again is told when that fails too."""
        from ml_assets.alerts.outbox import record_failed_run  # pyarrow: not at load

        run = context.dagster_run
        folder = _folder(run, folders)
        severity = folders.get(folder, Severity.CRITICAL)
        if severity is None or run.tags.get("dagster/will_retry") == "true" or ATTEMPT in run.tags:
            return  # of an ingest that is tried again and again, the first failure was told
        steps = context.get_step_failure_events()
        step, failure = (steps[0].step_key, steps[0].step_failure_data.error) if steps else (None, None)
        error = failure.cause or failure if failure else None
        line = error.message if error else context.failure_event.message or ""
        record_failed_run(
            lake.open(), folder, run.run_id, _work(run), step, line, _link(settings, run), _now(), severity=severity
        )

    return failed_runs


def success_sensor(folders: Severities) -> dg.SensorDefinition:
    """A run that succeeds after others of its kind failed is told too."""

    @dg.run_status_sensor(name="recovered_runs", run_status=dg.DagsterRunStatus.SUCCESS, **ALWAYS)
    def recovered_runs(context: dg.RunStatusSensorContext, lake: LakeResource, settings: SettingsResource) -> None:
        """The end of a failure."""
        from ml_assets.alerts.outbox import record_recovery  # pyarrow: not at load

        run = context.dagster_run
        record_recovery(lake.open(), _folder(run, folders), run.run_id, _work(run), _link(settings, run), _now())

    return recovered_runs


def tick_sensor(folders: Severities) -> dg.SensorDefinition:
    """A sensor whose tick fails becomes an alert: what it starts would stay away in silence."""

    @dg.sensor(name="failed_sensors", **ALWAYS)
    def failed_sensors(
        context: dg.SensorEvaluationContext, lake: LakeResource, settings: SettingsResource
    ) -> dg.SkipReason:
        """The last tick of every sensor is looked at; a failure is told once until the sensor works again."""
        link, instance = f"{settings.dagster_ui}/automation", context.instance
        failing = [state.name for state in _sensors(instance) if _told(lake.open(), link, instance, state, folders)]
        return dg.SkipReason(f"failing: {', '.join(failing) or 'none'}")

    return failed_sensors


def _sensors(instance: dg.DagsterInstance) -> "list[InstigatorState]":
    from dagster._core.definitions.run_request import InstigatorType

    return [state for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR) if state.is_running]


def _told(lake: "Lake", link: str, instance: dg.DagsterInstance, state: "InstigatorState", folders: Severities) -> bool:
    """Tell whether the last tick of a sensor failed, or worked again; returns whether it failed."""
    from ml_assets.alerts.outbox import record_failed_sensor, record_recovery  # pyarrow: not at load

    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
    tick = next((tick for tick in ticks if tick.is_completed), None)
    folder = max((name for name in folders if state.name.startswith(f"{name}_")), key=len, default="project")
    severity = folders.get(folder, Severity.CRITICAL)
    if tick is None or severity is None:
        return False
    name, at = f"sensor {state.name}", datetime.fromtimestamp(tick.timestamp, UTC).replace(tzinfo=None)
    if not tick.is_failure:
        record_recovery(lake, folder, str(tick.tick_id), name, link, at)
        return False
    error = tick.error
    while error is not None and error.cause is not None:
        error = error.cause
    line = error.message if error else ""
    record_failed_sensor(lake, folder, name, line, link, at, severity=severity)
    return True


def asset_link(ui: str, key: dg.AssetKey) -> str:
    """The address of an asset in the Dagster UI, which answers at `ui`."""
    return f"{ui}/assets/{'/'.join(key.path)}"


def _link(settings: Settings, run: dg.DagsterRun) -> str:
    return f"{settings.dagster_ui}/runs/{run.run_id}"


def _folder(run: dg.DagsterRun, folders: Severities) -> str:
    """Whose run it is: that of its assets, or of its job."""
    selected = {key.path[0] for key in run.asset_selection or ()}
    folder_names = selected or {run.job_name.removesuffix("_loop")}
    return min(folder_names & folders.keys(), default=PROJECT)


def _work(run: dg.DagsterRun) -> str:
    """What has to succeed for a recovery: what the same sensor starts, or the same job."""
    return run.tags.get("dagster/sensor_name", run.job_name)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
