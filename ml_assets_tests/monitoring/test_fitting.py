"""A monitor names only what its model has, so that no trigger and no alert is silent for ever."""

from collections.abc import Mapping
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from ml_assets.decisions.metric import BINARY, report_metrics
from ml_assets.errors import DeclarationError
from ml_assets.monitoring import numbers
from ml_assets.monitoring.drift.report import DriftReport
from ml_assets.monitoring.fitting import require_fitting
from ml_assets.monitoring.performance.table import PerformanceReport
from ml_assets.monitoring.predictions.table import PredictionReport, Scores
from ml_assets.monitoring.predictions.traffic import Served
from ml_assets.spec.monitor import MonitorSpec
from ml_assets_tests.conftest import QUERIES, Tiny

CLASSES = ("a", "b", "c")


def rule(metric: str) -> dict[str, Any]:
    return {"alerts": {"rules": [{"metric": metric, "above": 1}]}}


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        (rule("psi_amuont"), "no report has a number 'psi_amuont': did you mean"),
        (rule("psi_ordrs"), "did you mean psi_orders"),
        (rule("roc_auc_meassured"), "did you mean roc_auc_measured"),
        (rule("latency"), "did you mean latency_p"),
        (rule("review_share"), "no report has a number 'review_share'"),
        (rule("unseen_share"), "no report has a number 'unseen_share'"),
        ({"drift": {"features": {"mean_amuont": {"psi": 0.3}}}}, "'mean_amuont' is not a feature .*: use mean_amount"),
    ],
)
def test_what_the_model_does_not_have_is_refused_with_what_it_has(
    tiny: Tiny, monitor: dict[str, Any], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said) as refused:
        require_fitting(MonitorSpec.model_validate(monitor), tiny.folder())
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "metric",
    ["psi_orders", "drifted_importance", "rows_change", "error_rate", "roc_auc_drop", "detected", "trigger_drop"],
)
def test_what_the_reports_hold_may_be_named(tiny: Tiny, metric: str) -> None:
    require_fitting(MonitorSpec.model_validate(rule(metric)), tiny.folder())


def test_features_that_only_the_rows_tell_are_not_refused(tiny: Tiny) -> None:
    tiny.write("features/habits.sql", "SELECT * FROM orders")
    require_fitting(MonitorSpec.model_validate(rule("psi_whatever")), tiny.folder())
    with pytest.raises(DeclarationError):
        require_fitting(MonitorSpec.model_validate(rule("whatever")), tiny.folder())


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "lift_at_10"])
def test_a_policy_on_a_ranking_is_refused_of_several_classes(tiny: Tiny, metric: str) -> None:
    """It was never measured of them, so the drop never came."""
    label = {"sql": "label.sql", "horizon": "14d", "classes": CLASSES}
    folder = tiny.folder(label=label, costs={})
    with pytest.raises(DeclarationError, match=f"'{metric}' is not measured of several classes, so drop could never"):
        require_fitting(MonitorSpec.model_validate({"retrain": {"metric": metric}}), folder)
    require_fitting(MonitorSpec.model_validate({"retrain": {"metric": "accuracy"}}), folder)
    require_fitting(MonitorSpec.model_validate({"retrain": {"metric": metric, "drop": None}}), folder)
    named = {"retrain": {"metric": "accuracy"}, **rule("predicted_b")}
    require_fitting(MonitorSpec.model_validate(named), folder)


def _numbers(plain: Mapping[str, Any]) -> set[str]:
    return {name for name, value in plain.items() if isinstance(value, int | float)}


def test_the_list_is_what_the_reports_say() -> None:
    one: Any = SimpleNamespace(reference=1.0, current=1.0, difference=1.0, low=1.0, high=1.0)
    scores = SimpleNamespace(psi=1.0, ks_statistic=1.0, mean=one, share=one, drifted=None)
    contents = SimpleNamespace(rows_reference=1, rows_current=1, reference="x", features={})
    report: Any = SimpleNamespace(
        contents=contents, scores=scores, attribution=SimpleNamespace(ndcg=1.0), drifted=[], features={}
    )
    assert _numbers(DriftReport.metadata(report)) == set(numbers.DRIFT)

    row = SimpleNamespace(value=1.0, low=1.0, high=1.0, drop=1.0, rows=1, first="x", last="x")
    performance: Any = SimpleNamespace(
        status="x",
        notes=(),
        row=lambda *_: row,
        evaluated_metric=lambda _: 1.0,
        served_metric=lambda _: SimpleNamespace(estimate=1.0),
    )
    performance._numbers = lambda metric: PerformanceReport._numbers(performance, metric)
    found = _numbers(PerformanceReport.metadata(performance))
    assert found == set(numbers.performance(BINARY))
    assert {name.removesuffix("_measured") for name in found if name.endswith("_measured")} <= set(report_metrics())

    values = {field.name: 1.0 for field in fields(PredictionReport)} | {field.name: 1.0 for field in fields(Served)}
    predicted: Any = SimpleNamespace(
        **values | {"scores": Scores(1, 1, 1, 1, 1), "reference": Scores(1, 1, 1, 1, 1), "classes": (), "reason": "x"}
    )
    predicted.base_rate_of = None
    said = _numbers(PredictionReport.metadata(predicted))
    assert said == {*numbers.PREDICTIONS, *numbers.SERVED, *numbers.OF_CLASSES, *numbers.OF_TEXT}
    assert set(numbers.SERVED) == {field.name for field in fields(Served)}


@pytest.mark.parametrize(
    ("changes", "queries", "said"),
    [
        ({"slices": ["knid"]}, {}, "slices names 'knid', which is not a feature: did you mean 'kind'"),
        ({"text": {"columns": ["story"]}}, {}, "text.columns names 'story', which is not a feature"),
        ({}, {"features/habits.sql": "SELECT customer, 1 AS label FROM orders"}, "both have a column 'label'"),
        ({}, {"features/habits.sql": "SELECT customer, 1 AS Row_As_Of FROM orders"}, "both have a column 'Row_As_Of'"),
        ({}, {"features/habits.sql": "SELECT made_at FROM orders"}, r"habits\.sql returns no column 'customer'"),
        ({}, {"population.sql": "SELECT customer AS id FROM orders"}, r"population\.sql returns no column 'customer'"),
        ({"documents": {"source": "ordres"}}, {}, "documents.source names 'ordres', .*: use orders"),
    ],
)
def test_a_folder_that_names_what_is_not_there_is_refused_at_load(
    tiny: Tiny, changes: dict[str, Any], queries: dict[str, str], said: str
) -> None:
    for file, sql in (QUERIES | queries).items():
        tiny.write(file, sql)
    with pytest.raises(DeclarationError, match=said):
        tiny.folder(**changes)
