"""Evaluation of a model of several classes: the class that it names, and how sure it is of it.

Confidence is the probability of the named class. Where it is calibrated it is the probability of being right, so a
row's `right` (1 or 0) with its confidence is measured as label and score of a model of two classes: Brier score, log
loss and calibration error ("top-label", Gupta & Ramdas 2022) are of that pair, and so is what is estimated before
labels are known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.metric import MULTICLASS, names
from ml_assets.errors import TrainingError
from ml_assets.training import bootstrap
from ml_assets.training.measures import MEANS, value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

COUNTS: "dict[str, Callable[[Floats], Floats]]" = {}
"""Metrics of tables of counts (true, named), [draws, classes, classes] → [draws], by the name of their function."""


def register_counts(function: "Callable[[Floats], Floats]") -> "Callable[[Floats], Floats]":
    """Register a metric of the table of counts under its function's name."""
    COUNTS[function.__name__] = function
    return function


def compared_metrics() -> tuple[str, ...]:
    """The metrics by which two models of several classes are compared."""
    return names(lambda metric: metric.has_interval and metric.in_evaluation(MULTICLASS))


@dataclass(frozen=True)
class ClassPredictions:
    """The answers of a model: the number of the named class and the confidence in it, both [n]."""

    code: "Codes"
    confidence: "Floats"

    @classmethod
    def of(cls, probabilities: "ArrayLike") -> "ClassPredictions":
        """The most probable class of each row of `probabilities` [n, classes]; of equal ones the first."""
        table = np.asarray(probabilities, dtype=np.float64)
        if table.ndim != 2 or not ((table >= 0) & (table <= 1)).all():
            raise TrainingError(f"probabilities of shape {table.shape}: pass a row for each document, each from 0 to 1")
        code = table.argmax(axis=1)
        return cls(code.astype(np.int64), table[np.arange(len(table)), code])

    def right(self, y: "Codes") -> "Floats":
        """1 where the named class is the true one, else 0, [n]."""
        return np.asarray(self.code == y, np.float64)


def scores(y: "Codes", named: ClassPredictions) -> dict[str, float]:
    """All metrics that `decisions.metric` names for several classes, and `rows`.

    `base_rate` is the rate of what the score is a probability of: the accuracy.

    Raises:
        TrainingError: there is no row.
    """
    right, p = named.right(y), named.confidence
    if not len(y):
        raise TrainingError("there are no rows, so no metric is defined: widen the test window")
    counts = pairs(y, named.code)[None]
    metric_names = names(lambda metric: metric.source == "scores" and metric.in_evaluation(MULTICLASS))
    return {name: _value(name, right, p, counts) for name in metric_names} | {"rows": float(len(y))}


def _value(name: str, right: "Floats", p: "Floats", counts: "Floats") -> float:
    if name in COUNTS:
        return float(COUNTS[name](counts)[0])
    row_values = _row_values(right, p)
    return float(row_values[name].mean()) if name in row_values else value(name, right, p)


def _row_values(right: "Floats", p: "Floats") -> "dict[str, Floats]":
    """Of each metric that is a mean over rows, the number of each row, [n]."""
    return {"accuracy": right, **{name: of(right, p) for name, of in MEANS.items()}}


def confusion(y: "Codes", code: "Codes", classes: Sequence[str]) -> dict[str, int]:
    """The number of rows of each true class by the named one: `lease → amendment`; pairs without a row are left out."""
    pairs, counts = np.unique(np.stack([y, code]), axis=1, return_counts=True)
    return {f"{classes[a]} → {classes[b]}": int(n) for (a, b), n in zip(pairs.T, counts, strict=True)}


def by_class(y: "Codes", code: "Codes", classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and rows of each true class; a class that neither occurs nor is named is left out."""
    table = {}
    for nr, name in enumerate(classes):
        true, predicted = y == nr, code == nr
        if true.any() or predicted.any():
            hits = float((true & predicted).sum())
            table[name] = {
                "precision": hits / predicted.sum() if predicted.any() else 0.0,
                "recall": hits / true.sum() if true.any() else 0.0,
                "f1": 2 * hits / (true.sum() + predicted.sum()),
                "rows": float(true.sum()),
            }
    return table


def pairs(y: "Codes", code: "Codes", size: int | None = None) -> "Floats":
    """Counts of (true, named), [classes, classes]."""
    size = size or int(max(y.max(), code.max())) + 1
    return np.bincount(y * size + code, minlength=size * size).reshape(size, size).astype(np.float64)


@register_counts
def macro_f1(pairs: "Floats") -> "Floats":
    """Macro F1 of each table of counts [draws, classes, classes]: the mean over classes that occur or are named."""
    hits = np.einsum("dii->di", pairs)
    both = pairs.sum(axis=1) + pairs.sum(axis=2)
    f1 = np.divide(2 * hits, both, out=np.full_like(hits, np.nan), where=both > 0)
    return np.asarray(np.nanmean(f1, axis=1))


@dataclass(frozen=True)
class ClassModel:
    """One model, summed by entity: the losses of each metric that is a mean, and tables of counts (true, named)."""

    losses: "Mapping[str, Floats]"
    tables: "Floats"
    size: int
    entities: bootstrap.Clusters

    @classmethod
    def of(cls, y: "Codes", named: ClassPredictions, entities: bootstrap.Clusters) -> "ClassModel":
        """Sum the rows of each entity; `y` is the number of the true class of each row, [n]."""
        size = int(max(y.max(), named.code.max())) + 1
        cell = entities.of_row * size * size + y * size + named.code
        tables = np.bincount(cell, minlength=entities.count * size * size).reshape(entities.count, size * size)
        row_values = _row_values(named.right(y), named.confidence)
        losses = {name: entities.sums(loss) for name, loss in row_values.items()}
        return cls(losses, tables.astype(np.float64), size, entities)

    def values(self, counts: "Floats", metrics: Sequence[str]) -> "dict[str, Floats]":
        """See `bootstrap.ComparedModel`."""
        rows, tables = counts @ self.entities.rows, (counts @ self.tables).reshape(-1, self.size, self.size)
        means = {name: (counts @ self.losses[name]) / rows for name in metrics if name in self.losses}
        return means | {name: COUNTS[name](tables) for name in metrics if name in COUNTS}
