"""The baseline that a model must beat, its best single feature, and features that are too good to be true."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.training.frame import Frame
from ml_assets.training.metrics import BINS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Form = Literal["as it is", "in bins"]

SUSPECT = 0.98
"""A ROC AUC that one feature alone hardly reaches unless it knows the label."""

_LARGEST = float(np.finfo(np.float32).max)
_PRIOR_ROWS = 20  # a bin's rate counts as if it had so many more rows at the base rate


@dataclass(frozen=True)
class Baseline:
    """The best single feature.

    Args:
        feature: its name.
        form: `as it is`: the larger or the smaller, the riskier; `in bins`: ten of equal mass, or categories.
        roc_auc: with which it ranks the later training dates.
        suspects: every feature that ranks them above `SUSPECT` alone → its ROC AUC; the future may have leaked into it.
    """

    feature: str
    form: str
    roc_auc: float
    suspects: Mapping[str, float]

    def __str__(self) -> str:
        """For a sentence."""
        return f"{self.feature} {self.form}"


def baseline(train: Frame, X_test: "pd.DataFrame") -> "tuple[Baseline, Floats]":  # noqa: N803 - scikit-learn's name
    """The best single feature and P(label = 1) of the test rows by it, [n].

    Holte (1993), Very Simple Classification Rules Perform Well on Most Commonly Used Datasets. Each feature is tried
    as it is, by a logistic curve over its rank, and in bins of equal mass (or its categories; missing is one) with the
    rate of each, drawn towards the base rate. What ranks best on the later half of the training dates, fitted on the
    earlier, is fitted again on all of them: a rule that only held in the past is no opponent. It is a probability, so
    one vector is an honest opponent for every metric.

    Args:
        train: rows that the candidate was fitted on.
        X_test: rows that it is judged on.

    Raises:
        TrainingError: there is no feature, or fewer than two rows of a label.
    """
    labels = np.asarray(train.y, dtype=np.float64)
    if train.X.empty or labels.sum() < 2 or (1 - labels).sum() < 2:
        raise TrainingError(
            f"a baseline from {train.X.shape} train rows with {int(labels.sum())} positives of "
            f"{len(labels)}: it needs a feature and two rows of each class"
        )
    later = _later(train)
    ranked = {
        (str(name), form): _ranks(column, labels, later, form)
        for name, column in train.X.items()
        for form in _forms(column)
    }
    (feature, form), best = max(ranked.items(), key=lambda item: item[1])
    suspects = {name: auc for (name, _), auc in sorted(ranked.items(), key=lambda item: item[1]) if auc > SUSPECT}
    return Baseline(feature, form, best, suspects), _fitted(train.X[feature], labels, X_test[feature], form)


def _forms(column: "pd.Series[Any]") -> "tuple[Form, ...]":
    return ("as it is", "in bins") if _is_number(column) else ("in bins",)


def _later(train: Frame) -> "NDArray[np.bool_]":
    """Rows of the later half of the dates; where a part would have one label only, every second row of each label."""
    days = np.unique(train.days)
    later = np.asarray(train.days >= days[len(days) // 2])
    if len(days) > 1 and all(len(np.unique(train.y[part])) == 2 for part in (later, ~later)):
        return later
    half = np.zeros(len(train.y), dtype=np.bool_)
    for value in (0, 1):
        half[np.flatnonzero(train.y == value)[::2]] = True
    return half


def _ranks(column: "pd.Series[Any]", labels: "Floats", later: "NDArray[np.bool_]", form: "Form") -> float:
    from sklearn.metrics import roc_auc_score

    p = _fitted(column[~later], labels[~later], column[later], form)
    return float(roc_auc_score(labels[later], p))


def _fitted(known: "pd.Series[Any]", labels: "Floats", asked: "pd.Series[Any]", form: "Form") -> "Floats":
    return _curve(known, labels, asked) if form == "as it is" else _table(known, labels, asked)


def _curve(known: "pd.Series[Any]", labels: "Floats", asked: "pd.Series[Any]") -> "Floats":
    """A logistic curve over where a value lies among the known ones; a missing one has the rate of those missing."""
    from sklearn.linear_model import LogisticRegression

    numbers, others = _numbers(known), _numbers(asked)
    present, asked_present = ~np.isnan(numbers), ~np.isnan(others)
    p = np.full(len(others), _rate(labels[~present], labels.mean()))
    if present.sum() < 2 or len(np.unique(labels[present])) < 2:
        p[asked_present] = _rate(labels[present], labels.mean())
        return p
    places = _places(np.unique(numbers[present]))
    curve = LogisticRegression(C=1e3).fit(places(numbers[present])[:, None], labels[present])
    if asked_present.any():
        p[asked_present] = curve.predict_proba(places(others[asked_present])[:, None])[:, 1]
    return p


def _places(values: "Floats") -> "Any":  # noqa: ANN401 - a function of arrays
    """A strictly increasing map of all numbers onto about 0 to 1; `values` are spread evenly."""
    spread, width = np.linspace(0, 1, len(values)), float(values[-1] - values[0]) or 1.0

    def places(numbers: "Floats") -> "Floats":
        inside = np.clip(numbers, values[0], values[-1])
        return np.asarray(np.interp(inside, values, spread) + 0.1 * np.tanh((numbers - inside) / width))

    return places


def _rate(labels: "Floats", base: float) -> float:
    return float((labels.sum() + _PRIOR_ROWS * base) / (len(labels) + _PRIOR_ROWS))


def _table(known: "pd.Series[Any]", labels: "Floats", asked: "pd.Series[Any]") -> "Floats":
    bins, places = _bins(known, asked)
    size = int(max(bins.max(), places.max(initial=0))) + 1
    rows = np.bincount(bins, minlength=size)
    hits = np.bincount(bins, weights=labels, minlength=size)
    rate = (hits + _PRIOR_ROWS * labels.mean()) / (rows + _PRIOR_ROWS)
    return np.asarray(rate[places], dtype=np.float64)


def _bins(known: "pd.Series[Any]", asked: "pd.Series[Any]") -> "tuple[NDArray[np.intp], NDArray[np.intp]]":
    """The bin of each value; 0 is missing, and for categories also what is not known."""
    if not _is_number(known):
        places = {word: i for i, word in enumerate(sorted(known.dropna().unique()), start=1)}
        one, two = (column.map(places).fillna(0).to_numpy(dtype=np.intp) for column in (known, asked))
        return one, two
    numbers, others = _numbers(known), _numbers(asked)
    ordered = np.sort(numbers[~np.isnan(numbers)])
    edges = np.unique(ordered[np.arange(1, BINS) * len(ordered) // BINS]) if len(ordered) else ordered
    first, second = (
        np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1) for values in (numbers, others)
    )
    return first, second


def _numbers(column: "pd.Series[Any]") -> "Floats":
    """Missing is NaN; what is infinite is the largest number, which has a place among the others."""
    return np.asarray(np.clip(column.to_numpy(dtype=np.float64, na_value=np.nan), -_LARGEST, _LARGEST))


def _is_number(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column.dtype))
