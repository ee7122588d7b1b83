"""The outbox: an alert is written once, whatever is run again, and rules are refused where they are wrong."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.alerts.outbox import (
    Alert,
    alerts,
    evaluate,
    outbox,
    record_failed_run,
    record_recovery,
    states,
)
from ml_assets.decisions.alert import Kind, MetricRule, RuleState, Severity
from ml_assets.spec.alert import PROJECT, AlertRule, AlertSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

DAY = date(2026, 6, 7)
WEEK = timedelta(weeks=1)
NOW = datetime(2026, 6, 7, 12)
LINK = "http://127.0.0.1:3000/assets/churn/drift_report"
RULES = AlertSpec(
    rules=(
        AlertRule(metric="drifted_importance", above=0.3, severity=Severity.CRITICAL),
        AlertRule(metric="predictions", below=100),
    )
).judged


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


def at(lake: Lake, week: int, rules: tuple[MetricRule, ...] = RULES, **metrics: float | None) -> list[Alert]:
    when = DAY + week * WEEK
    return evaluate(lake, "churn", rules, metrics, when, link=LINK, decided_at=NOW + week * WEEK)


def kinds(found: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.rule, alert.kind.value) for alert in found]


def test_an_outbox_tells_the_whole_story(lake: Lake) -> None:
    assert at(lake, 0, drifted_importance=0.1, predictions=1000) == []
    (fired,) = at(lake, 1, drifted_importance=0.42, predictions=None)
    assert (fired.value, fired.limit, fired.link, fired.as_of, fired.severity) == (
        0.42, 0.3, LINK, DAY + WEEK, Severity.CRITICAL,
    )  # fmt: skip
    assert kinds(at(lake, 2, drifted_importance=0.5, predictions=7)) == [
        ("drifted_importance_above", "reminder"),
        ("predictions_below", "fired"),
    ]
    assert states(lake, "churn") == {
        "drifted_importance_above": RuleState(DAY + WEEK, DAY + 2 * WEEK, DAY + 2 * WEEK),
        "predictions_below": RuleState(DAY + 2 * WEEK, DAY + 2 * WEEK, DAY + 2 * WEEK),
    }
    (over,) = at(lake, 3, drifted_importance=0.2)
    assert (over.kind, "it fired for 14 days" in over.text) == (Kind.RECOVERED, True)
    assert states(lake, "churn")["drifted_importance_above"].since is None
    assert len({alert.id for alert in alerts(lake, "churn")}) == 4


def test_a_date_that_is_judged_again_writes_nothing(lake: Lake) -> None:
    first = at(lake, 0, drifted_importance=0.9)
    version = lake.version(outbox("churn"))
    assert at(lake, 0, drifted_importance=0.9) == first
    assert at(lake, 0, drifted_importance=0.1) == first
    assert lake.version(outbox("churn")) == version
    assert alerts(lake, "churn") == first


def test_a_backfill_of_older_dates_alarms_nobody(lake: Lake) -> None:
    at(lake, 5, drifted_importance=0.1)
    version = lake.version(outbox("churn"))
    assert at(lake, 3, drifted_importance=0.9) == []
    assert lake.version(outbox("churn")) == version
    (late,) = at(lake, 5, drifted_importance=0.9)
    assert late.kind is Kind.FIRED


def test_a_folder_without_rules_has_no_outbox(lake: Lake) -> None:
    assert at(lake, 0, rules=(), drifted_importance=0.9) == []
    assert lake.version(outbox("churn")) is None
    assert (alerts(lake, "churn"), states(lake, "churn")) == ([], {})


def test_a_rule_that_comes_later_fires_at_the_date_in_force(lake: Lake) -> None:
    at(lake, 0, rules=RULES[:1], drifted_importance=0.1, predictions=7)
    assert kinds(at(lake, 0, drifted_importance=0.1, predictions=7)) == [("predictions_below", "fired")]


def test_two_evaluations_at_once_say_it_once(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    threads = [Thread(target=at, args=(lake, 0), kwargs={"drifted_importance": 0.9}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(alerts(lake, "churn")) == 1


def fail(lake: Lake, run: str, minute: int, error: str = "ValueError: no rows\n  at line 3", **more: Any) -> None:
    when = NOW + timedelta(minutes=minute)
    record_failed_run(lake, PROJECT, run, "churn_loop", "model", error, "http://runs/" + run, when, **more)


def test_a_failed_run_is_said_once_and_its_job_recovers_once(lake: Lake) -> None:
    for _ in range(2):
        fail(lake, "11111111-aaaa", 0)
        fail(lake, "22222222-bbbb", 65, as_of=DAY)
    assert not record_recovery(lake, PROJECT, "0", "another_loop", "http://runs/0", NOW + timedelta(minutes=70))
    recovered = [
        record_recovery(lake, PROJECT, run, "churn_loop", "http://runs/3", NOW + timedelta(minutes=125))
        for run in ("33333333", "33333333", "44444444")
    ]
    assert recovered == [True, False, False]
    assert [(alert.kind.value, alert.as_of, alert.text) for alert in alerts(lake, PROJECT)] == [
        ("fired", None, "run 11111111 of churn_loop failed in model: ValueError: no rows"),
        ("fired", DAY, "run 22222222 of churn_loop failed in model: ValueError: no rows"),
        ("recovered", DAY, "run 33333333 of churn_loop succeeded; before it 2 runs failed, for 2 h 5 min"),
    ]
    fail(lake, "55555555", 200)
    assert record_recovery(lake, PROJECT, "66666666", "churn_loop", "", NOW + timedelta(minutes=300))


def test_a_success_before_the_failure_recovers_nothing(lake: Lake) -> None:
    fail(lake, "1", 10)
    assert not record_recovery(lake, PROJECT, "2", "churn_loop", "", NOW)


def test_an_error_is_one_bounded_line(lake: Lake) -> None:
    fail(lake, "1", 0, "x" * 10_000)
    fail(lake, "2", 1, " \n ")
    long, none = alerts(lake, PROJECT)
    assert len(long.text) < 400
    assert none.text.endswith(": no message")


def test_failed_runs_and_rules_of_one_folder_do_not_mix(lake: Lake) -> None:
    record_failed_run(lake, "churn", "1", "loop", None, "boom", "", NOW, as_of=DAY)
    assert states(lake, "churn") == {}
    assert kinds(at(lake, 0, drifted_importance=0.9)) == [("drifted_importance_above", "fired")]
    assert len(alerts(lake, "churn")) == 2


def test_a_declaration_becomes_rules() -> None:
    spec = AlertSpec.model_validate({
        "rules": [
            {"metric": "drifted_importance", "above": 0.3, "severity": "critical", "cooldown": "4w"},
            {"metric": "drifted_importance", "above": 0.1, "name": "some_drift", "description": "look at it"},
        ],
        "failed_runs": None,
    })  # fmt: skip
    assert spec.judged == (
        MetricRule("drifted_importance_above", "drifted_importance", 0.3, None, Severity.CRITICAL, 4 * WEEK),
        MetricRule("some_drift", "drifted_importance", 0.1, None, Severity.WARNING, WEEK, "look at it"),
    )
    assert AlertSpec().failed_runs is Severity.CRITICAL


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"metric": "m"}], "alert on m: write one limit, either above or below"),
        ([{"metric": "m", "above": 1, "below": 0}], "alert on m: write one limit, either above or below"),
        ([{"metric": "m", "above": ".nan"}], "valid number"),
        ([{"metric": "m", "above": float("inf")}], "finite number"),
        ([{"metric": "m", "abve": 1}], "did you mean 'above'"),
        ([{"metric": "m", "above": 1, "severity": "bad"}], "'info', 'warning' or 'critical'"),
        ([{"metric": "m", "above": 1, "cooldown": "soon"}], "'soon' is no duration"),
        ([{"metric": "m", "above": 1}, {"metric": "m", "above": 2}], "two alerts are named 'm_above'"),
    ],
)
def test_a_wrong_declaration_is_refused(rules: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AlertSpec.model_validate({"rules": rules})
