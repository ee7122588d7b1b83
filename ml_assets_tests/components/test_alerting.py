"""Runs that failed are told once, runs that are tried again are not, and a success after a failure is told too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from ml_assets.alerts.outbox import Alert, alerts
from ml_assets.components.alerting import failure_sensor, success_sensor, tick_sensor
from ml_assets.decisions.alert import Kind, Severity
from ml_assets.settings import Settings
from ml_assets.storage.lake import Lake

FOLDERS = {"shop": Severity.CRITICAL, "quiet": None}


class Place(NamedTuple):
    """A lake, handed out as the resource does: Dagster warns of itself while it sets up one within another."""

    lake: Lake

    def open(self) -> Lake:
        return self.lake


class Query:
    """A feature view that fails, or not."""

    fails = True


@dg.asset(key=["shop", "features", "habits"])
def habits() -> None:
    if Query.fails:
        raise ValueError("column rate is gone")


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, Any]:
    return {"settings": Settings(data=tmp_path), "lake": Place(Lake(str(tmp_path / "lake")))}


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(Query, "fails", True)
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(instance: dg.DagsterInstance, resources: dict[str, Any], folder: str = "shop", **tags: str) -> None:
    """A run of a folder's job, and what the sensors make of it."""
    job = dg.define_asset_job(f"{folder}_loop", selection=[habits])
    made = dg.Definitions(assets=[habits], jobs=[job]).resolve_job_def(f"{folder}_loop")
    done = made.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    current = instance.get_run_by_id(done.run_id)
    kind = dg.DagsterEventType.RUN_SUCCESS if done.success else dg.DagsterEventType.RUN_FAILURE
    event = next(event for event in done.all_events if event.event_type == kind)
    assert current is not None
    sensor = success_sensor(FOLDERS) if done.success else failure_sensor(FOLDERS)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=current,
        resources=resources,
    )  # fmt: skip
    sensor(context if done.success else context.for_run_failure())


def said(resources: dict[str, Any], folder: str = "shop") -> list[Alert]:
    return alerts(resources["lake"].open(), folder)


def test_a_failed_run_is_told_with_its_step_its_error_and_a_link(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    run(instance, resources)
    (alert,) = said(resources)
    assert (alert.kind, alert.severity) == (Kind.FIRED, Severity.CRITICAL)
    assert "shop_loop failed in shop__features__habits" in alert.text
    assert "column rate is gone" in alert.text
    assert alert.link.startswith("http://127.0.0.1:3000/runs/")


def test_a_run_that_will_be_tried_again_is_not_told(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    run(instance, resources, **{"dagster/will_retry": "true"})
    assert said(resources) == []


def test_a_success_after_a_failure_is_its_end(
    instance: dg.DagsterInstance, resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(instance, resources)
    monkeypatch.setattr(Query, "fails", False)
    run(instance, resources)
    run(instance, resources)
    assert [alert.kind for alert in said(resources)] == [Kind.FIRED, Kind.RECOVERED]


def test_who_wants_no_word_of_failed_runs_gets_none(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    run(instance, resources, "quiet")
    assert said(resources, "quiet") == []


@pytest.mark.usefixtures("instance")
def test_a_sensor_that_fails_is_told_once_until_it_works_again(resources: dict[str, Any]) -> None:
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )  # fmt: skip
    from dagster._core.scheduler.instigation import (
        InstigatorState,
        InstigatorStatus,
        InstigatorType,
        TickData,
        TickStatus,
    )  # fmt: skip
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster_shared.error import SerializableErrorInfo

    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(), location_name="here")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "all"), "shop_data")
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    sensor = tick_sensor(FOLDERS)

    def tick(seconds: int, status: TickStatus) -> None:
        error = SerializableErrorInfo("DataError: the store is away\n", [], "DataError")
        data = TickData(
            state.instigator_origin_id, "shop_data", InstigatorType.SENSOR, status, 1_770_000_000.0 + seconds,
            selector_id=state.selector_id, error=error if status == TickStatus.FAILURE else None,
        )  # fmt: skip
        ticks.create_tick(data)
        sensor(dg.build_sensor_context(ticks, resources=resources))

    with dg.instance_for_test() as ticks:  # an ephemeral instance keeps none
        ticks.add_instigator_state(state)
        for seconds, status in enumerate([TickStatus.SKIPPED, *[TickStatus.FAILURE] * 3, TickStatus.SKIPPED]):
            tick(seconds, status)
    kinds = [(alert.kind, alert.rule) for alert in said(resources)]
    assert kinds == [(Kind.FIRED, "run sensor shop_data"), (Kind.RECOVERED, "run sensor shop_data")]
    assert (
        said(resources)[0].text
        == "sensor shop_data fails, and what it starts does not run: DataError: the store is away"
    )
