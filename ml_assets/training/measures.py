"""The functions of the metrics of a score: `decisions/metric.py` names them, the function of the same name is here.

A ranking metric is a function of the weights of rows by falling score, so that the bootstrap gives each draw of rows
its value; a mean is that of a number for each row. A metric that is neither has a value and no interval.
"""

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Function = Callable[[Floats, Floats], Floats]

TOP = 0.1

RANKINGS: "dict[str, Function]" = {}
"""From the weights of positive and of all rows, [draws, rows] by falling score, to a value for each draw, [draws]."""
MEANS: "dict[str, Function]" = {}
"""From labels 0/1 and scores, [n], to the number of each row whose mean is the metric, [n]."""
EXACT: "dict[str, Callable[[Floats, Floats], float]]" = {}
"""From labels and scores to the value, where another computation than that of the bootstrap is the reference."""


def register_ranking(function: "Function") -> "Function":
    """Register a ranking metric under its function's name."""
    RANKINGS[function.__name__] = function
    return function


def register_mean(function: "Function") -> "Function":
    """Register a mean over rows under its function's name."""
    MEANS[function.__name__] = function
    return function


def value(name: str, labels: "Floats", p: "Floats") -> float:
    """A metric of labels 0/1 and scores, both [n] and checked (`metrics.checked_scores`).

    Raises:
        TrainingError: no function has the metric's name.
    """
    if name in EXACT:
        return float(EXACT[name](labels, p))
    if name in MEANS:
        return float(np.mean(MEANS[name](labels, p)))
    if name not in RANKINGS:
        raise TrainingError(f"metric {name!r} has no function in training/measures.py: register one of that name")
    order = np.argsort(-p, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(p[order])) + 1)
    positive, everyone = (np.add.reduceat(each, starts)[None] for each in (labels[order], np.ones(len(p))))
    return float(RANKINGS[name](positive, everyone)[0])


@register_ranking
def roc_auc(positive: "Floats", everyone: "Floats") -> "Floats":
    """The share of (positive, negative) pairs in the right order; a tie counts half (Mann & Whitney 1947)."""
    negative = everyone - positive
    hits, total = np.cumsum(positive, axis=1), negative.sum(axis=1)
    wins = np.einsum("ij,ij->i", negative, hits - positive / 2)
    return np.asarray(wins / (hits[:, -1] * total))


@register_ranking
def pr_auc(positive: "Floats", everyone: "Floats") -> "Floats":
    """Average precision: the mean of the precision at each positive."""
    hits, rows = np.cumsum(positive, axis=1), np.cumsum(everyone, axis=1)
    precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    return np.asarray(np.einsum("ij,ij->i", positive, precision) / hits[:, -1])


@register_ranking
def lift_at_10(positive: "Floats", everyone: "Floats") -> "Floats":
    """How many times more positives the first tenth holds than rows taken at random."""
    hits, rows = np.cumsum(positive, axis=1), np.cumsum(everyone, axis=1)
    caught = [np.interp(TOP * t[-1], np.append(0, t), np.append(0, h)) for t, h in zip(rows, hits, strict=True)]
    return np.asarray(np.array(caught) / hits[:, -1] / TOP)


@register_mean
def log_loss(labels: "Floats", p: "Floats") -> "Floats":
    """The negative log likelihood of each row, clipped as `sklearn.metrics.log_loss` clips."""
    eps = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(np.where(labels == 1, p, 1 - p), eps, 1 - eps)))


@register_mean
def brier(labels: "Floats", p: "Floats") -> "Floats":
    """The squared error of each row."""
    return np.asarray((p - labels) ** 2)


@register_mean
def base_rate(labels: "Floats", _: "Floats") -> "Floats":
    """The labels themselves."""
    return labels


@register_mean
def mean_score(_: "Floats", p: "Floats") -> "Floats":
    """The scores themselves."""
    return p
