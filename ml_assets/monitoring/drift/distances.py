"""How far two samples lie apart. Pure functions of two sorted samples, or of rows counted in bins.

PSI compares shares of rows in bins that the reference fixed, K-S compares the samples themselves: neither
can be had from the other's input. Both need little more than the sorted values, so each column is sorted once.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# An empty bin counts as this share, as everywhere in the field: PSI would be infinite.
_EMPTY = 1e-4
_BLOCK = 8192
_LARGE = 1e100  # the square of what is larger may be no number
_ROUNDING = 1e-12  # of a constant, the standard deviation need not be 0
_FEW = 5  # Cochran's rule: chi-square needs so many rows expected in a cell


def bin_edges(reference: Floats, bins: int) -> Floats:
    """The inner edges of `bins` bins with about equal shares of the reference; the outer bins are open.

    A value that fills a whole bin alone (zeros, a constant) gets a bin of its own, so what lies below or
    above it is told apart from it. Then there are more bins; with other ties there are fewer.

    Args:
        reference: shape (n,), finite, ascending, n ≥ 1.
        bins: at least 2.

    Returns:
        Increasing edges; bin i holds edges[i - 1] ≤ value < edges[i].
    """
    # A value with more than n / bins rows stands at one of these places at least.
    candidates = np.unique(reference[:: max(len(reference) // bins, 1)])
    first, last = (np.searchsorted(reference, candidates, side=side) for side in ("left", "right"))
    heavy = candidates[(last - first) * bins > len(reference)]
    return np.unique(np.concatenate([quantiles(reference, bins), heavy, np.nextafter(heavy, np.inf)]))


def quantiles(values: Floats, parts: int) -> Floats:
    """The inner quantiles that cut ascending values into equal parts, shape (parts - 1,), as `numpy.quantile` has them.

    Which sorts once more.
    """
    places = np.linspace(0, 1, parts + 1)[1:-1] * (len(values) - 1)
    below = np.floor(places).astype(np.int64)
    low, high = values[below], values[np.minimum(below + 1, len(values) - 1)]
    part = places - below
    return np.asarray(low * (1 - part) + high * part)


def count_bins(values: Floats, edges: Floats) -> Counts:
    """Rows per bin of ascending values, shape (len(edges) + 1,)."""
    positions = np.searchsorted(values, edges, side="left")
    return np.diff(positions, prepend=0, append=len(values)).astype(np.int64)


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
    before, after = reference / reference.sum(), current / current.sum()
    middle = (before + after) / 2
    halves = [share[share > 0] @ np.log(share[share > 0] / middle[share > 0]) for share in (before, after)]
    # Equal shares may come out a rounding error below 0.
    return float(np.sqrt(max(sum(halves) / 2, 0.0)))


def kolmogorov_smirnov(reference: Floats, current: Floats) -> tuple[float, float]:
    """The two-sample K-S statistic, exactly, and its p-value; both samples ascending.

    The statistic is the largest distance between the two distribution functions. With ties the p-value is too large.

    Smirnov, Table for estimating the goodness of fit of empirical distributions (1948).
    """
    n, m = len(reference), len(current)
    steps = range(0, n, _BLOCK)
    statistic = max(_largest_gap(reference[start : start + _BLOCK], start, n, current) for start in steps)
    return statistic, _ks_p_value(statistic, n, m)


def _largest_gap(block: Floats, start: int, n: int, current: Floats) -> float:
    """The largest distance at and right below the values of a block of the reference, which begins at row `start`.

    The reference leads most where it has just jumped, the current sample most where the reference is about to: at
    equal values it is enough to know the first and the last, and those give the largest distances by themselves.
    """
    first, last = np.searchsorted(current, block[0], "left"), np.searchsorted(current, block[-1], "right")
    near = current[first:last]  # a block and what it is compared with stay in the processor's cache
    up_to = np.searchsorted(near, block, side="right") + first
    gap = up_to / len(current) - np.arange(start, start + len(block)) / n
    ahead = 1 / n - float(gap.min())
    equal = current[up_to - 1] == block  # of none up to a value, the last one, which is larger
    if equal.any():
        below = np.searchsorted(near, block[equal], side="left") + first
        gap[equal] -= (up_to[equal] - below) / len(current)
    return max(ahead, float(gap.max()))


def _ks_p_value(statistic: float, n: int, m: int) -> float:
    """Of up to 10,000 rows by the limit law; of more, that of `scipy.stats.ks_2samp`, and so Evidently.

    Scipy enumerates paths up to 10,000 rows, for seconds; the limit law is never too small. Above, scipy takes the
    one-sample law of n·m / (n + m) rows. Where those are many, the limit law with Vrbik's correction is the same (to
    1e-5 of p-values above .02, to 1e-3 far in the tail) and does not sum as many terms as there are rows:
    Vrbik, Small-sample corrections to Kolmogorov–Smirnov test statistic (2018).
    """
    from scipy import special  # definitions load this module: scipy takes a moment to import

    rows = n * m / (n + m)
    root = np.sqrt(rows)
    if max(n, m) <= 10_000:
        return float(special.kolmogorov(statistic * root))
    if rows <= 10_000:
        from scipy.stats import kstwo  # see above

        return float(kstwo.sf(statistic, round(rows)))
    return float(special.kolmogorov(statistic * root + 1 / (6 * root) + (statistic * root - 1) / (4 * rows)))


def chi_square_p(reference: Counts, current: Counts) -> float | None:
    """The p-value of the two-sample chi-square test of homogeneity; None for one bin or category only.

    Two samples: a test against the reference as if it were the truth would reject too often. Where shares
    differ little, the statistic is n·m / (n + m) times the PSI and 8·n·m / (n + m) times the squared
    Jensen–Shannon distance, so it tells when those two are no more than chance. For independent rows; rough
    where many bins have fewer than five (`pool_rare`).

    Yurdakul and Naranjo, Statistical properties of the population stability index (2020); Grosse et al.,
    Analysis of symbolic sequences using the Jensen–Shannon divergence (2002).
    """
    from scipy import special  # see above

    table = np.stack([reference, current]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return None
    expected = _expected(table)
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(special.chdtrc(table.shape[1] - 1, statistic))


def pool_rare(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Pool the categories in which fewer than five rows are expected in either sample.

    For categories only: bins that the reference fixed have high totals where the current sample has many rows, so
    that to choose among them by their totals would be to choose the surprising ones.

    Cochran, Some methods for strengthening the common χ² tests (1954).
    """
    table = np.stack([reference, current])
    few = _expected(table.astype(np.float64)).min(axis=0) < _FEW
    before, after = np.column_stack([table[:, ~few], table[:, few].sum(axis=1)])
    return before, after


def _expected(table: Floats) -> Floats:
    return np.asarray(table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum())


def mean_shift(reference: Floats, current: Floats) -> float | None:
    """How far the mean moved, in standard deviations of the reference; None where it is constant."""
    largest = max(abs(float(values[end])) for values in (reference, current) for end in (0, -1))
    scale = largest if largest > _LARGE else 1.0
    before, after = (values / scale if scale > 1 else values for values in (reference, current))
    spread = float(before.std())
    return float(after.mean() - before.mean()) / spread if spread > _ROUNDING * largest / scale else None


def holm(p_values: Collection[float], level: float) -> float:
    """The p-value up to which tests reject, so that all of them together reject a true hypothesis at rate ≤ `level`.

    However the tests depend on each other. Holm, A simple sequentially rejective multiple test procedure (1979):
    the smallest p-value is held against level / m, the next against level / (m - 1), until one is too large.
    """
    ordered = np.sort(np.asarray([*p_values], dtype=np.float64))
    steps = level / np.arange(len(ordered), 0, -1)
    accepted = np.flatnonzero(ordered > steps)
    return float(steps[accepted[0]]) if len(accepted) else level
