"""The champion's scores in both samples: did what it says change, and for how many would it act?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.monitoring.drift import distances
from ml_assets.monitoring.drift.distances import Floats
from ml_assets.monitoring.drift.histogram import Histogram, of_numbers
from ml_assets.spec.drift import DriftSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPREAD = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Change:
    """A mean of both samples and its change, with a 95 % interval in which an entity counts once.

    Rows of one entity at several dates say less than as many entities, and an entity in both samples moves both.
    """

    reference: float
    current: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreDrift:
    """Scores of both samples.

    Args:
        rows_reference: how many were scored.
        rows_current: the same of the current sample.
        mean: of the scores.
        share: of the scores from `threshold`; None without one.
        threshold: the score from which on acting was cheapest in the champion's evaluation.
        psi: in bins of the reference.
        chi_square_p: of those bins.
        ks_statistic: of the scores themselves.
        ks_p_value: of that.
        drifted: None where there are too few rows or no limit.
        reason: the number against its limit.
    """

    rows_reference: int
    rows_current: int
    mean: Change
    share: Change | None
    threshold: float | None
    psi: float
    chi_square_p: float | None
    ks_statistic: float
    ks_p_value: float
    drifted: bool | None
    reason: str


@dataclass(frozen=True)
class EntityScores:
    """Scores, shape (n,), n ≥ 1, and the entity of each."""

    scores: Floats
    entities: "NDArray[Any]"


def compare(reference: EntityScores, current: EntityScores, threshold: float | None, spec: DriftSpec) -> ScoreDrift:
    """The scores of two samples against `spec.scores`.

    Args:
        reference: scores of the one sample.
        current: scores of the other.
        threshold: from which on the champion acts; None = it is not known.
        spec: bins and limits.
    """
    before, after = np.sort(reference.scores), np.sort(current.scores)
    edges = distances.bin_edges(before, spec.bins)
    counts = distances.count_bins(before, edges), distances.count_bins(after, edges)
    psi, p_value = distances.psi(*counts), distances.chi_square_p(*counts)
    drifted, reason = _verdict(psi, p_value, min(len(before), len(after)), spec)
    return ScoreDrift(
        len(before),
        len(after),
        change(reference, current),
        None if threshold is None else change(_from(reference, threshold), _from(current, threshold)),
        threshold,
        psi,
        p_value,
        *distances.kolmogorov_smirnov(before, after),
        drifted,
        reason,
    )


def score_histogram(reference: EntityScores, current: EntityScores) -> Histogram:
    """Both samples in the same bins."""
    return of_numbers(np.sort(reference.scores), np.sort(current.scores))


def change(reference: EntityScores, current: EntityScores) -> Change:
    """The change of the mean.

    The variance is that of the sums of influence by entity: Liang and Zeger, Longitudinal data analysis using
    generalized linear models (1986).
    """
    before, after = float(reference.scores.mean()), float(current.scores.mean())
    influence = np.concatenate([
        (before - reference.scores) / len(reference.scores), (current.scores - after) / len(current.scores)
    ])  # fmt: skip
    _, codes = np.unique(np.concatenate([reference.entities, current.entities]), return_inverse=True)
    error = float(np.sqrt((np.bincount(codes, influence) ** 2).sum()))
    moved = after - before
    return Change(before, after, moved, moved - _SPREAD * error, moved + _SPREAD * error)


def _from(scored: EntityScores, threshold: float) -> EntityScores:
    return EntityScores((scored.scores >= threshold).astype(np.float64), scored.entities)


def _verdict(psi: float, p_value: float | None, rows: int, spec: DriftSpec) -> tuple[bool | None, str]:
    if rows < spec.min_rows:
        return None, f"too few scores to tell: {rows:,}, min_rows is {spec.min_rows:,}"
    if spec.scores is None:
        return None, f"psi {psi:.3g}, no limit is set"
    above, chance = psi >= spec.scores, p_value is None or p_value > spec.false_alarms
    small = ", as small samples of one population do" if above and chance else ""
    return above and not chance, f"psi {psi:.3g} {'≥' if above else '<'} {spec.scores:g}{small}"
