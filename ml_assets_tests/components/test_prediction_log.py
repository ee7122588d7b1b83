"""The prediction log takes what waits, by itself and not too often; the reports follow it, and do without it."""

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from ml_assets.components.conditions import when_rows_wait, when_undated_upstream_new, when_upstream_new
from ml_assets_tests.components.test_automation import WEEKS

DUE = date(2026, 1, 18)
START = datetime(2026, 3, 3, 12, 1, tzinfo=UTC)


class Ticks:
    """A log, predictions, a report on both; looks of the sensor at minutes of a day."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor, self.waiting, self.fails = instance, None, False, False

        @dg.asset(automation_condition=when_rows_wait(lambda: self.waiting))
        def prediction_log() -> None:
            if self.fails:
                raise ValueError("the log cannot be written")
            self.waiting = False

        @dg.asset(partitions_def=WEEKS)
        def predictions() -> None: ...

        condition = when_upstream_new(lambda: [DUE], whether_or_not=dg.AssetKey("prediction_log"))

        @dg.asset(deps=[predictions, prediction_log], partitions_def=WEEKS, automation_condition=condition)
        def report() -> None: ...

        @dg.asset(deps=[prediction_log], automation_condition=when_undated_upstream_new())
        def consistency() -> None: ...

        self.assets: list[Any] = [prediction_log, predictions, report, consistency]

    def look(self, minute: float) -> set[str]:
        """What one look asks for."""
        now = START + timedelta(minutes=minute)
        found = dg.evaluate_automation_conditions(self.assets, self.instance, cursor=self.cursor, evaluation_time=now)
        self.cursor = found.cursor  # type: ignore[assignment]
        return {asset.key.to_user_string() for asset in self.assets if found.get_num_requested(asset.key)}

    def run(self, *names: str) -> None:
        """Each by itself, as the sensor's runs."""
        for name in names:
            day = None if name in {"prediction_log", "consistency"} else str(DUE)
            chosen = [asset for asset in self.assets if asset.key.to_user_string() == name]
            dg.materialize(
                self.assets, selection=chosen, instance=self.instance, partition_key=day, raise_on_error=False
            )


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with dg.DagsterInstance.ephemeral() as instance:
            yield Ticks(instance)


def test_nothing_waits_and_nothing_starts(ticks: Ticks) -> None:
    assert [ticks.look(minute) for minute in range(0, 20, 3)] == [set()] * 7


def test_the_first_rows_are_taken_at_once_and_later_ones_every_five_minutes(ticks: Ticks) -> None:
    ticks.look(0)
    ticks.waiting = True
    assert ticks.look(0.5) == {"prediction_log", "consistency"}
    ticks.run("prediction_log")
    asked = []
    for quarter in range(3, 60):
        ticks.waiting = True
        if "prediction_log" in ticks.look(quarter / 4):
            asked.append(quarter / 4)
            ticks.run("prediction_log")
    assert asked == [4.0, 9.0, 14.0]


def test_what_failed_is_tried_again_five_minutes_later(ticks: Ticks) -> None:
    ticks.look(0)
    ticks.waiting = ticks.fails = True
    assert ticks.look(0.5) == {"prediction_log", "consistency"}
    ticks.run("prediction_log")
    assert [ticks.look(minute) for minute in (1, 2, 3)] == [set()] * 3
    assert ticks.look(4.1) == {"prediction_log", "consistency"}


def test_reports_follow_predictions_without_a_log_and_the_log_once_it_is_there(ticks: Ticks) -> None:
    ticks.look(0)
    ticks.run("predictions")
    assert ticks.look(0.5) == {"report"}
    ticks.run("report")
    ticks.waiting = True
    assert ticks.look(6) >= {"prediction_log"}
    ticks.run("prediction_log")
    assert ticks.look(6.5) <= {"report", "consistency"}
    ticks.run("report", "consistency")
    assert ticks.look(7) == set()


def test_what_stands_on_the_log_runs_once_each_time_that_rows_were_taken(ticks: Ticks) -> None:
    ticks.run("prediction_log")  # of a data folder from before these assets
    assert ticks.look(0) == {"consistency"}
    ticks.run("consistency")
    assert [ticks.look(minute) for minute in (1, 2)] == [set()] * 2
    ticks.run("prediction_log")
    assert ticks.look(3) == {"consistency"}
    ticks.run("consistency")
    assert ticks.look(4) == set()
