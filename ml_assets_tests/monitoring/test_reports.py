"""The verdict and the alerts read what the reports' assets wrote, and compute nothing."""

from pathlib import Path
from typing import Any

import pytest

from ml_assets.errors import DataError
from ml_assets.monitoring.drift.feature import FeatureDrift
from ml_assets.monitoring.drift.table import Contents, keep
from ml_assets.monitoring.performance.report import performance_report
from ml_assets.monitoring.predictions import report as prediction_report
from ml_assets.monitoring.reports import Reports, read_reports
from ml_assets.spec.performance import PerformanceSpec
from ml_assets_tests.conftest import AS_OF, Tiny
from ml_assets_tests.monitoring.predicted import Predicted, weeks

TABLES = [f"shop/{name}" for name in ("drift_report", "score_drift", "performance_report", "prediction_report")]


def _read(of: Predicted) -> Reports:
    return read_reports(of.lake, of.shelf, "shop", AS_OF, pages=Path("pages"))


@pytest.fixture
def reported(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Predicted:
    """A shop with a performance and a prediction report, both of no evaluation, and no drift report."""
    of = Predicted(tiny)
    of.score(weeks(-3, -2))
    performance_report(of.lake, of.shelf, of.folder, PerformanceSpec(min_rows=20, resamples=100), AS_OF)
    monkeypatch.setattr(prediction_report, "_plan", lambda *_: None)  # which needs a version's test rows
    prediction_report.prediction_report(of.lake, of.shelf, of.folder, AS_OF)
    return of


def test_a_report_that_was_not_made_is_named_with_the_asset_that_makes_it(tiny: Tiny) -> None:
    of = Predicted(tiny)
    with pytest.raises(DataError, match="materialize shop/drift_report first"):
        _read(of)
    of.shelf.versions.clear()
    with pytest.raises(DataError, match="materialize shop/performance_report first"):
        _read(of)


def test_without_a_champion_there_is_nothing_to_drift(reported: Predicted) -> None:
    reported.shelf.versions.clear()
    reports = _read(reported)
    assert reports.drift is None
    assert reports.summary("roc_auc").drifted == {}
    assert not [name for name in reports.numbers() if name.startswith("psi_")]


def test_what_stands_is_read_and_nothing_is_written(reported: Predicted) -> None:
    features = {
        "orders": FeatureDrift("numeric", None, None, True, "moved", psi=0.4),
        "kind": FeatureDrift("categorical", None, None, None, "too few rows"),
    }
    keep(reported.lake, "shop", AS_OF, 1, 7, lambda: Contents(features, "before", 100, 90))
    before: list[Any] = [reported.lake.version(table) for table in TABLES]
    reports = _read(reported)
    numbers, performance = reports.numbers(), reports.performance
    assert reports.summary("roc_auc").drifted == {"orders": True, "kind": None}
    assert reports.summary("roc_auc").measured == performance.headline("roc_auc")
    assert (numbers["psi_orders"], numbers["drifted"], numbers["rows_current"]) == (0.4, 1, 90)
    assert "psi_kind" not in numbers
    assert {name for name in performance.metadata() if name.startswith("roc_auc_")} <= numbers.keys()
    assert [reported.lake.version(table) for table in TABLES] == before


def test_a_drift_report_of_another_version_says_nothing_of_the_champion(reported: Predicted) -> None:
    keep(reported.lake, "shop", AS_OF, 1, 7, lambda: Contents({}, "before", 100, 90))
    assert _read(reported).drift is not None
    reported.shelf.add()
    assert _read(reported).drift is None
