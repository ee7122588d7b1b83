"""Old runs are forgotten, and nobody who asks Dagster of today sees it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.test_utils import instance_for_test
from sqlalchemy import Engine, event, func, select

from ml_assets.components.base import Result
from ml_assets.components.old_runs import FAILED, Purged, purge, purge_sensor

DAYS = dg.StaticPartitionsDefinition(["1", "2", "3"])
LATER = datetime.now(UTC) + timedelta(days=1)


@dg.asset
def raw() -> Result:
    return dg.MaterializeResult(metadata={"rows": 1}, data_version=dg.DataVersion("x"))


@dg.asset(
    partitions_def=DAYS,
    deps=[raw],
    check_specs=[dg.AssetCheckSpec("fit", asset="view"), dg.AssetCheckSpec("full", asset="view")],
)
def view(context: dg.AssetExecutionContext) -> Result:
    context.log_event(dg.AssetObservation("seen", metadata={"day": context.partition_key}))
    passed = context.partition_key != "2"
    results = [dg.AssetCheckResult(check_name=name, passed=passed or name == "full") for name in ("fit", "full")]
    return dg.MaterializeResult(check_results=results)


@dg.asset
def fails() -> None:
    raise ValueError("as it always does")


ASSETS = [raw, view, fails]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """With the event log of the project."""
    config = {"event_log_storage": {
        "module": "ml_assets.storage.event_log", "class": "EventLog", "config": {"base_dir": str(tmp_path / "log")},
    }}  # fmt: skip
    with unsynced(), instance_for_test(temp_dir=str(tmp_path), overrides=config) as made:
        yield made


@contextmanager
def unsynced() -> Iterator[None]:
    """Commits of SQLite do not wait for the disk: an instance of a test outlives no power cut."""

    def switch_off(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", switch_off)
    try:
        yield
    finally:
        event.remove(Engine, "connect", switch_off)


def run(instance: dg.DagsterInstance, asset: Any, day: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    done = dg.materialize(
        ASSETS, selection=[asset], instance=instance, partition_key=day, tags=tags, raise_on_error=False
    )
    return str(done.run_id)


def seen(instance: dg.DagsterInstance) -> Any:
    """What conditions, the UI and `status` ask for."""
    keys = [asset.key for asset in ASSETS]
    records = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    checks = [dg.AssetCheckKey(view.key, name) for name in ("fit", "full")]
    summaries = instance.event_log_storage.get_asset_check_summary_records(checks)
    made, planned = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    of_partitions = [
        instance.event_log_storage.get_latest_storage_id_by_partition(view.key, kind) for kind in (made, planned)
    ]
    return (
        {key: (str(entry.last_materialization), entry.last_run_id) for key, entry in records.items()},
        {key: str(summary.last_check_execution_record) for key, summary in summaries.items()},
        of_partitions,
        instance.get_materialized_partitions(view.key),
        instance.get_status_by_partition(view.key, ["1", "2", "3"], DAYS),
        [str(instance.get_latest_materialization_event(key)) for key in keys],
        str(instance.fetch_observations(view.key, limit=1).records),
        instance.event_log_storage.get_latest_tags_by_partition(raw.key, made, ["dagster/data_version"]),
    )


def counts(instance: dg.DagsterInstance) -> tuple[int, int, int]:
    storage: Any = instance.event_log_storage
    tables = (SqlEventLogStorageTable, AssetCheckExecutionsTable, AssetEventTagsTable)
    with storage.index_connection() as connection:
        events, checks, tags = (connection.execute(select(func.count()).select_from(one)).scalar() for one in tables)
    return events, checks, tags


def test_what_is_asked_for_stays_and_the_rest_goes(instance: dg.DagsterInstance) -> None:
    old = [run(instance, raw) for _ in range(3)]
    days = {day: [run(instance, view, day) for _ in range(2)] for day in ("1", "2")}
    failed = [run(instance, fails) for _ in range(2)]
    before, had = seen(instance), counts(instance)
    done = purge(instance, LATER)
    assert seen(instance) == before
    assert {run_.run_id for run_ in instance.get_runs()} == {
        old[-1], *(runs[-1] for runs in days.values()), failed[-1],
    }  # fmt: skip
    left = counts(instance)
    assert done == Purged(had[0] - left[0], len(old) - 1 + 2 + 1)
    assert left[0] < had[0] / 5
    assert left[1:] == (2, had[2] - 4)  # two checks; of what was made twice and thrice, the last
    assert purge(instance, LATER) == Purged(0, 0)
    assert run(instance, view, "1")
    assert len(instance.get_runs()) == 5


def test_what_is_young_or_still_runs_stays(instance: dg.DagsterInstance) -> None:
    run(instance, raw)
    run(instance, raw)
    created = instance.create_run_for_job(dg.define_asset_job("job").resolve(asset_graph=_graph()))
    had = counts(instance)
    assert purge(instance, datetime.now(UTC) - timedelta(days=30)) == Purged(0, 0)
    assert counts(instance) == had
    assert purge(instance, LATER).runs == 1
    assert instance.get_run_by_id(created.run_id) is not None


def _graph() -> Any:
    return dg.Definitions(assets=ASSETS).resolve_asset_graph()


def test_a_run_with_a_key_stays_so_that_its_key_starts_nothing_twice(instance: dg.DagsterInstance) -> None:
    first = run(instance, raw, tags={"dagster/run_key": "shop/retrain/2026-01-04"})
    run(instance, raw)
    assert purge(instance, LATER).runs == 0
    (found,) = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": "shop/retrain/2026-01-04"}))
    assert found.run_id == first
    assert instance.all_logs(first) == []


def test_a_call_that_has_no_time_goes_on_the_next_time(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        run(instance, raw)
    ticks = count()
    assert purge(instance, LATER, seconds=0, clock=lambda: float(next(ticks))) == Purged(0, 0)
    assert purge(instance, LATER, seconds=1.5, clock=lambda: float(next(ticks))).runs == 2


def test_captured_output_goes_with_its_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    first, last = run(instance, raw), run(instance, raw)
    folder = Path(instance.compute_log_manager.get_captured_local_path([first, "compute_logs", "x"], "err")).parents[1]  # type: ignore[attr-defined]
    assert tmp_path in folder.parents
    for run_id in (first, last):
        (folder.parent / run_id).mkdir(exist_ok=True)
        (folder.parent / run_id / "x.err").write_text(json.dumps("said"))
    purge(instance, LATER)
    assert [run_id for run_id in (first, last) if (folder.parent / run_id).exists()] == [last]


def test_a_tick_says_what_went_and_failed_runs_stay_longer(instance: dg.DagsterInstance) -> None:
    for _ in range(2):
        run(instance, raw)
        run(instance, fails)
    had = len(instance.get_runs())
    found = purge_sensor(-1, 30)(dg.build_sensor_context(instance))
    assert isinstance(found, dg.SkipReason)
    assert str(found.skip_message).endswith("events and 1 runs went that nobody asks for")
    assert len(instance.get_runs()) == had - 1
    assert len(instance.get_runs(dg.RunsFilter(statuses=list(FAILED)))) == 2
