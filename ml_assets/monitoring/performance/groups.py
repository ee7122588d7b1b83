"""The numbers of one group of scored rows: measured where labels are known, estimated where they are not.

A row of the report is one number of one group. Its `kind` says which of the two it is; a number that cannot be had is
None, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from ml_assets.decisions.estimate import estimate_metrics
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS, estimable, report_metrics
from ml_assets.monitoring.performance.baseline import Evaluated, LabelledScores, bootstrap_metrics
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.training.measures import MEANS
from ml_assets.training.metrics import calibration, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["measured", "estimated"]

SMALLER = "(smaller slices)"
MISSING = "(missing)"


@dataclass(frozen=True)
class MetricGroup:
    """The predictions of one version at one or several as-of dates, all of them or one slice.

    `variant` is None for the batch of an as-of date; else they are answers that were served, under that name.
    """

    first: date
    last: date
    pooled: bool
    model_version: int
    slice: str | None = None
    slice_value: str | None = None
    variant: str | None = None


@dataclass(frozen=True)
class MetricRow:
    """One number.

    Args:
        kind: `measured` on labels, or `estimated` from the scores alone.
        first: the first as-of date of the predictions.
        last: the last one.
        pooled: several as-of dates together; else it is one.
        model_version: the version that made the predictions.
        slice: the feature that cuts the rows; None = all rows.
        slice_value: its value.
        rows: predictions that went in.
        metric: of `decisions.metric.report_metrics`.
        value: None where it cannot be had.
        low: the lower end of the 95 % interval; None where there is none.
        high: the upper end.
        evaluated: the same metric in the version's evaluation.
        drop: how much worse than there, in units of the metric; positive is worse.
        drop_low: the lower end of its 95 % interval, to which the test rows add their own doubt.
        drop_high: the upper end.
        reason: why there is no value, or no interval.
        bins: of the calibration error: mean score, observed rate and rows of each.
        variant: of answers that were served, under which name; None = the batch.
    """

    kind: Kind
    first: date
    last: date
    pooled: bool
    model_version: int
    slice: str | None
    slice_value: str | None
    rows: int
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    evaluated: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    reason: str | None = None
    bins: tuple[tuple[float, float, float], ...] | None = None
    variant: str | None = None


def measure(group: MetricGroup, rows: LabelledScores, evaluated: Evaluated, spec: PerformanceSpec) -> list[MetricRow]:
    """Every metric of rows whose labels are known, as `training.metrics.scores`, and `accuracy` at the threshold.

    Args:
        group: whose rows.
        rows: with their labels, [n].
        evaluated: what the version promised.
        spec: bounds, resamples and seed.
    """
    if len(rows.y) < spec.min_rows:
        reason = f"{len(rows.y)} rows are fewer than min_rows {spec.min_rows}"
        return [_row("measured", group, len(rows.y), metric, evaluated, reason=reason) for metric in report_metrics()]
    values, why = _values(rows, evaluated.threshold)
    both = 0 < values["base_rate"] < 1
    intervals, unsure = bootstrap_metrics(rows, evaluated.threshold, spec) if both else ({}, "")
    bins = _bins(rows) if both and group.slice is None else None
    return [
        _row(
            "measured", group, len(rows.y), metric, evaluated, value=values.get(metric), interval=intervals.get(metric),
            reason=_why(metric, values, why, intervals, unsure), bins=bins if metric == "calibration_error" else None,
        )
        for metric in report_metrics()
    ]  # fmt: skip


def estimate(
    group: MetricGroup, p: "NDArray[np.float64]", evaluated: Evaluated, spec: PerformanceSpec
) -> list[MetricRow]:
    """The expected metrics of rows without labels, if their scores are calibrated.

    Args:
        group: whose rows.
        p: their scores, [n].
        evaluated: what the version promised.
        spec: bounds, draws and seed.
    """
    intervals, reason = expected_metrics(p, evaluated.threshold, spec)
    rows = []
    for metric in estimable():
        interval = intervals.get(metric)
        value, why = (None, reason or _NO_THRESHOLD) if interval is None else (interval.estimate, None)
        rows.append(_row("estimated", group, len(p), metric, evaluated, value=value, interval=interval, reason=why))
    return rows


_NO_THRESHOLD = "no evaluation says from which score on to act"


def expected_metrics(
    p: "NDArray[np.float64]", threshold: float | None, spec: PerformanceSpec
) -> tuple[Mapping[str, Interval], str | None]:
    """The metrics to be expected from scores, by name, or the reason why there are none.

    >>> metrics, _ = expected_metrics(np.array([0.2, 0.4] * 50), None, PerformanceSpec(min_rows=100))
    >>> round(metrics["base_rate"].estimate, 3)
    0.3
    """
    if len(p) < spec.min_rows:
        return {}, f"{len(p)} rows are fewer than min_rows {spec.min_rows}"
    try:
        return estimate_metrics(p, seed=spec.seed, draws=spec.resamples, threshold=threshold), None
    except ValueError as error:
        return {}, str(error)


def _values(rows: LabelledScores, threshold: float | None) -> tuple[dict[str, float], str]:
    """The metrics that the rows allow, and why they do not allow the others."""
    rate = float(rows.y.mean())
    values = {"base_rate": rate, "mean_score": float(rows.p.mean())}
    if threshold is not None:
        values["accuracy"] = float(np.mean((rows.p >= threshold) == rows.y))
    if not 0 < rate < 1:
        return values, f"all {len(rows.y)} rows have label {rate:.0f}"
    return values | scores(rows.y, rows.p), _NO_THRESHOLD


def _why(metric: str, found: Mapping[str, float], why: str, known: Mapping[str, Interval], unsure: str) -> str | None:
    if metric not in found:
        return _NO_THRESHOLD if METRICS[metric].at_threshold else why
    bootstrapped_at_all = METRICS[metric].has_interval or metric in MEANS
    return unsure if unsure and metric not in known and bootstrapped_at_all else None


def _bins(rows: LabelledScores) -> tuple[tuple[float, float, float], ...]:
    curve = calibration(rows.y, rows.p)
    return tuple(zip(curve.mean.tolist(), curve.rate.tolist(), curve.rows.tolist(), strict=True))


def _row(
    kind: Kind,
    group: MetricGroup,
    rows: int,
    metric: str,
    evaluated: Evaluated,
    *,
    value: float | None = None,
    interval: Interval | None = None,
    reason: str | None = None,
    bins: tuple[tuple[float, float, float], ...] | None = None,
) -> MetricRow:
    drop = None if value is None else evaluated.drop(metric, value, interval, group.slice, group.slice_value)
    return MetricRow(
        kind=kind,
        **asdict(group),
        rows=rows,
        metric=metric,
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        evaluated=evaluated.value(metric, group.slice, group.slice_value),
        drop=drop.value if drop else None,
        drop_low=drop.low if drop else None,
        drop_high=drop.high if drop else None,
        reason=reason,
        bins=bins,
    )


def parts(words: Sequence[str | None], min_rows: int) -> "dict[str, NDArray[np.bool_]]":
    """The rows of each value of a slice, in the order of the values; the small ones together, so nothing is lost."""
    names = np.array([MISSING if word is None else word for word in words], dtype=object)
    values, counts = np.unique(names, return_counts=True)
    masks = {str(value): names == value for value in values[counts >= min_rows]}
    small = np.isin(names, values[counts < min_rows])
    return masks | ({SMALLER: small} if small.any() else {})


def measure_slice(
    group: MetricGroup, words: Sequence[str | None], rows: LabelledScores, evaluated: Evaluated, spec: PerformanceSpec
) -> list[MetricRow]:
    """The metrics of each value of a slice; values of fewer than `min_rows` rows are only counted, together.

    Args:
        group: of all rows, with the slice's name.
        words: the value of each row, [n]; None = missing.
        rows: the rows, [n].
        evaluated: of the version.
        spec: the bounds.
    """
    measured = []
    for value, mask in parts(words, spec.min_rows).items():
        of = MetricGroup(**(asdict(group) | {"slice_value": value}))
        if value == SMALLER:
            reason, few = f"each value has fewer than min_rows {spec.min_rows} rows", int(mask.sum())
            measured += [_row("measured", of, few, metric, Evaluated(), reason=reason) for metric in report_metrics()]
        else:
            measured += measure(of, rows.at(mask), evaluated, spec)
    return measured
