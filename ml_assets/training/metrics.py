"""Metrics of scores: ranking, probabilities, costs, slices, curves. `y` is 0/1, `p` P(label = 1), [n]."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.decisions.metric import BINARY, names
from ml_assets.errors import TrainingError
from ml_assets.training.measures import EXACT, TOP, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

BINS = 10


def checked_scores(y: "ArrayLike", p: "ArrayLike", *, both: bool = True) -> "tuple[Floats, Floats]":
    """`y` and `p` as float64, if a metric of them means something; `both` where it needs rows of either label.

    Raises:
        TrainingError: different lengths, no rows, a label that is not 0 or 1, one class only, or a score
            that is no probability.
    """
    labels, scores_ = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores_.shape:
        raise TrainingError(f"{labels.shape} labels and {scores_.shape} scores: pass one score for each label")
    if not np.isin(labels, (0, 1)).all():
        raise TrainingError("a label is neither 0 nor 1: leave rows without a mature label out")
    if not len(labels) or (both and len(np.unique(labels)) < 2):
        what = f"all {len(labels)} rows have label {labels[0]:.0f}" if len(labels) else "there are no rows"
        raise TrainingError(f"{what}, so no metric is defined: widen the window or check the label query")
    wrong = ~((scores_ >= 0) & (scores_ <= 1))
    if wrong.any():
        raise TrainingError(
            f"{int(wrong.sum())} scores are no probabilities, such as {scores_[wrong][0]}: check the model"
        )
    return labels, scores_


def scores(y: "ArrayLike", p: "ArrayLike") -> dict[str, float]:
    """All metrics of one score vector that `decisions.metric` names for a label 0 or 1, and `rows`.

    `roc_auc`, `pr_auc` (average precision) and `log_loss` are scikit-learn's.

    Raises:
        TrainingError: as `checked_scores`.
    """
    labels, p = checked_scores(y, p)
    metric_names = names(lambda metric: metric.source == "scores" and metric.in_evaluation(BINARY))
    return {name: value(name, labels, p) for name in metric_names} | {"rows": float(len(labels))}


def calibration_error(y: "ArrayLike", p: "ArrayLike", bins: int = BINS) -> float:
    """Mean |observed rate - mean score| over bins of equal mass, weighted by their rows.

    Bins of equal mass are less biased than bins of equal width: Roelofs, Cain, Shlens & Mozer (2022),
    Mitigating Bias in Calibration Error Estimation. Equal scores share a bin, so the order of rows does not
    matter.
    """
    curve = calibration(y, p, bins)
    return float(np.average(np.abs(curve.rate - curve.mean), weights=curve.rows))


@dataclass(frozen=True)
class Calibration:
    """Bins of equal mass: mean score, observed rate and number of rows of each."""

    mean: "Floats"
    rate: "Floats"
    rows: "Floats"


def calibration(y: "ArrayLike", p: "ArrayLike", bins: int = BINS) -> Calibration:
    """The bins of a calibration plot; fewer than `bins` where scores repeat."""
    labels, p = checked_scores(y, p, both=False)
    ordered = np.sort(p)
    edges = np.unique(ordered[np.arange(1, bins) * len(p) // bins])
    bin_ = np.searchsorted(edges, p, side="right")
    rows = np.bincount(bin_, minlength=len(edges) + 1).astype(np.float64)
    filled = rows > 0
    means = [np.bincount(bin_, weights=value, minlength=len(rows))[filled] / rows[filled] for value in (p, labels)]
    return Calibration(means[0], means[1], rows[filled])


@dataclass(frozen=True)
class Curves:
    """The curves in a picture of one score vector; all arrays run from the highest score to the lowest.

    `fpr`, `tpr`: the ROC. `share`, `captured`: the share of rows taken from the top, and of the positives
    among them.
    """

    fpr: "Floats"
    tpr: "Floats"
    share: "Floats"
    captured: "Floats"
    calibration: Calibration
    roc_auc: float
    base_rate: float


def curves(y: "ArrayLike", p: "ArrayLike", points: int = 200) -> Curves:
    """The curves of one score vector, thinned to about `points` points.

    Raises:
        TrainingError: as `checked_scores`.
    """
    from sklearn.metrics import roc_auc_score

    labels, p = checked_scores(y, p)
    rows, hits = _taken(labels, p)
    fpr, tpr, share = (rows - hits) / (len(p) - hits[-1]), hits / hits[-1], rows / rows[-1]
    at = np.unique(np.linspace(0, len(rows) - 1, points).astype(int))
    return Curves(
        fpr=fpr[at],
        tpr=tpr[at],
        share=share[at],
        captured=tpr[at],
        calibration=calibration(labels, p),
        roc_auc=float(roc_auc_score(labels, p)),
        base_rate=float(labels.mean()),
    )


def lift(y: "ArrayLike", p: "ArrayLike", top: float = TOP) -> float:
    """How many times more positives the `top` share of scores holds than rows taken at random.

    Equal scores at the border count by their share, so the order of rows does not matter.
    """
    labels, p = checked_scores(y, p)
    rows, hits = _taken(labels, p)
    return float(np.interp(top * rows[-1], rows, hits) / hits[-1] / top)


def _taken(labels: "Floats", p: "Floats") -> "tuple[Floats, Floats]":
    """Cumulative rows and positives from the highest score down, a step per distinct score, from (0, 0)."""
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    hits = np.cumsum(labels[order])[last]
    return np.append(0.0, last + 1.0), np.append(0.0, hits)


def threshold(y: "ArrayLike", p: "ArrayLike", cost_fp: float, cost_fn: float) -> float:
    """The score from which on acting is cheapest on these rows; above every score where not acting at all is.

    Rows with `p >= threshold` are acted on. Among equal costs the highest threshold: the fewest actions. It
    is chosen on the rows that it is given, so the cost there flatters a little.

    Args:
        y: labels 0/1, [n].
        p: P(label = 1), [n].
        cost_fp: of acting on a row with label 0, above 0.
        cost_fn: of not acting on a row with label 1, in the same unit.

    Raises:
        TrainingError: a cost that is not positive, or as `checked_scores`.
    """
    labels, p = checked_scores(y, p)
    if not (cost_fp > 0 and cost_fn > 0):
        raise TrainingError(f"costs of {cost_fp} (false positive) and {cost_fn} (false negative): both must be above 0")
    rows, hits = _taken(labels, p)
    cost = cost_fp * (rows - hits) + cost_fn * (hits[-1] - hits)
    candidates = np.append(np.nextafter(p.max(), np.inf), np.unique(p)[::-1])
    return float(candidates[np.argmin(cost)])


def confusion(y: "ArrayLike", p: "ArrayLike", threshold: float) -> dict[str, int]:
    """Counts `tp`, `fp`, `fn` and `tn` where rows with `p >= threshold` are acted on."""
    labels, p = checked_scores(y, p)
    acted, positive = p >= threshold, labels == 1
    return {
        "tp": int((acted & positive).sum()),
        "fp": int((acted & ~positive).sum()),
        "fn": int((~acted & positive).sum()),
        "tn": int((~acted & ~positive).sum()),
    }


def by_slice(
    y: "ArrayLike", p: "ArrayLike", values: "Sequence[Any] | NDArray[Any]", min_rows: int = 100
) -> dict[str, dict[str, float]]:
    """The metrics of the rows of each value, in the order of the values.

    A slice of one class has no ranking metrics: it keeps `rows`, `base_rate` and `mean_score`. Slices of
    fewer than `min_rows` rows are only counted, together, as `(smaller slices)`. A missing value is the
    slice `(missing)`.

    Args:
        y: labels 0/1, [n].
        p: P(label = 1), [n].
        values: of the slice, [n].
        min_rows: fewer rows are not measured.

    Raises:
        TrainingError: as `checked_scores`, or `values` has another length.
    """
    labels, p = checked_scores(y, p)
    if len(values) != len(p):
        raise TrainingError(f"{len(values)} slice values for {len(p)} rows: pass one for each row")
    return slices(values, lambda rows: _slice(labels[rows], p[rows]), min_rows)


def slices(
    values: "Sequence[Any] | NDArray[Any]",
    measure: "Callable[[NDArray[np.bool_]], dict[str, float]]",
    min_rows: int = 100,
) -> dict[str, dict[str, float]]:
    """The numbers that `measure` gives for each value, told its rows as a mask [n]; small slices are only counted."""
    names = slice_names(values)
    rows = {name: names == name for name in sorted(set(names))}
    small = sum(int(mask.sum()) for mask in rows.values() if mask.sum() < min_rows)
    large = {name: measure(mask) for name, mask in rows.items() if mask.sum() >= min_rows}
    return large | ({"(smaller slices)": {"rows": float(small)}} if small else {})


def _slice(labels: "Floats", p: "Floats") -> dict[str, float]:
    if 0 < labels.mean() < 1:
        return scores(labels, p)
    return {"base_rate": float(labels.mean()), "mean_score": float(p.mean()), "rows": float(len(p))}


def slice_names(values: "Sequence[Any] | NDArray[Any]") -> "NDArray[Any]":
    """The values of a slice as text, [n]; a missing one is `(missing)`."""
    return np.array([_name(value) for value in values], dtype=object)


def _name(value: object) -> str:
    missing = value is None or value != value  # noqa: PLR0124 - NaN of any type is not itself
    return "(missing)" if missing else str(value)


def _scikit_learn(name: str) -> "Callable[[Floats, Floats], float]":
    def exact(labels: "Floats", p: "Floats") -> float:
        from sklearn import metrics  # 2 s

        return float(getattr(metrics, name)(labels, p))

    return exact


EXACT.update(
    roc_auc=_scikit_learn("roc_auc_score"),
    pr_auc=_scikit_learn("average_precision_score"),
    log_loss=_scikit_learn("log_loss"),
    calibration_error=calibration_error,
    lift_at_10=lift,
)
