"""A feature of both samples in the same bins: what a person looks at. The bins of the PSI are all equally high."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.monitoring.drift import distances

if TYPE_CHECKING:
    import pyarrow as pa

_BINS = 24
_WORDS = 10
_TAIL = 0.01  # of the rows of a sample may lie beyond either end, in the outer bins


@dataclass(frozen=True)
class Histogram:
    """Shares of rows.

    Args:
        labels: the categories; None for numbers.
        low: where the second bin begins (the first one is open); None for categories.
        high: where the last but one ends.
        reference: share of the reference in each bin or category.
        current: the same of the current sample.
    """

    labels: tuple[str, ...] | None
    low: float | None
    high: float | None
    reference: tuple[float, ...]
    current: tuple[float, ...]


def of_numbers(reference: distances.Floats, current: distances.Floats) -> Histogram:
    """Equal bins between the quantiles 1 % and 99 % of either sample, and two open ones."""
    low = min(float(values[int(_TAIL * (len(values) - 1))]) for values in (reference, current))
    high = max(float(values[int((1 - _TAIL) * (len(values) - 1))]) for values in (reference, current))
    # Halves: the span of two floats may be no float.
    inner = np.unique((np.linspace(low / 2, high / 2, _BINS + 1)) * 2) if high > low else np.array([low])
    edges = np.append(inner[:-1], np.nextafter(inner[-1], np.inf))
    before, after = (_shares(distances.count_bins(values, edges)) for values in (reference, current))
    return Histogram(None, low, high, before, after)


def of_words(words: "pa.StringArray", reference: distances.Counts, current: distances.Counts) -> Histogram:
    """The categories with the largest shares, and all others as one."""
    before, after = reference / reference.sum(), current / current.sum()
    order = np.argsort(-(before + after), kind="stable")
    if len(order) <= _WORDS:
        return Histogram(tuple(words.take(order).to_pylist()), None, None, *_both(before[order], after[order]))
    frequent, rest = order[: _WORDS - 1], order[_WORDS - 1 :]
    labels = (*words.take(frequent).to_pylist(), f"{len(rest):,} others")
    shares = [np.append(values[frequent], values[rest].sum()) for values in (before, after)]
    return Histogram(labels, None, None, *_both(*shares))


def _both(before: distances.Floats, after: distances.Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(map(float, before)), tuple(map(float, after))


def _shares(counts: distances.Counts) -> tuple[float, ...]:
    return tuple(map(float, counts / counts.sum()))
