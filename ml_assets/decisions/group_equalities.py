"""What an equality of groups costs: where base rates differ, not all of them can hold at once.

Scores that mean the same in each group select more of the group in which the label is more frequent (Chouldechova,
"Fair prediction with disparate impact", Big Data 2017; Kleinberg et al., "Inherent trade-offs in the fair determination
of risk scores", ITCS 2017). So an owner says which equality is meant, and sees what it would take: a threshold of its
own for the group, and the differences that then remain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.fairness import CALIBRATION, OF_SCORES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Equality:
    """One equality of a group with all others, and what it leaves.

    Args:
        attribute: of the group.
        group: its value.
        metric: which is equal; `calibration` is what one threshold for everybody leaves.
        threshold: the score from which on the group is selected; the others keep theirs.
        differences: metric → the group's rate minus that of the others.
    """

    attribute: str
    group: str
    metric: str
    threshold: float
    differences: Mapping[str, float]


def equalities(
    attribute: str, group: str, inside: NDArray[np.bool_], y: Floats, p: Floats, threshold: float
) -> Iterator[Equality]:
    """Each equality of a group with label 0 or 1, by a threshold of its own.

    Args:
        attribute: of the group.
        group: its value.
        inside: whether a row is of it, [rows].
        y: labels 0/1, [rows].
        p: scores, [rows].
        threshold: the score from which on a row is selected.

    >>> inside, y = np.repeat([True, False], 4), np.array([0, 1, 1, 1, 0, 0, 0, 1.0])
    >>> same, *_ = equalities("plan", "basic", inside, y, np.array([0.3, 0.6, 0.7, 0.9, 0.1, 0.2, 0.3, 0.6]), 0.5)
    >>> same.metric, same.differences["selection_rate"]
    ('calibration', 0.5)
    """
    for metric in (CALIBRATION, *OF_SCORES[:-1]):
        own = threshold if metric == CALIBRATION else _equal_threshold(metric, inside, y, p, threshold)
        if own is not None:
            selected = p >= np.where(inside, own, threshold)
            differences = {
                each: float(selected[inside & rows].mean() - selected[~inside & rows].mean())
                for each, rows in _rows(y).items()
                if (inside & rows).any() and (~inside & rows).any()
            }
            yield Equality(attribute, group, metric, own, differences)


def _rows(y: Floats) -> dict[str, NDArray[np.bool_]]:
    """The rows of which a metric is the share that is selected."""
    return dict(zip(OF_SCORES[:-1], (np.ones(len(y), bool), y == 1, y == 0), strict=True))


def _equal_threshold(metric: str, inside: NDArray[np.bool_], y: Floats, p: Floats, threshold: float) -> float | None:
    """The score from which on the group has the rate of the others; None where one of them has no such row."""
    rows = _rows(y)[metric]
    mine, others = np.sort(p[inside & rows])[::-1], p[~inside & rows]
    if not len(mine) or not len(others):
        return None
    wanted = round(float((others >= threshold).mean()) * len(mine))
    return float(mine[wanted - 1]) if wanted else float(np.nextafter(mine[0], np.inf))
