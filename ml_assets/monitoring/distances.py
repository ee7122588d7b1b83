"""How far two samples lie apart. Pure functions of two samples, or of rows counted in bins.

PSI compares shares of rows in bins that the reference fixed, K-S compares the samples themselves: neither
can be had from the other's input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# An empty bin counts as this share, as everywhere in the field: PSI would be infinite.
_EMPTY = 1e-4


def bin_edges(reference: Floats, bins: int) -> Floats:
    """The inner edges of `bins` bins with about equal shares of the reference; the outer bins are open.

    A value that fills a whole bin alone (zeros, a constant) gets a bin of its own, so what lies below or
    above it is told apart from it. Then there are more bins; with other ties there are fewer.

    Args:
        reference: shape (n,), finite, n ≥ 1.
        bins: at least 2.

    Returns:
        Increasing edges; bin i holds edges[i - 1] ≤ value < edges[i].
    """
    values, counts = np.unique(reference, return_counts=True)
    heavy = values[counts * bins > len(reference)]
    quantiles = np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1])
    return np.unique(np.concatenate([quantiles, heavy, np.nextafter(heavy, np.inf)]))


def count_bins(values: Floats, edges: Floats) -> Counts:
    """Rows per bin, shape (len(edges) + 1,)."""
    found = np.searchsorted(edges, values, side="right")
    return np.bincount(found, minlength=len(edges) + 1).astype(np.int64)


def count_categories(reference: Sequence[str], current: Sequence[str]) -> tuple[Counts, Counts]:
    """Rows per category of both samples, over the sorted categories of either."""
    names, codes = np.unique(np.asarray([*reference, *current], dtype=object), return_inverse=True)
    split = len(reference)
    before, after = (np.bincount(part, minlength=len(names)) for part in (codes[:split], codes[split:]))
    return before.astype(np.int64), after.astype(np.int64)


def psi(reference: Counts, current: Counts) -> float:
    """The population stability index Σ (c − r) · ln(c / r) over shares r and c of the bins; at least 0.

    Siddiqi, Credit Risk Scorecards (2006), p. 136: below .1 stable, above .25 a shift to act on.
    """
    before, after = (np.maximum(counts / counts.sum(), _EMPTY) for counts in (reference, current))
    return float(np.sum((after - before) * np.log(after / before)))


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """The Jensen–Shannon distance, natural logarithm: 0 for equal shares, √ln 2 = .833 for nothing in common.

    Endres and Schindelin, A new metric for probability distributions (2003).
    """
    from scipy.spatial import distance  # scipy takes a second to import, and definitions load this module

    # scipy rounds equal shares to −1e-17 below the root.
    found = distance.jensenshannon(reference / reference.sum(), current / current.sum())
    return float(found) if found > 0 else 0.0


def kolmogorov_smirnov(reference: Floats, current: Floats) -> tuple[float, float]:
    """The two-sample K-S statistic and the p-value of its limit distribution.

    The statistic is the largest distance between the two distribution functions. With ties or few rows the
    p-value is too large, never too small. (That of `scipy.stats.ks_2samp` breaks down on a handful of rows.)

    Smirnov, Table for estimating the goodness of fit of empirical distributions (1948).
    """
    from scipy import special  # see above

    n, m = len(reference), len(current)
    pooled = np.concatenate([reference, current])
    below = [np.searchsorted(np.sort(sample), pooled, side="right") / len(sample) for sample in (reference, current)]
    statistic = float(np.abs(below[0] - below[1]).max())
    return statistic, float(special.kolmogorov(statistic * np.sqrt(n * m / (n + m))))


def chi_square_p(reference: Counts, current: Counts) -> float | None:
    """The p-value of the two-sample chi-square test of homogeneity; None for one bin or category only.

    Two samples: a test against the reference as if it were the truth would reject too often. Where shares
    differ little, the statistic is n·m / (n + m) times the PSI and 8·n·m / (n + m) times the squared
    Jensen–Shannon distance, so it tells when those two are no more than chance. For independent rows; rough
    where many bins have fewer than five.

    Yurdakul and Naranjo, Statistical properties of the population stability index (2020); Grosse et al.,
    Analysis of symbolic sequences using the Jensen–Shannon divergence (2002).
    """
    from scipy import stats  # see above

    table = np.stack([reference, current])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return None
    return float(stats.chi2_contingency(table, correction=False).pvalue)
