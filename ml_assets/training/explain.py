"""Permutation importance: the features that a model leans on."""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.training.metrics import checked_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Predict = Callable[[pd.DataFrame], NDArray[np.float64]]
    Metric = Callable[[NDArray[np.generic], NDArray[np.float64]], float]


@dataclass(frozen=True)
class Importance:
    """The loss of the metric when a feature is shuffled: mean and standard deviation over the repeats."""

    mean: float
    std: float


def importance(
    predict: "Predict",
    X: "pd.DataFrame",  # noqa: N803 - scikit-learn's name
    y: "ArrayLike",
    repeats: int = 5,
    *,
    seed: int,
    max_rows: int = 5_000,
    metric: "Metric | None" = None,
) -> dict[str, Importance]:
    """Permutation importance of each column, the largest first.

    Breiman (2001), Random Forests; model-agnostic as in Fisher, Rudin & Dominici (2019). Features that say the
    same share their importance: neither looks important while the other stays. The shuffles of a feature depend
    on the seed and its name only, so another feature more or less does not change them.

    Args:
        predict: what `metric` judges of a DataFrame like `X`: P(label = 1) of each row.
        X: rows that the model was not fitted on.
        y: their labels.
        repeats: shuffles of each feature.
        seed: of the sample and the shuffles.
        max_rows: at most so many rows, drawn without replacement, are scored.
        metric: of labels and predictions, the more the better; default: ROC AUC.

    Raises:
        TrainingError: no repeats, or as `metrics.checked_scores` for the rows that were drawn.
    """
    if repeats < 1:
        raise TrainingError(f"importance with {repeats} repeats measures nothing: use at least 1")
    rows, labels = _sample(X, np.asarray(y), seed, max_rows)
    judge = metric or _auc
    whole = judge(labels, predict(rows))
    drops = {
        str(name): [whole - judge(labels, predict(shuffled)) for shuffled in _shuffles(rows, str(name), repeats, seed)]
        for name in rows.columns
    }
    losses = {name: Importance(float(np.mean(drop)), float(np.std(drop))) for name, drop in drops.items()}
    return dict(sorted(losses.items(), key=lambda item: (-item[1].mean, item[0])))


def _sample(
    X: "pd.DataFrame",  # noqa: N803 - scikit-learn's name
    y: "NDArray[np.generic]",
    seed: int,
    max_rows: int,
) -> "tuple[pd.DataFrame, NDArray[np.generic]]":
    if len(X) != len(y):
        raise TrainingError(f"{len(X)} rows and {len(y)} labels: pass one label for each row")
    if len(X) <= max_rows:
        return X, y
    places = np.sort(np.random.default_rng(seed).choice(len(X), max_rows, replace=False))
    return X.iloc[places], y[places]


def _shuffles(rows: "pd.DataFrame", name: str, repeats: int, seed: int) -> "list[pd.DataFrame]":
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    orders = [rng.permutation(len(rows)) for _ in range(repeats)]
    return [rows.assign(**{name: rows[name].array[order]}) for order in orders]


def _auc(labels: "NDArray[np.generic]", p: "ArrayLike") -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*checked_scores(labels, p)))
