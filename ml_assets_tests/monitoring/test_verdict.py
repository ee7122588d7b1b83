"""The ledger of verdicts: taken once for the same evidence, counted from date to date, and the date that is due."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.retrain import Action, Policy, RetrainEvidence
from ml_assets.monitoring import verdict
from ml_assets.monitoring.verdict import RecordedVerdict, ReportSummary, decide, evidence_mark, next_as_of
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.dataset import build
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.report import report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny, habits

WEEK = timedelta(weeks=1)
NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
POLICY = Policy(drift=0.3, after=2)
ODD = ReportSummary({"days_since": True, "orders": True, "mean_amount": True, "kind": True})
CALM = ReportSummary({"days_since": False, "orders": False, "mean_amount": False, "kind": False})


class Nobody:
    """A registry without a version."""

    def champion(self, _: str) -> None: ...

    def latest(self, _: str) -> None: ...


class Desk:
    """Verdicts on a shop."""

    def __init__(self, lake: Lake, registry: Any, folder: ModelDefinition) -> None:
        self.lake, self.registry, self.folder, self.minutes = lake, registry, folder, 0

    def judge(self, day: date, seen: ReportSummary, policy: Policy = POLICY) -> RecordedVerdict:
        self.minutes += 1
        return decide(
            self.lake, self.registry, self.folder, policy, seen, day,
            direction=1, decided_at=NOW + timedelta(minutes=self.minutes), workers=1,
        )  # fmt: skip


@pytest.fixture
def desk(tiny: Tiny) -> Desk:
    return Desk(tiny.lake, Nobody(), tiny.folder())


def test_without_a_champion_the_verdict_is_to_train_one(desk: Desk) -> None:
    assert verdict.latest(desk.lake, "shop") is None
    found = desk.judge(AS_OF, ReportSummary({}))
    assert (found.verdict.action, found.reused) == (Action.RETRAIN, False)
    kept = verdict.latest(desk.lake, "shop")
    assert kept is not None
    assert (kept.as_of, kept.action, kept.reason) == (AS_OF, "retrain", "there is no model yet")


def test_the_same_evidence_is_judged_once(desk: Desk) -> None:
    desk.judge(AS_OF, ReportSummary({}))
    assert desk.judge(AS_OF, ReportSummary({})).reused
    assert len(verdict.history(desk.lake, "shop")) == 1


def test_the_due_date_is_reached_by_the_calendar_and_by_the_data(tiny: Tiny) -> None:
    folder = tiny.folder()
    assert next_as_of(tiny.lake, folder, FIRST - WEEK) is None
    assert next_as_of(tiny.lake, folder, AS_OF + 10 * WEEK) == AS_OF, "the data ends there"
    assert next_as_of(tiny.lake, folder, AS_OF - 2 * WEEK) == AS_OF - 2 * WEEK, "today has not reached the next"


def test_nothing_is_due_before_the_first_rows(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    assert next_as_of(tiny.lake, tiny.folder(), AS_OF) is None


def test_a_loop_that_was_off_catches_up_date_by_date(desk: Desk, tiny: Tiny) -> None:
    desk.judge(AS_OF - 3 * WEEK, ReportSummary({}))
    seen = []
    while (day := next_as_of(desk.lake, desk.folder, AS_OF + WEEK)) not in seen:
        assert day is not None
        seen.append(day)
        desk.judge(day, ReportSummary({}))
    assert seen == [AS_OF - 2 * WEEK, AS_OF - WEEK, AS_OF]
    tiny.deliver("orders", habits(range(14, 15)))
    assert next_as_of(desk.lake, desk.folder, AS_OF + WEEK) == AS_OF + WEEK


@pytest.mark.slow  # trains over a real MLflow
def test_a_suspicion_counts_from_date_to_date_for_one_champion(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    registry, folder, desk = tiny.registry, tiny.folder(), Desk(tiny.lake, tiny.registry, tiny.folder())
    _champion(tiny, registry, folder, AS_OF - 3 * WEEK)
    days = [AS_OF - 2 * WEEK, AS_OF - WEEK, AS_OF]
    assert [desk.judge(day, ODD).verdict.action for day in days[:2]] == ["suspected", "retrain"]
    assert desk.judge(days[1], ODD).reused, "the date itself is not counted twice"
    assert desk.judge(days[1], CALM).verdict.action == "wait", "a correction replaces what stood there"
    assert desk.judge(days[2], ODD).verdict.action == "suspected", "and counts anew"
    found = desk.judge(days[1], ODD)
    assert found.evidence.drifted == 1.0
    assert found.evidence.new_rows > 0
    assert found.evidence.rows > found.evidence.new_rows
    _champion(tiny, registry, folder, AS_OF - WEEK)
    assert desk.judge(days[2], ODD).verdict.action == "suspected", "another champion, another count"


@pytest.mark.slow  # trains over a real MLflow
def test_what_is_not_known_is_no_evidence(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    desk = Desk(tiny.lake, tiny.registry, tiny.folder())
    _champion(tiny, tiny.registry, tiny.folder(), AS_OF - WEEK)
    found = desk.judge(AS_OF, ReportSummary(dict.fromkeys(CALM.drifted)))
    assert found.evidence.drifted is None
    assert found.verdict.reason == "no trigger could be asked"
    numbers = verdict.numbers(desk.lake, "shop", AS_OF)
    assert numbers == {"retrain": 0.0, "suspected": 0.0, "wait": 1.0, "detected": 0.0}
    desk.judge(AS_OF, replace(ODD, evaluated=0.7))
    assert verdict.numbers(desk.lake, "shop", AS_OF)["drifted_importance"] == 1.0


def _champion(tiny: Tiny, registry: Registry, folder: ModelDefinition, day: date) -> None:
    version = train(tiny.lake, registry, folder, build(tiny.lake, folder, day), tags={}).version
    report(tiny.lake, registry, folder, version)
    registry.promote(version)


def test_the_mark_of_an_evidence_is_that_of_the_first_ledgers() -> None:
    """Recorded with the code of the first ledgers; another number would take every verdict that stands anew."""
    policy = Policy(drift=0.2, drop=0.05, estimate=0.1, cooldown=timedelta(days=7))
    measured, estimated = Interval(0.7, 0.6, 0.75), Interval(0.71, 0.7, 0.72)
    evidence = RetrainEvidence(
        date(2026, 1, 4), date(2025, 12, 7), None, 100, 20, 0.5, 0.8, measured, estimated, 1, {"drop": 1}
    )
    assert evidence_mark(policy, evidence) == 4399521510076336238
