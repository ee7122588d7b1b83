"""Files and verdicts start runs: each once, whatever is killed between the look and its record."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.components.sensors import data_sensor, retraining
from ml_assets.settings import settings
from ml_assets.sources.spec import SourceSpec

SOURCES = [SourceSpec(name=name, files=f"shop/{name}/*.csv", event_time="made_at") for name in ("orders", "tickets")]


@pytest.fixture
def zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    settings.cache_clear()
    for source in SOURCES:
        (tmp_path / "incoming" / "shop" / source.name).mkdir(parents=True)
    yield tmp_path / "incoming" / "shop"
    settings.cache_clear()


class Watch:
    """The data sensor of a shop, look by look."""

    def __init__(self) -> None:
        self.sensor, self.cursor = data_sensor("shop", SOURCES), ""

    def look(self, *, killed: bool = False) -> dg.SensorResult:
        """One tick; a killed one does not keep its cursor."""
        found = self.sensor(dg.build_sensor_context(cursor=self.cursor or None))
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
    said = Watch().look().skip_reason
    assert said is not None
    assert said.skip_message == "orders: 0 files, none new, tickets: 0 files, none new"


def test_a_new_file_ingests_its_source_once(zone: Path) -> None:
    watch = Watch()
    (zone / "orders" / "1.csv").write_text("a\n")
    ((_, sources),) = watch.asked()
    assert sources == ["orders"]
    assert watch.asked() == []
    (zone / "tickets" / "1.csv").write_text("a\n")
    ((_, sources),) = watch.asked()
    assert sources == ["tickets"]


def test_a_look_that_was_killed_asks_for_the_same_run(zone: Path) -> None:
    watch = Watch()
    (zone / "orders" / "1.csv").write_text("a\n")
    assert watch.asked(killed=True) == watch.asked()


def test_the_same_files_at_another_time_are_another_run(zone: Path) -> None:
    watch, first, second = Watch(), zone / "orders" / "1.csv", zone / "orders" / "2.csv"
    first.write_text("a\n")
    ((key, _),) = watch.asked()
    second.write_text("b\n")
    assert len(watch.asked()) == 1
    second.unlink()
    ((again, _),) = watch.asked()
    assert again != key, "Dagster never starts the same key twice"


def test_what_is_still_being_written_is_not_seen(zone: Path) -> None:
    (zone / "orders" / "1.csv.part").write_text("a")
    assert Watch().asked() == []


def test_the_cursor_holds_a_digest_for_each_source_and_no_name(zone: Path) -> None:
    watch = Watch()
    for number in range(50):
        (zone / "orders" / f"{number}.csv").write_text("a\n")
    watch.look()
    assert len(watch.cursor) < 200
    assert json.loads(watch.cursor)["digests"].keys() == {"orders", "tickets"}


def test_a_verdict_starts_one_run_that_says_why() -> None:
    verdict = {"as_of": dt.date(2026, 9, 20), "action": "retrain", "reason": "it drifted (2 of 2 in a row)"}
    run = retraining("churn", verdict)
    assert (run.run_key, run.partition_key) == ("churn/retrain/2026-09-20", "2026-09-20")
    assert run.tags["reason"] == verdict["reason"]
    assert retraining("churn", verdict | {"reason": "and more"}).run_key == run.run_key
