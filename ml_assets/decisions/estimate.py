"""Expected metrics of a model before labels are known.

Confidence-based performance estimation (CBPE): where scores are calibrated, the score of a row is the probability of
its label, so labels can be drawn and every metric of them has a distribution. Białek et al. (2024), Estimating Model
Performance Under Covariate Shift Without Labels, https://arxiv.org/abs/2401.08348. It stands and falls with
calibration: a change of the law between features and label (concept drift) is invisible to it, and its intervals know
chance in the labels only. Those of a model that was fitted on 5,000 rows miss one time in six, not in twenty; and every
other time where it lacks a term and the rows shift (`python -m benchmarks estimate`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr
from scipy.stats import rankdata

from ml_assets.decisions.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NAMES = ("roc_auc", "brier", "log_loss", "base_rate", "accuracy")
_CLIP = 1e-15  # a score of exactly 0 or 1 would make one wrong label infinitely surprising


def estimate_metrics(
    scores: "Floats", *, seed: int, draws: int = 400, level: float = 0.95, threshold: float | None = None
) -> Mapping[str, Interval]:
    """`roc_auc`, `brier`, `log_loss` and `base_rate` of rows whose labels are not known yet; `accuracy` at a threshold.

    Args:
        scores: calibrated P(label = 1), shape [n], each from 0 to 1.
        seed: of the drawn labels.
        draws: how many label vectors are drawn; memory does not grow with it.
        level: of the intervals, which say what chance in the labels may do and nothing about calibration.
        threshold: rows from this score on are acted on; None = no accuracy.

    Raises:
        ValueError: scores that are not probabilities, or rows that can hardly have both labels.

    >>> expected = estimate_metrics(np.linspace(0.05, 0.95, 200), seed=0)
    >>> round(expected["base_rate"].estimate, 3), round(expected["brier"].estimate, 3)
    (0.5, 0.182)
    """
    p = _probabilities(scores)
    acted = None if threshold is None else np.asarray(scores) >= threshold  # as they came: not clipped
    rng, ranks = np.random.default_rng(seed), rankdata(p)
    draws_of_metrics = np.array([_drawn(rng.random(len(p)) < p, p, ranks, acted) for _ in range(draws)])
    if np.isnan(draws_of_metrics[:, 0]).mean() > 1 - level:
        raise ValueError(f"{len(p)} scores with mean {p.mean():.2g} hardly give both labels: wait for more rows")
    low, high = np.nanquantile(draws_of_metrics, [(1 - level) / 2, (1 + level) / 2], axis=0)
    means = [np.nanmean(draws_of_metrics[:, 0]), *_exact(p, acted)]
    return {
        name: Interval(float(mean), float(one), float(two))
        for name, mean, one, two in zip(_NAMES, means, low, high, strict=False)
    }


def _probabilities(scores: "Floats") -> "Floats":
    p = np.asarray(scores, dtype=np.float64)
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"scores of shape {p.shape} are not probabilities: pass a vector of numbers from 0 to 1")
    return np.clip(p, _CLIP, 1 - _CLIP)


def _exact(p: "Floats", acted: "NDArray[np.bool_] | None") -> list[float]:
    """Brier score, log loss, base rate and accuracy are means over rows: their expectations need no draws."""
    row_values = [p * (1 - p), entr(p) + entr(1 - p), p, *([] if acted is None else [np.where(acted, p, 1 - p)])]
    return [float(np.mean(each)) for each in row_values]


def _drawn(
    labels: "NDArray[np.bool_]", p: "Floats", ranks: "Floats", acted: "NDArray[np.bool_] | None"
) -> tuple[float, ...]:
    return (*_metrics(labels, p, ranks), *([] if acted is None else [float(np.mean(labels == acted))]))


def _metrics(labels: "NDArray[np.bool_]", p: "Floats", ranks: "Floats") -> tuple[float, float, float, float]:
    """ROC AUC by rank sum (Mann & Whitney 1947; NaN for one class), Brier score, log loss, base rate."""
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    area = (ranks[labels].sum() - positives * (positives + 1) / 2) / pairs if pairs else np.nan
    loss = -np.log(np.where(labels, p, 1 - p)).mean()
    return float(area), float(np.mean((labels - p) ** 2)), float(loss), positives / len(labels)
