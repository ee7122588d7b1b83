"""The HTML drift report, by Evidently. The one module that speaks Evidently."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.monitoring import distances

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.metrics import ValueDrift
    from pandas import DataFrame, Series

    from ml_assets.monitoring.samples import Sample
    from ml_assets.monitoring.spec import DriftSpec

Scores = dict[tuple[str, str], float]

# A limit that decides nothing: no distance reaches it (and no p-value is below 0).
_NEVER = 1e9


def write(path: Path, reference: "Sample", current: "Sample", features: Sequence[str], spec: "DriftSpec") -> Scores:
    """Write the report of `features` to `path`, and keep the last `spec.keep` reports of its folder.

    The file is written under another name and renamed: nobody reads half a report.

    Args:
        path: an `.html` file; its folder holds the reports of one model.
        reference: the sample that fixes the bins.
        current: the sample that is compared with it.
        features: those with a value in both samples; Evidently refuses others.
        spec: the limits that the report shows.

    Returns:
        Evidently's score of each (feature, method), the same numbers as in `Drift`.
    """
    snapshot = _run(reference, current, features, spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        snapshot.save_html(str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    prune(path.parent, spec.keep)
    metrics = [(metric["config"], metric["value"]) for metric in snapshot.dict()["metrics"]]
    return {(config["column"], config["method"]): float(value) for config, value in metrics}


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the last `keep` reports written to a folder; returns what was deleted."""
    written = sorted(folder.glob("*.html"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    old = written[: max(len(written) - keep, 0)]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def _run(reference: "Sample", current: "Sample", features: Sequence[str], spec: "DriftSpec") -> "Snapshot":
    with warnings.catch_warnings():
        # Evidently 0.7.23 uses numpy.core and old litestar names while it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently import DataDefinition, Dataset, Report
    with warnings.catch_warnings():
        # It plots the correlation of a constant column: 0 / 0.
        warnings.filterwarnings("ignore", message="invalid value encountered", category=RuntimeWarning)
        kinds = DataDefinition(
            numerical_columns=[name for name in features if name in reference.numbers],
            categorical_columns=[name for name in features if name in reference.categories],
        )
        before, after = (
            Dataset.from_pandas(_frame(sample, features), data_definition=kinds) for sample in (reference, current)
        )
        metrics = (_numeric if name in reference.numbers else _categorical for name in features)
        return Report([each for how, name in zip(metrics, features, strict=True) for each in how(name, spec)]).run(
            after, before
        )


def _numeric(name: str, spec: "DriftSpec") -> list["ValueDrift"]:
    from evidently.metrics import ValueDrift

    def psi(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
        edges = distances.bin_edges(reference.to_numpy(), spec.bins)
        before, after = (distances.count_bins(values.to_numpy(), edges) for values in (reference, current))
        found = distances.psi(before, after)
        return found, found >= limit and _surprising(before, after, spec)

    limits = spec.limits(name)
    method = _register(f"psi_{spec.bins}_{spec.false_alarms:g}", f"PSI, {spec.bins} bins of the reference", psi)
    return [
        ValueDrift(column=name, method=method, threshold=limits.psi or _NEVER),
        ValueDrift(column=name, method=_register("ks_p_value", "K-S p-value", _ks), threshold=limits.ks_p_value or 0),
    ]


def _categorical(name: str, spec: "DriftSpec") -> list["ValueDrift"]:
    from evidently.metrics import ValueDrift

    def apart(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
        before, after = distances.count_categories(reference.to_list(), current.to_list())
        found = distances.jensen_shannon(before, after)
        return found, found >= limit and _surprising(before, after, spec)

    limits = spec.limits(name)
    method = _register(f"jensen_shannon_{spec.false_alarms:g}", "Jensen–Shannon distance", apart)
    chi = _register("chi_square_p", "two-sample chi-square p-value", _chi_square)
    return [
        ValueDrift(column=name, method=method, threshold=limits.jensen_shannon or _NEVER),
        ValueDrift(column=name, method=chi, threshold=limits.chi_square_p or 0),
    ]


def _surprising(before: distances.Counts, after: distances.Counts, spec: "DriftSpec") -> bool:
    p_value = distances.chi_square_p(before, after)
    return p_value is not None and p_value < spec.false_alarms


def _ks(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
    _, found = distances.kolmogorov_smirnov(reference.to_numpy(), current.to_numpy())
    return found, found < limit


def _chi_square(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
    found = distances.chi_square_p(*distances.count_categories(reference.to_list(), current.to_list()))
    # One category in both samples: there is no test. Evidently knows no missing score, so the page says 1.
    return (1.0, False) if found is None else (found, found < limit)


def _register(name: str, shown: str, score: object) -> str:
    """Register a method under a name that holds its parameters: registering it again changes nothing."""
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    kinds = [ColumnType.Numerical, ColumnType.Categorical]
    register_stattest(StatTest(name=name, display_name=shown, allowed_feature_types=kinds), score)
    return name


def _frame(sample: "Sample", features: Sequence[str]) -> "DataFrame":
    import pandas as pd

    columns: dict[str, Any] = {**sample.numbers, **sample.categories}
    return pd.DataFrame({name: columns[name] for name in features})
