"""The evaluation of a candidate whose label is 0 or 1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.training.bootstrap import compare
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.explain import Importance
from ml_assets.training.metrics import by_slice, checked_scores, confusion, scores, threshold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """The costs of wrong decisions, in any one unit."""

    false_positive: float = 1.0
    false_negative: float = 1.0


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
        TrainingError: as `metrics.checked_scores` and `bootstrap.compare`.
    """
    labels, p = checked_scores(y, p)
    cut = threshold(labels, p, costs.false_positive, costs.false_negative)
    counts = confusion(labels, p, cut)
    total_cost = costs.false_positive * counts["fp"] + costs.false_negative * counts["fn"]
    return Evaluation(
        rows=len(labels),
        entities=len(np.unique(np.asarray(groups))),
        metrics=scores(labels, p),
        threshold=cut,
        cost=total_cost / len(labels),
        confusion=counts,
        slices={name: by_slice(labels, p, values, min_rows) for name, values in slices.items()},
        others={name: scores(labels, theirs) for name, theirs in other.items()},
        intervals={
            name: compare(labels, p, theirs, groups, resamples=resamples, seed=seed) for name, theirs in other.items()
        },
        importance=dict(importance or {}),
    )
