"""Confidence intervals: of the difference between two models on the same rows, and of the metrics of one.

The paired cluster bootstrap: whole entities are drawn with replacement, each with all its rows, because the
rows of one entity at several as-of dates are not independent; and both models are scored on the same draw,
because what makes one of them look good makes the other look good too. Davison & Hinkley (1997), Bootstrap
Methods and their Application, section 3.8; Field & Welsh (2007), Bootstrapping clustered data, JRSS B 69.
The interval is the percentile interval.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import BINARY, names
from ml_assets.errors import TrainingError
from ml_assets.training.measures import MEANS, RANKINGS
from ml_assets.training.metrics import checked_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_CELLS = 1_000_000  # weights held at once: 8 MB an array, whatever the number of rows and resamples
_FEWEST = 10  # entities; with fewer, draws repeat and the interval is far too short


@dataclass(frozen=True)
class Clusters:
    """Whole entities, which are drawn with all their rows: the number of each row's entity, [rows], and how many."""

    of_row: "NDArray[np.intp]"
    count: int

    @cached_property
    def rows(self) -> "Floats":
        """The number of rows of each entity, [entities]."""
        return np.bincount(self.of_row, minlength=self.count).astype(np.float64)

    def sums(self, values: "Floats") -> "Floats":
        """The sum of a number of each row, [rows], over the rows of each entity, [entities]."""
        return np.bincount(self.of_row, weights=values, minlength=self.count).astype(np.float64)


def clusters(groups: "ArrayLike", rows: int) -> Clusters:
    """The entities of rows.

    Args:
        groups: the entity of each row, [rows].
        rows: how many there are.

    Raises:
        TrainingError: another number of rows, or fewer than ten entities.
    """
    names, entity = np.unique(np.asarray(groups), return_inverse=True)
    if entity.shape != (rows,):
        raise TrainingError(f"{entity.shape} entities for {rows} rows: pass one entity for each row")
    if len(names) < _FEWEST:
        raise TrainingError(f"{len(names)} entities say nothing about others: an interval needs at least {_FEWEST}")
    return Clusters(entity, len(names))


def compared_metrics() -> tuple[str, ...]:
    """The metrics of a label 0 or 1 by which two score vectors are compared."""
    return names(lambda metric: metric.has_interval and metric.in_evaluation(BINARY))


def intervals(
    y: "ArrayLike",
    p: "ArrayLike",
    groups: "ArrayLike",
    *,
    metrics: Sequence[str] | None = None,
    means: "Mapping[str, ArrayLike] | None" = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """Metrics of one score vector, each with its confidence interval, from the same draws of entities.

    Args:
        y: labels 0/1, [n].
        p: P(label = 1), [n].
        groups: the entity of each row, [n].
        metrics: which; default: `compared_metrics`.
        means: further metrics by name, each the mean of a number for each row, [n], such as right (1) or wrong (0).
        resamples: how often entities are drawn.
        confidence: the share of such intervals that hold the true value.
        seed: of the draws.

    Raises:
        TrainingError: an unknown metric, fewer than ten entities, draws that mostly hold one class, or as
            `metrics.checked_scores`.
    """
    labels, mine = checked_scores(y, p)
    metrics = compared_metrics() if metrics is None else metrics
    entities = clusters(groups, len(labels))
    scored = ScoredModel.of(labels, mine, entities)
    sums = {name: entities.sums(np.asarray(each, np.float64)) for name, each in (means or {}).items()}

    def values(counts: "Floats") -> "dict[str, Floats]":
        rows = counts @ entities.rows
        return scored.values(counts, metrics) | {name: (counts @ each) / rows for name, each in sums.items()}

    return bootstrap_intervals(values, entities, resamples=resamples, confidence=confidence, seed=seed)


class ComparedModel(Protocol):
    """One model on labelled rows, summed by entity."""

    @property
    def entities(self) -> Clusters:
        """Of the rows."""

    def values(self, counts: "Floats", metrics: Sequence[str]) -> "dict[str, Floats]":
        """Each metric under each draw, [draws]; `counts` [draws, entities] says how often each entity was drawn.

        Raises:
            TrainingError: a metric has no interval.
        """


def paired_intervals(
    models: Sequence[ComparedModel],
    metrics: Sequence[str],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """Each metric of the first of two models minus that of the second, on the same rows and the same draws.

    Args:
        models: the one that wants to ship, and what it is compared with.
        metrics: which.
        resamples: how often entities are drawn.
        confidence: the share of such intervals that hold the true difference.
        seed: of the draws.

    Raises:
        TrainingError: draws mostly hold one class.
    """

    def values(counts: "Floats") -> "dict[str, Floats]":
        one, two = (model.values(counts, metrics) for model in models)
        return {metric: one[metric] - two[metric] for metric in metrics}

    return bootstrap_intervals(values, models[0].entities, resamples=resamples, confidence=confidence, seed=seed)


def bootstrap_intervals(
    values: "Callable[[Floats], dict[str, Floats]]",
    entities: Clusters,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """The numbers that `values` gives for the rows as they are, each with its interval over draws of entities.

    Args:
        values: from how often each entity was drawn, [draws, entities], to each metric of each draw, [draws].
        entities: of the rows.
        resamples: how often entities are drawn.
        confidence: the share of such intervals that hold the true value.
        seed: of the draws.

    Raises:
        TrainingError: draws mostly hold one class.
    """
    estimate = values(np.ones((1, entities.count)))
    chunk = max(1, _CELLS // max(len(entities.of_row), entities.count))
    parts = [values(counts) for counts in _draws(entities.count, resamples, chunk, seed)]
    draws = {metric: np.concatenate([part[metric] for part in parts]) for metric in estimate}
    return {metric: _interval(metric, float(estimate[metric][0]), draws[metric], confidence) for metric in estimate}


@dataclass(frozen=True)
class ScoredModel:
    """One model, sorted once: rows by falling score, and losses summed by entity.

    `entity` and `labels` are in that order, `starts` is where each distinct score begins; `losses` has per
    metric one sum for each of the `entities`.
    """

    labels: "Floats"
    entity: "NDArray[np.intp]"
    starts: "NDArray[np.intp]"
    losses: "Mapping[str, Floats]"
    entities: Clusters

    @classmethod
    def of(cls, labels: "Floats", p: "Floats", entities: Clusters) -> "ScoredModel":
        """Sort and sum the checked labels and scores of rows, both [n]."""
        order = np.argsort(-p, kind="stable")
        starts = np.append(0, np.flatnonzero(np.diff(p[order])) + 1)
        losses = {name: entities.sums(loss(labels, p)) for name, loss in MEANS.items()}
        return cls(labels[order], entities.of_row[order], starts, losses, entities)

    def values(self, counts: "Floats", metrics: Sequence[str]) -> "dict[str, Floats]":
        """Each metric under each draw; `counts` [draws, entities] says how often each entity was drawn."""
        for name in metrics:
            if name not in RANKINGS and name not in MEANS:
                usual = ", ".join(compared_metrics())
                raise TrainingError(f"no paired interval for {name!r}: compare on one of {usual}")
        rows = counts @ self.entities.rows
        means = {name: (counts @ self.losses[name]) / rows for name in metrics if name in MEANS}
        ranking = [name for name in metrics if name in RANKINGS]
        return means | (self._ranking(counts, ranking) if ranking else {})

    def _ranking(self, counts: "Floats", metrics: Sequence[str]) -> "dict[str, Floats]":
        weights = np.take(counts, self.entity, axis=1)
        positive, all_ = self._tied(weights * self.labels), self._tied(weights)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw of one class has no ranking: it stays NaN
            return {metric: RANKINGS[metric](positive, all_) for metric in metrics}

    def _tied(self, weights: "Floats") -> "Floats":
        """One column for each distinct score."""
        distinct = len(self.starts) == len(self.labels)  # the usual case, and then half of the time
        return weights if distinct else np.asarray(np.add.reduceat(weights, self.starts, axis=1))


def _draws(entities: int, resamples: int, chunk: int, seed: int) -> "Iterator[Floats]":
    """The counts of each entity in each draw, [draws, entities], in chunks whose size does not change the draws."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        draws = range(start, min(start + chunk, resamples))
        counts = [np.bincount(rng.integers(entities, size=entities), minlength=entities) for _ in draws]
        yield np.array(counts, dtype=np.float64)


def _interval(metric: str, estimate: float, draws: "Floats", confidence: float) -> Interval:
    """Draws of one class are left out; where there are many, the interval would be of something else."""
    usable = draws[np.isfinite(draws)]
    if len(usable) < 0.95 * len(draws) or not len(usable):
        raise TrainingError(
            f"{metric}: only {len(usable)} of {len(draws)} draws of entities hold both classes: widen the test window"
        )
    low, high = np.quantile(usable, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(low), float(high))
