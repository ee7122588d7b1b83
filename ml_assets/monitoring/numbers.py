"""The numbers of the reports and the verdict that an alert may name; light, for they are checked at load."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from ml_assets.decisions.metric import BINARY, METRICS, MULTICLASS, table_metrics
from ml_assets.errors import DeclarationError, list_values

_OF_METRIC = ("evaluated", "measured", "low", "high", "drop", "served", "estimated", "estimated_drop")
_OF_SCORES = ("mean", "p10", "p50", "p90", "acted")
_OF_CHANGE = ("reference", "current", "difference", "difference_low", "difference_high")

DRIFT = (
    "rows_reference", "rows_current", "score_psi", "score_ks_statistic", "attribution_ndcg", "drifted",
    *(f"score_{of}_{name}" for of in ("mean", "share") for name in _OF_CHANGE),
)  # fmt: skip
PREDICTIONS = (
    "rows", "rows_before", "rows_change", "model_version", "threshold", "base_rate", "missing_share", "stale_share",
    *(f"{of}_{name}" for of in ("score", "reference") for name in _OF_SCORES),
)  # fmt: skip
SERVED = (
    "requests", "refused_rate", "error_rate", "latency_p50_ms", "latency_p99_ms", "served", "served_missing_share",
    "served_stale_share",
)  # fmt: skip
VERDICT = (
    "retrain", "suspected", "wait", "detected", "drifted_importance",
    *(f"trigger_{name}" for name in ("rows", "age", "schedule", "floor", "drop", "estimate")),
)  # fmt: skip
OF_CLASSES = ("review_share", "reference_review_share")
OF_TEXT = ("unseen_share", "reference_unseen_share")


def numbers(classes: Collection[str], features: Collection[str] | None, *, text: bool) -> list[str]:
    """The numbers that an alert may name.

    Args:
        classes: of the label, where they are several.
        features: of the model; None where only the rows tell.
        text: whether some of them are running text.
    """
    return [*dict.fromkeys(_numbers(classes, features, text=text))]


def performance(task: str) -> tuple[str, ...]:
    """The numbers of a performance report."""
    metrics = [name for name in table_metrics() if task in METRICS[name].tasks]
    return ("base_rate", "mean_score", "rows", *(f"{metric}_{name}" for metric in metrics for name in _OF_METRIC))


def _numbers(classes: Collection[str], features: Collection[str] | None, *, text: bool) -> Iterator[str]:
    yield from (*DRIFT, *PREDICTIONS, *SERVED, *VERDICT, *(OF_TEXT if text else ()))
    yield from performance(MULTICLASS if classes else BINARY)
    yield from (*OF_CLASSES, *(f"predicted_{name}" for name in classes)) if classes else ()
    yield from (f"psi_{name}" for name in features or ())


def require_number(metric: str, known: Collection[str], *, complete: bool) -> None:
    """Refuse an alert that could never fire.

    Args:
        metric: what the alert names.
        known: of `numbers`.
        complete: whether the model's features are known, and so every `psi_<feature>`.

    Raises:
        DeclarationError: no report has such a number.
    """
    if metric in known or (metric.startswith("psi_") and not complete):
        return
    near = get_close_matches(metric, known, n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"there are {list_values(sorted(known), 8)}"
    raise DeclarationError(f"alerts: no report has a number {metric!r}: {remedy}")
