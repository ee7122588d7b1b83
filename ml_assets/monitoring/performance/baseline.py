"""The evaluation of a version, on test rows that it was not fitted on: what later measurements are compared with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import hypot
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS, report_metrics
from ml_assets.errors import TrainingError
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.bootstrap import intervals
from ml_assets.training.evaluation import read_evaluation
from ml_assets.training.frame import labels
from ml_assets.training.measures import MEANS, RANKINGS
from ml_assets.training.record import EVALUATION, TrainingRecord, required_file
from ml_assets.training.score import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledScores:
    """Rows with a label: `y` 0/1, `p` P(label = 1), and the entity of each row as a number, all [n].

    Of several classes, `y` says whether the named one is right, and `p` is its probability.
    """

    y: "Floats"
    p: "Floats"
    entity: "NDArray[np.int64]"

    def at(self, chosen: "NDArray[np.bool_]") -> "LabelledScores":
        """Some of the rows."""
        return LabelledScores(self.y[chosen], self.p[chosen], self.entity[chosen])


@dataclass(frozen=True)
class Drop:
    """How much worse than in the evaluation, in units of the metric: positive is worse. The interval may be unknown."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of a version.

    Args:
        metrics: on all test rows, with `accuracy` at the threshold.
        intervals: of those that have one.
        slices: slice → value → metrics.
        threshold: the score from which on acting was cheapest on the test rows.
        reason: why there is nothing to compare with; None where there is.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    threshold: float | None = None
    reason: str | None = None

    def value(self, metric: str, slice_: str | None = None, slice_value: str | None = None) -> float | None:
        """A metric of all test rows, or of those of one slice; None where the evaluation does not know it."""
        values = self.metrics if slice_ is None else self.slices.get(slice_, {}).get(slice_value or "", {})
        return values.get(metric)

    def drop(self, metric: str, value: float, interval: Interval | None, slice_: str | None = None,
             slice_value: str | None = None) -> Drop | None:  # fmt: skip
        """How much worse a value is than the evaluation; None where there is no better or worse, or no evaluation.

        Args:
            metric: of `decisions.metric`.
            value: of it, measured or estimated.
            interval: of that value; None = it is not known.
            slice_: the feature that cuts the rows; None = all rows.
            slice_value: its value.
        """
        before, direction = self.value(metric, slice_, slice_value), METRICS[metric].direction
        if before is None or not direction:
            return None
        promised = self.intervals.get(metric) if slice_ is None else None
        if interval is None or promised is None:
            return Drop(direction * (before - value))
        return _difference(direction, before, promised, value, interval)


def _difference(sign: int, before: float, known: Interval, value: float, now: Interval) -> Drop:
    """The square-and-add interval of a difference: both ends are uncertain, the evaluation's as much as today's.

    Zou & Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine 27. It takes
    the two samples as independent; where the same entities are in both, it is rather too wide.
    """
    most = before - value + hypot(known.high - before, value - now.low)
    least = before - value - hypot(before - known.low, now.high - value)
    low, high = sorted((sign * least, sign * most))
    return Drop(sign * (before - value), low, high)


def version_evaluation(
    lake: Lake, registry: Registry, version: Version, record: TrainingRecord, spec: PerformanceSpec, table: str
) -> Evaluated:
    """The evaluation of a version; empty, with the reason, where there is none for labels of `table`.

    Args:
        lake: where its test rows are.
        registry: where its evaluation is.
        version: whose.
        record: what it was trained from.
        spec: resamples and seed.
        table: of the labels that it is compared on.
    """
    stored = read_evaluation(registry, version)
    if stored is None:
        return Evaluated(reason=f"version {version.number} has no evaluation report, so there is no drop")
    if table not in record.tables:
        reason = f"the label query changed since version {version.number} was trained, so there is no drop"
        return Evaluated(reason=reason)
    evaluation = stored.evaluation
    threshold = record.task.evaluated_threshold(evaluation)
    rows = _scored(scored_test_rows(lake, registry, version, record), record)
    intervals, _ = bootstrap_metrics(rows, threshold, spec)
    return Evaluated(record.task.evaluated_metrics(evaluation), intervals, evaluation.slices, threshold)


def bootstrap_metrics(
    rows: LabelledScores, threshold: float | None, spec: PerformanceSpec, metrics: Collection[str] | None = None
) -> tuple[dict[str, Interval], str]:
    """The intervals of metrics of a report, and why others have none.

    Args:
        rows: with their labels, [n].
        threshold: of `accuracy`; None = it is not known.
        spec: resamples and seed.
        metrics: which; default: all that can have an interval.
    """
    names = report_metrics() if metrics is None else metrics
    right = {}
    if threshold is not None and "accuracy" in names:
        right["accuracy"] = ((rows.p >= threshold) == rows.y).astype(np.float64)
    rankings, means = ([name for name in names if name in of] for of in (RANKINGS, MEANS))
    by_metric: dict[str, Interval] = {}
    reasons = []
    for some, more in ((rankings, {}), (means, right)):
        if not some and not more:
            continue
        try:
            by_metric |= intervals(
                rows.y, rows.p, rows.entity, metrics=some, means=more, resamples=spec.resamples, seed=spec.seed
            )
        except TrainingError as error:  # too few entities, or hardly one of the other class
            reasons.append(f"no interval: {error}")
    return by_metric, reasons[0] if reasons else ""


@dataclass(frozen=True)
class Tested:
    """The test rows of a version, n ≥ 1, and the probability of each class of each, [n, classes].

    By the artifact that was not fitted on them.
    """

    rows: pa.Table
    p: "Floats"

    @property
    def scores(self) -> "Floats":
        """P(label = 1); of several classes, the probability of the most probable one, [n]."""
        return self.p[:, 1] if self.p.shape[1] == 2 else self.p.max(axis=1)


def scored_test_rows(lake: Lake, registry: Registry, version: Version, record: TrainingRecord) -> Tested:
    """The version's test rows, scored by the artifact that was not fitted on them.

    Args:
        lake: where they are.
        registry: where the artifact is.
        version: whose.
        record: what it was trained from.
    """
    table = dataset.read(lake, record.table, record.as_of, record.version)
    days = pa.array(record.split.test, pa.date32())
    rows = table.filter(pc.is_in(table[dataset.ROW], value_set=days))
    return Tested(rows, probabilities(required_file(registry, version, EVALUATION), record, rows))


def _scored(found: Tested, kept: TrainingRecord) -> LabelledScores:
    y, who = np.asarray(labels(found.rows["label"], kept.classes)), entities(found.rows[kept.entity])
    return LabelledScores(kept.task.outcome(y, found.p), kept.task.score(found.p), who)


def entities(column: pa.ChunkedArray) -> "NDArray[np.int64]":
    """Each entity as a number."""
    return np.asarray(pc.dictionary_encode(column).combine_chunks().indices).astype(np.int64)
