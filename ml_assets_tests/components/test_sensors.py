"""Files and verdicts start runs: each once, whatever is killed between the look and its record."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.components import retries
from ml_assets.components.sensors import data_sensor, retrain_request
from ml_assets.decisions.retrain import Action
from ml_assets.errors import DataError
from ml_assets.monitoring.verdict import LedgerVerdict
from ml_assets.settings import Settings
from ml_assets.spec.source import SourceSpec

SOURCES = [SourceSpec(name=name, files=f"shop/{name}/*.csv", event_time="made_at") for name in ("orders", "tickets")]


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    for source in SOURCES:
        (tmp_path / "incoming" / "shop" / source.name).mkdir(parents=True)
    return tmp_path / "incoming" / "shop"


class Watch:
    """The data sensor of a shop, look by look."""

    def __init__(
        self, zone: Path, sources: list[SourceSpec] = SOURCES, instance: dg.DagsterInstance | None = None
    ) -> None:
        self.resources = {"settings": Settings(data=zone.parents[1])}
        self.sensor, self.cursor, self.instance = data_sensor("shop", sources), "", instance

    def look(self, *, killed: bool = False) -> dg.SensorResult:
        """One tick; a killed one does not keep its cursor."""
        found = self.sensor(
            dg.build_sensor_context(self.instance, cursor=self.cursor or None, resources=self.resources)
        )
        assert isinstance(found, dg.SensorResult)
        if found.cursor and not killed:
            self.cursor = found.cursor
        return found

    def asked(self, *, killed: bool = False) -> list[tuple[str | None, list[str]]]:
        """The runs of one look: key, and sources."""
        requests = self.look(killed=killed).run_requests or []
        return [(each.run_key, [key.path[-1] for key in each.asset_selection or []]) for each in requests]


def test_an_empty_zone_starts_nothing_and_says_what_was_seen(zone: Path) -> None:
    assert zone.exists()
    said = Watch(zone).look().skip_reason
    assert said is not None
    assert said.skip_message == "orders: 0 files, none new, tickets: 0 files, none new"


def test_a_new_file_ingests_its_source_once(zone: Path) -> None:
    watch = Watch(zone)
    (zone / "orders" / "1.csv").write_text("a\n")
    ((_, sources),) = watch.asked()
    assert sources == ["orders"]
    assert watch.asked() == []
    (zone / "tickets" / "1.csv").write_text("a\n")
    ((_, sources),) = watch.asked()
    assert sources == ["tickets"]


def test_a_look_that_was_killed_asks_for_the_same_run(zone: Path) -> None:
    watch = Watch(zone)
    (zone / "orders" / "1.csv").write_text("a\n")
    assert watch.asked(killed=True) == watch.asked()


def test_the_same_files_at_another_time_are_another_run(zone: Path) -> None:
    watch, first, second = Watch(zone), zone / "orders" / "1.csv", zone / "orders" / "2.csv"
    first.write_text("a\n")
    ((key, _),) = watch.asked()
    second.write_text("b\n")
    assert len(watch.asked()) == 1
    second.unlink()
    ((again, _),) = watch.asked()
    assert again != key, "Dagster never starts the same key twice"


def test_what_is_still_being_written_is_not_seen(zone: Path) -> None:
    (zone / "orders" / "1.csv.part").write_text("a")
    assert Watch(zone).asked() == []


def test_the_cursor_holds_a_digest_for_each_source_and_no_name(zone: Path) -> None:
    watch = Watch(zone)
    for number in range(50):
        (zone / "orders" / f"{number}.csv").write_text("a\n")
    watch.look()
    assert len(watch.cursor) < 200
    assert json.loads(watch.cursor)["digests"].keys() == {"orders", "tickets"}


def test_odd_names_and_what_is_no_file_are_seen_and_stop_nothing(zone: Path) -> None:
    watch, orders = Watch(zone), os.fsencode(zone / "orders")
    with open(os.path.join(orders, b"caf\xe9\n.csv"), "w", encoding="ascii") as file:  # noqa: PTH118, PTH123 - bytes
        file.write("a\n")
    os.mkfifo(zone / "orders" / "pipe.csv")
    (zone / "orders" / "loop.csv").symlink_to("loop.csv")
    ((_, sources),) = watch.asked()
    assert sources == ["orders"]
    assert watch.asked() == []


def test_a_source_that_cannot_be_listed_fails_the_tick_only_when_the_others_have_nothing_new(zone: Path) -> None:
    away = SourceSpec(name="away", files="nowhere://archive/*.csv", event_time="at")
    watch = Watch(zone, [*SOURCES, away])
    (zone / "orders" / "1.csv").write_text("a\n")
    ((_, sources),) = watch.asked()
    assert sources == ["orders"]
    with pytest.raises(DataError, match=r"source away: files 'nowhere://archive/\*\.csv' cannot be listed"):
        watch.look()


FAILS = {"orders": True}


@dg.multi_asset(
    specs=[dg.AssetSpec(["shop", "raw", name], skippable=True) for name in ("orders", "tickets")], can_subset=True
)
def raw(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    for key in context.selected_asset_keys:
        if FAILS.get(key.path[-1]):
            raise ValueError("the store is away")
        yield dg.MaterializeResult(asset_key=key)


def ingested(instance: dg.DagsterInstance, key: str, names: list[str]) -> None:
    """The run that a look asked for."""
    chosen = [dg.AssetKey(["shop", "raw", name]) for name in names]
    dg.materialize(
        [raw], selection=chosen, instance=instance, raise_on_error=False, tags={"dagster/run_key": key}
    )  # fmt: skip


def test_an_ingest_that_failed_is_asked_for_again_later_and_later_until_it_succeeds(
    zone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAILS, "orders", True)
    monkeypatch.setattr(retries, "_FIRST", 0)
    (zone / "orders" / "1.csv").write_text("a\n")
    with dg.DagsterInstance.ephemeral() as instance:
        watch, keys = Watch(zone, instance=instance), set()
        for fails in (True, True, False):
            ((key, sources),) = watch.asked()
            assert sources == ["orders"]
            assert watch.asked() == [], "the run has not begun"
            monkeypatch.setitem(FAILS, "orders", fails)
            ingested(instance, str(key), sources)
            keys.add(key)
        assert len(keys) == 3, "Dagster never starts the same key twice"
        assert watch.asked() == []
        monkeypatch.setattr(retries, "_FIRST", 60)
        monkeypatch.setitem(FAILS, "orders", True)
        (zone / "orders" / "2.csv").write_text("b\n")
        ((key, sources),) = watch.asked()
        ingested(instance, str(key), sources)
        assert watch.asked() == [], "a minute has not passed"


def test_a_verdict_starts_one_run_that_says_why() -> None:
    day, at = dt.date(2026, 9, 20), dt.datetime(2026, 9, 20)  # noqa: DTZ001 - the lake's times are naive UTC
    verdict = LedgerVerdict(day, 1, Action.RETRAIN, "it drifted (2 of 2 in a row)", "[]", "{}", 0, at)
    run = retrain_request("churn", verdict)
    assert (run.run_key, run.partition_key) == ("churn/retrain/2026-09-20", "2026-09-20")
    assert run.tags["reason"] == verdict.reason
    assert retrain_request("churn", replace(verdict, reason="and more")).run_key == run.run_key
