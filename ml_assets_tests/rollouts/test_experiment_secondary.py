"""Secondary metrics of an experiment are read, compared and reported beside the primary one, and decide nothing."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.components.experiment import _numbers
from ml_assets.decisions.secondary import SecondaryEffect
from ml_assets.events.rows import Event, Outcome, Prediction
from ml_assets.rollouts.experiment import measure
from ml_assets.rollouts.experiment_report import ExperimentReport, read_report
from ml_assets.storage.lake import Lake
from ml_assets_tests.rollouts.simulated_users import START, Users, fill, first_step, purchase, spec

USERS = Users(count=1_200, rates=(("a", 0.2), ("b", 0.4)))
NOW = START + timedelta(days=8)
SECONDARY: list[dict[str, Any]] = [
    {"metric": "revenue", "window": "1d", "cap": 30},
    {"metric": "complaint", "window": "1d", "better": "lower"},
    {"metric": "purchase", "window": "1h"},
    {"metric": "score"},
]


def _told(events: list[Event]) -> list[Event]:
    """Each purchase has a price, one of them is out of all measure, and those of b complain more often."""
    rng, told = np.random.default_rng(3), list[Event]()
    for number, event in enumerate(each for each in events if isinstance(each, Outcome)):
        price = 1e6 if number == 9 else float(rng.uniform(10, 20))
        told.append(event._replace(kind="revenue", value=str(price)))
    for answer in (each for each in events if isinstance(each, Prediction)):
        if rng.uniform() < {"a": 0.1, "b": 0.3}[answer.variant]:
            told.append(purchase(answer.prediction_id, answer.requested_at)._replace(kind="complaint"))
    return told


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    events = USERS.events()
    return fill(tmp_path_factory.mktemp("secondary"), [*events, *_told(events)])


@pytest.fixture(scope="module")
def report(lake: Lake) -> ExperimentReport:
    return measure(lake, "churn", first_step(spec(secondary=SECONDARY, sample=300)), NOW, entity="customer")


def _effect(report: ExperimentReport, metric: str) -> SecondaryEffect:
    return next(each for each in report.secondary if each.metric == metric)


def test_each_has_its_own_values_window_cap_and_direction(report: ExperimentReport) -> None:
    revenue, complaint = _effect(report, "revenue within 1 d"), _effect(report, "complaint within 1 d")
    assert revenue.interval is not None
    assert complaint.interval is not None
    assert 0 < revenue.interval.low < 3 < revenue.interval.high  # 15 for each purchase, of which b has a fifth more
    assert 0 < complaint.interval.low < 0.2 < complaint.interval.high
    assert (revenue.stands, revenue.reason[:11]) == (True, "b is better")
    assert (complaint.stands, complaint.reason[:10]) == (True, "b is worse")
    assert min(revenue.e_value, complaint.e_value) >= len(SECONDARY) / 0.05 / 2
    early, score = _effect(report, "purchase within 1 h"), _effect(report, "score")
    assert (early.stands, early.reason) == (False, "0 of 50 values other than 0 in a")
    assert (score.stands, score.e_value) == (False, 0)  # each has the same


def test_they_decide_nothing(report: ExperimentReport, lake: Lake) -> None:
    alone = measure(lake, "churn", first_step(spec(sample=300)), NOW, entity="customer")
    assert (report.action, report.winner) == ("winner", "b")
    assert replace(report, secondary=()) == alone


def test_they_are_kept_and_shown(report: ExperimentReport) -> None:
    assert read_report(report.to_json()) == report
    assert read_report(replace(report, secondary=()).to_json().replace(',"secondary":[]', "")) is not None  # older ones
    shown = str(_numbers(report)["secondary"].value)
    assert "| revenue within 1 d | b | \\+" in shown
    assert "| yes | b is worse: +0." in shown


def test_one_whose_outcomes_came_before_is_not_believed_and_stops_nothing(tmp_path: Path) -> None:
    events = USERS.events()
    day = 86_400_000_000
    told = [
        event._replace(kind="revenue", observed_at=event.observed_at - day)
        for event in events
        if isinstance(event, Outcome)
    ]
    step = first_step(spec(secondary=SECONDARY[:1], sample=300))
    report = measure(fill(tmp_path, [*events, *told]), "churn", step, NOW, entity="customer")
    assert (report.action, report.faults) == ("winner", ())
    (effect,) = report.secondary
    assert (effect.interval, effect.stands) == (None, False)
    assert "outcomes before their exposure, 100.0% of all" in effect.reason
