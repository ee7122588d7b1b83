"""The reports of an as-of date as their assets wrote them: what the verdict and the alerts are made of."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.errors import DataError
from ml_assets.monitoring.drift import report as drift_report
from ml_assets.monitoring.drift.report import DriftReport
from ml_assets.monitoring.performance import table as performance_report
from ml_assets.monitoring.performance.table import PerformanceReport
from ml_assets.monitoring.predictions import report as prediction_report
from ml_assets.monitoring.predictions.table import PredictionReport
from ml_assets.monitoring.verdict import ReportSummary
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Reports:
    """The three reports on a champion at an as-of date.

    Args:
        drift: None where there is no champion yet, nobody in the population, or the report is of another version.
        performance: of predictions, against labels.
        predictions: what was predicted, and what was lacking.
    """

    drift: DriftReport | None
    performance: PerformanceReport
    predictions: PredictionReport

    def summary(self, metric: str) -> ReportSummary:
        """The evidence of a retraining policy that watches `metric`."""
        features = self.drift.features if self.drift else {}
        return ReportSummary(
            {name: feature.drifted for name, feature in features.items()},
            self.performance.evaluated_metric(metric),
            self.performance.headline(metric),
            self.performance.estimated_metric(metric),
        )

    def numbers(self) -> dict[str, float]:
        """Every number that a rule of alerts may name, but for those of the verdict."""
        features = self.drift.features if self.drift else {}
        parts: tuple[Mapping[str, Any], ...] = (
            {f"psi_{name}": feature.psi for name, feature in features.items()},
            self.drift.metadata() if self.drift else {},
            self.performance.metadata(),
            self.predictions.metadata(),
        )
        return {name: float(value) for part in parts for name, value in part.items() if isinstance(value, int | float)}


def read_reports(lake: Lake, registry: Registry, model: str, as_of: date, *, pages: Path) -> Reports:
    """Read the three reports; nothing is computed.

    Args:
        lake: where they stand.
        registry: who is champion.
        model: the model folder's name.
        as_of: `T`.
        pages: the folder of the drift reports' pages, a folder a model.

    Raises:
        DataError: one of them was not made for this date.
    """
    champion = registry.champion(model)
    reports = Reports(
        None if champion is None else drift_report.read(lake, model, as_of, champion, pages=pages),
        performance_report.read(lake, model, as_of, champion=champion.number if champion else None),
        prediction_report.read(lake, model, as_of),
    )
    for name, version in (
        ("performance_report", reports.performance.table_version),
        ("prediction_report", reports.predictions.table_version),
    ):
        if version is None:
            raise DataError(f"there is no {name} of {model} as of {as_of}: materialize {model}/{name} first")
    return reports
