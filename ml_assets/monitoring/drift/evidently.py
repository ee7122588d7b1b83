"""Evidently's interactive page of a bounded sample. The one module that speaks Evidently: it takes 8 s to import.

Our functions are registered in it, so what it shows is what we say of the same rows.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.monitoring import html_files as pages
from ml_assets.monitoring.drift import distances
from ml_assets.monitoring.drift.feature import Kind
from ml_assets.monitoring.drift.inline_data import inert, secure_page
from ml_assets.monitoring.drift.samples import align, draw, words

if TYPE_CHECKING:
    import pyarrow as pa
    from evidently.core.report import Snapshot
    from evidently.metrics import ValueDrift
    from pandas import DataFrame, Series

    from ml_assets.monitoring.drift.samples import SampleColumns
    from ml_assets.spec.drift import DriftSpec

Scores = dict[tuple[str, str], float]

# A limit that decides nothing: no distance reaches it (and no p-value is below 0).
_NEVER = 1e9


@dataclass(frozen=True)
class SignificanceRule:
    """The second condition beside the limits of `spec`: the p-value up to which a difference is more than chance."""

    spec: "DriftSpec"
    chance: float


def write(
    path: Path, reference: "SampleColumns", current: "SampleColumns", kinds: Mapping[str, Kind], rule: SignificanceRule
) -> Scores | None:
    """Write the page of at most `spec.sample` rows of each sample; it says so itself, and so does ours.

    It appears whole or not at all; of its folder, the last `spec.keep` of its kind are kept.

    Args:
        path: the name ends in `.evidently.html`.
        reference: the sample that fixes the bins.
        current: the sample that is compared with it.
        kinds: the features; those without a value in either drawn sample are left out, as Evidently refuses them.
        rule: the limits that the page shows.

    Returns:
        Evidently's score of each (feature, method); None where there is nothing to show, and so no page.
    """
    before, after = (_frame(rows, kinds, rule.spec) for rows in (reference, current))
    filled = {name: kind for name, kind in kinds.items() if before[name].notna().any() and after[name].notna().any()}
    if not filled:
        return None
    names = {inert(name): name for name in filled}
    snapshot = _run(before, after, filled, rule)
    banner = (
        f"A sample: {len(before):,} of {reference.rows:,} rows of the reference, {len(after):,} of {current.rows:,} "
        "current ones. The numbers of all rows stand in the report beside this page."
    )
    pages.write(path, lambda part: _save(snapshot, part, banner), rule.spec.keep)
    metrics = [(metric["config"], metric["value"]) for metric in snapshot.dict()["metrics"]]
    return {(names[config["column"]], config["method"]): float(value) for config, value in metrics}


def _save(snapshot: "Snapshot", path: Path, banner: str) -> None:
    path.write_text(secure_page(snapshot.get_html_str(as_iframe=False), banner), encoding="utf-8")


def _run(reference: "DataFrame", current: "DataFrame", kinds: Mapping[str, Kind], rule: SignificanceRule) -> "Snapshot":
    with warnings.catch_warnings():
        # Evidently 0.7.23 uses numpy.core and old litestar names while it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently import DataDefinition, Dataset, Report
    with warnings.catch_warnings():
        # It plots the correlation of a constant column: 0 / 0.
        warnings.filterwarnings("ignore", message="invalid value encountered", category=RuntimeWarning)
        definition = DataDefinition(
            numerical_columns=[inert(name) for name, kind in kinds.items() if kind == "numeric"],
            categorical_columns=[inert(name) for name, kind in kinds.items() if kind == "categorical"],
        )
        before, after = (
            Dataset.from_pandas(sample[list(kinds)].rename(columns=inert), data_definition=definition)
            for sample in (reference, current)
        )
        metrics = (
            _numeric(name, rule) if kind == "numeric" else _categorical(name, rule) for name, kind in kinds.items()
        )
        return Report([*chain.from_iterable(metrics)]).run(after, before)


def _numeric(name: str, rule: SignificanceRule) -> list["ValueDrift"]:
    from evidently.metrics import ValueDrift

    def _psi(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
        before, after = (np.sort(values.to_numpy()) for values in (reference, current))
        edges = distances.bin_edges(before, rule.spec.bins)
        counts = distances.count_bins(before, edges), distances.count_bins(after, edges)
        value = distances.psi(*counts)
        return value, value >= limit and _beyond_chance(counts, rule)

    limits = rule.spec.limits(name)
    method = _register(f"psi_{rule.spec.bins}_{rule.chance!r}", f"PSI, {rule.spec.bins} bins of the reference", _psi)
    ks = _register("ks_p_value", "K-S p-value", _ks)
    return [
        ValueDrift(column=inert(name), method=method, threshold=limits.psi or _NEVER),
        ValueDrift(column=inert(name), method=ks, threshold=limits.ks_p_value or 0),
    ]


def _categorical(name: str, rule: SignificanceRule) -> list["ValueDrift"]:
    from evidently.metrics import ValueDrift

    def _jensen_shannon(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
        counts = _counted(reference, current)
        value = distances.jensen_shannon(*counts)
        return value, value >= limit and _beyond_chance(distances.pool_rare(*counts), rule)

    limits = rule.spec.limits(name)
    method = _register(f"jensen_shannon_{rule.chance!r}", "Jensen–Shannon distance", _jensen_shannon)
    chi = _register("chi_square_p", "two-sample chi-square p-value", _chi_square)
    return [
        ValueDrift(column=inert(name), method=method, threshold=limits.jensen_shannon or _NEVER),
        ValueDrift(column=inert(name), method=chi, threshold=limits.chi_square_p or 0),
    ]


Counted = tuple[distances.Counts, distances.Counts]


def _beyond_chance(counts: Counted, rule: SignificanceRule) -> bool:
    p_value = distances.chi_square_p(*counts)
    return p_value is not None and p_value <= rule.chance


def _counted(reference: "Series", current: "Series") -> Counted:
    import pyarrow as pa  # definitions load no pyarrow

    before, after = (
        words("drawn", "category", pa.chunked_array([pa.array(sample.to_list(), pa.string())]))
        for sample in (reference, current)
    )
    _, *counts = align(before, after)
    return counts[0], counts[1]


def _ks(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
    _, p_value = distances.kolmogorov_smirnov(np.sort(reference.to_numpy()), np.sort(current.to_numpy()))
    return p_value, p_value < limit


def _chi_square(reference: "Series", current: "Series", _kind: object, limit: float) -> tuple[float, bool]:
    p_value = distances.chi_square_p(*distances.pool_rare(*_counted(reference, current)))
    # One category in both samples: there is no test. Evidently knows no missing score, so the page says 1.
    return (1.0, False) if p_value is None else (p_value, p_value < limit)


def _register(name: str, shown: str, score: object) -> str:
    """Register a method under a name that holds its parameters: registering it again changes nothing."""
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    kinds = [ColumnType.Numerical, ColumnType.Categorical]
    register_stattest(StatTest(name=name, display_name=shown, allowed_feature_types=kinds), score)
    return name


def _frame(rows: "SampleColumns", kinds: Mapping[str, Kind], spec: "DriftSpec") -> "DataFrame":
    """At most `spec.sample` rows as pandas; what is missing for us is missing for Evidently."""
    import pandas as pd

    sample = draw(rows, list(kinds), spec.sample, spec.seed)
    return pd.DataFrame({name: _plain(sample[name], kind) for name, kind in kinds.items()})


def _plain(column: "pa.ChunkedArray", kind: Kind) -> object:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "numeric":
        values = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
        return np.where(np.isfinite(values), values, np.nan)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    words = pc.cast(column, pa.string()).to_pylist()
    return [None if word is None else inert(word) for word in words]
