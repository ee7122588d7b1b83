"""What is known about a candidate on the test rows: everything that a gate, a report or a person asks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.training.bootstrap import Interval, compare
from ml_assets.training.explain import Importance
from ml_assets.training.metrics import BINS, by_slice, checked, confusion, scores, threshold

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_PRIOR_ROWS = 20  # a bin's rate counts as if it had so many more rows at the base rate


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in any one unit."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass(frozen=True)
class Evaluation:
    """A candidate on rows that it was not fitted on.

    Args:
        rows: number of test rows.
        entities: number of distinct entities among them.
        metrics: of `metrics.scores`.
        threshold: the score from which on acting is cheapest on these rows.
        cost: the mean cost of a row at that threshold.
        confusion: counts at that threshold.
        slices: by slice column and value, as `metrics.by_slice`.
        others: the metrics of each other score vector, such as `baseline` and `champion`, on the same rows.
        intervals: by other and metric, candidate minus other with its confidence interval.
        importance: by feature, where it was measured.
    """

    rows: int
    entities: int
    metrics: dict[str, float]
    threshold: float
    cost: float
    confusion: dict[str, int]
    slices: dict[str, dict[str, dict[str, float]]]
    others: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    importance: dict[str, Importance] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts, strings and numbers, for JSON."""
        return asdict(self)


def evaluate(
    y: "ArrayLike",
    p: "ArrayLike",
    groups: "ArrayLike",
    *,
    slices: "Mapping[str, NDArray[Any]]",
    costs: Costs,
    other: "Mapping[str, ArrayLike]",
    seed: int,
    importance: Mapping[str, Importance] | None = None,
    min_rows: int = 100,
    resamples: int = 1000,
) -> Evaluation:
    """The evaluation of a candidate's scores `p`.

    Args:
        y: labels 0/1 of the test rows, [n].
        p: P(label = 1) of the candidate, [n].
        groups: the entity of each row, [n].
        slices: by name, the value of each row, [n].
        costs: of a false positive and a false negative.
        other: by name, P(label = 1) of what it is compared with, [n].
        seed: of the bootstrap.
        importance: of `explain.importance`.
        min_rows: smaller slices are counted only.
        resamples: of the bootstrap.

    Raises:
        TrainingError: as `metrics.checked` and `bootstrap.compare`.
    """
    labels, p = checked(y, p)
    cut = threshold(labels, p, costs.false_positive, costs.false_negative)
    counts = confusion(labels, p, cut)
    lost = costs.false_positive * counts["fp"] + costs.false_negative * counts["fn"]
    return Evaluation(
        rows=len(labels),
        entities=len(np.unique(np.asarray(groups))),
        metrics=scores(labels, p),
        threshold=cut,
        cost=lost / len(labels),
        confusion=counts,
        slices={name: by_slice(labels, p, values, min_rows) for name, values in slices.items()},
        others={name: scores(labels, theirs) for name, theirs in other.items()},
        intervals={
            name: compare(labels, p, theirs, groups, resamples=resamples, seed=seed) for name, theirs in other.items()
        },
        importance=dict(importance or {}),
    )


def baseline(
    X_train: "pd.DataFrame",  # noqa: N803 - scikit-learn's name
    y_train: "ArrayLike",
    X_test: "pd.DataFrame",  # noqa: N803 - scikit-learn's name
) -> "Floats":
    """P(label = 1) of the test rows by the best single feature: what a model must beat.

    Holte (1993), Very Simple Classification Rules Perform Well on Most Commonly Used Datasets: each feature
    becomes a table of ten bins of equal mass (or its categories; missing is one) with the rate of each,
    drawn towards the base rate; the feature whose table ranks best is chosen by halves of the train rows,
    one half's table on the other's rows. Unlike the base rate it can rank, and unlike a raw feature it is a
    probability, so one vector is an honest opponent for every metric.

    Raises:
        TrainingError: as `metrics.checked` for the train rows, or no feature.
    """
    labels, _ = checked(y_train, np.full(np.shape(y_train), 0.5))
    if X_train.empty or len(X_train) != len(labels) or labels.sum() < 2 or (1 - labels).sum() < 2:
        raise TrainingError(
            f"a baseline from {X_train.shape} train rows with {int(labels.sum())} positives of "
            f"{len(labels)}: it needs a feature and two rows of each class"
        )
    half = _halves(labels)
    ranked = [_ranks(column, labels, half) for _, column in X_train.items()]
    best = X_train.columns[int(np.argmax(ranked))]
    return _table(X_train[best], labels, X_test[best])


def _halves(labels: "Floats") -> "NDArray[np.bool_]":
    """Every second row of each class: no randomness, and both halves hold both classes."""
    half = np.zeros(len(labels), dtype=np.bool_)
    for value in (0, 1):
        half[np.flatnonzero(labels == value)[::2]] = True
    return half


def _ranks(column: "pd.Series[Any]", labels: "Floats", half: "NDArray[np.bool_]") -> float:
    from sklearn.metrics import roc_auc_score

    one, two = (
        roc_auc_score(labels[~side], _table(column[side], labels[side], column[~side])) for side in (half, ~half)
    )
    return float(one + two) / 2


def _table(known: "pd.Series[Any]", labels: "Floats", asked: "pd.Series[Any]") -> "Floats":
    bins, places = _bins(known, asked)
    size = int(max(bins.max(), places.max(initial=0))) + 1
    rows = np.bincount(bins, minlength=size)
    hits = np.bincount(bins, weights=labels, minlength=size)
    rate = (hits + _PRIOR_ROWS * labels.mean()) / (rows + _PRIOR_ROWS)
    return np.asarray(rate[places], dtype=np.float64)


def _bins(known: "pd.Series[Any]", asked: "pd.Series[Any]") -> "tuple[NDArray[np.intp], NDArray[np.intp]]":
    """The bin of each value; 0 is missing, and for categories also what is not known."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(known.dtype):
        places = {word: i for i, word in enumerate(sorted(known.dropna().unique()), start=1)}
        one, two = (column.map(places).fillna(0).to_numpy(dtype=np.intp) for column in (known, asked))
        return one, two
    numbers, others = (column.to_numpy(dtype=np.float64, na_value=np.nan) for column in (known, asked))
    ordered = np.sort(numbers[~np.isnan(numbers)])
    edges = np.unique(ordered[np.arange(1, BINS) * len(ordered) // BINS]) if len(ordered) else ordered
    first, second = (
        np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1) for values in (numbers, others)
    )
    return first, second
