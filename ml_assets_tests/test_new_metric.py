"""A new metric is one entry and one function: gates, policies, alerts, intervals, reports and replays then know it."""

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ml_assets.decisions.estimate import estimate_metrics
from ml_assets.decisions.gate import Gate, GateAction, GateEvidence, decide
from ml_assets.decisions.metric import BINARY, METRICS, MULTICLASS, Metric, estimable, realisable
from ml_assets.monitoring.numbers import numbers
from ml_assets.monitoring.performance.baseline import Evaluated, LabelledScores
from ml_assets.monitoring.performance.groups import MetricGroup, measure
from ml_assets.spec.model import GateSpec, ModelSpec
from ml_assets.spec.monitor import RetrainSpec
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.training import measures
from ml_assets.training.frame import Frame
from ml_assets.training.metrics import scores
from ml_assets.training.task import multiclass
from ml_assets.training.task.task import Candidate
from ml_assets.training.task.tasks import task_of
from ml_assets_tests.conftest import MODEL

if TYPE_CHECKING:
    from ml_assets.decisions.interval import Interval
    from ml_assets.training.measures import Floats

DAY = date(2026, 6, 7)


def gini(positive: "Floats", everyone: "Floats") -> "Floats":
    return np.asarray(2 * measures.roc_auc(positive, everyone) - 1)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Metric("gini", 1, frozenset({BINARY}), has_interval=True, in_report=True, in_table=True, headline=9)
    monkeypatch.setitem(METRICS, "gini", entry)
    monkeypatch.setitem(measures.RANKINGS, "gini", gini)


def sample() -> tuple["Floats", "Floats", "Floats"]:
    rng = np.random.default_rng(3)
    p = rng.random(600).round(2)
    return (rng.random(600) < p).astype(np.float64), p, rng.random(600)


def two(p: "Floats") -> "Floats":
    return np.stack([1 - p, p], axis=1)


def compare(y: "Floats", p: "Floats", other: "Floats") -> "dict[str, Interval]":
    return task_of(()).compare(y.astype(np.int64), two(p), two(other), np.arange(600), resamples=50, seed=0)


@pytest.mark.usefixtures("added")
def test_its_value_is_computed_and_compared_with_an_interval() -> None:
    y, p, other = sample()
    assert scores(y, p)["gini"] == pytest.approx(2 * scores(y, p)["roc_auc"] - 1)
    found = compare(y, p, other)
    assert found["gini"].low == pytest.approx(2 * found["roc_auc"].low)
    rows = Frame(pd.DataFrame(), y.astype(np.int64), np.arange(600), np.full(600, "2026-01-04", "datetime64[D]"))
    candidate = Candidate(ModelSpec(**MODEL | {"seed": 0}), rows, rows, lambda _: two(p), resamples=50)
    whole = task_of(()).judge(candidate, {"candidate": two(p), "champion": two(other)}, {})
    assert whole.metrics["gini"] > 0
    assert whole.intervals["champion"]["gini"] == found["gini"]


@pytest.mark.usefixtures("added")
def test_a_gate_a_policy_and_an_alert_may_name_it() -> None:
    gate = GateSpec(metric="gini", against="champion", at_most_worse=0.01).gate
    y, p, other = sample()
    differences = {"champion": compare(y, p, other)}
    assert decide([gate], GateEvidence(scores(y, p), differences)).action is GateAction.SHIP
    assert RetrainSpec(metric="gini", drop=0.1).metric == "gini"
    assert "gini_drop" in numbers((), (), text=False)
    assert "gini_drop" not in numbers(("a", "b", "c"), (), text=False)
    assert "gini" in realisable(BINARY)


@pytest.mark.usefixtures("added")
def test_the_report_measures_it_beside_the_evaluation() -> None:
    y, p, _ = sample()
    before = Evaluated({"gini": 0.9}, threshold=0.5)
    rows = measure(MetricGroup(DAY, DAY, False, 1), LabelledScores(y, p, np.arange(600)), before, PerformanceSpec())
    (row,) = (row for row in rows if row.metric == "gini")
    assert row.value is not None
    assert row.value == pytest.approx(scores(y, p)["gini"])
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.value < row.high
    assert row.drop == pytest.approx(0.9 - row.value)


def test_one_of_several_classes_is_as_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def worst_recall(counts: "Floats") -> "Floats":
        return np.asarray((np.einsum("dii->di", counts) / counts.sum(axis=2)).min(axis=1))

    monkeypatch.setitem(METRICS, "worst_recall", Metric("worst_recall", 1, frozenset({MULTICLASS}), has_interval=True))
    monkeypatch.setitem(multiclass.COUNTS, "worst_recall", worst_recall)
    y = np.arange(300) % 3
    good = multiclass.ClassPredictions(y, np.full(300, 0.9))
    poor = multiclass.ClassPredictions(np.where(np.arange(300) % 5, y, (y + 1) % 3), np.full(300, 0.9))
    assert multiclass.scores(y, good)["worst_recall"] == 1
    one, two = (np.eye(3)[named.code] * 0.85 + 0.05 for named in (good, poor))
    found = task_of(("a", "b", "c")).compare(y, one, two, np.arange(300), resamples=50, seed=0)["worst_recall"]
    assert 0 < found.low < found.estimate < found.high
    assert Gate("worst_recall", at_least=0.9).name == "worst_recall_at_least"


def test_without_its_entry_it_is_refused() -> None:
    with pytest.raises(ValidationError, match="'gini' is not measured"):
        GateSpec(metric="gini", at_least=0.1)


def test_every_metric_of_scores_has_a_function() -> None:
    y, p, _ = sample()
    assert {*scores(y, p)} >= {name for name, metric in METRICS.items() if metric.in_report and not metric.at_threshold}
    known = {*measures.RANKINGS, *measures.MEANS, *measures.EXACT, *multiclass.COUNTS, "accuracy"}
    assert {name for name, metric in METRICS.items() if metric.source == "scores"} <= known
    assert {*estimate_metrics(p, seed=0, draws=50, threshold=0.5)} == {*estimable()}
