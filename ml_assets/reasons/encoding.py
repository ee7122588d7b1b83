"""Rows as a tree ensemble tells them apart: each feature's value as the number of a bin."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ml_assets.reasons.contributions import Value
from ml_assets.storage.manifest import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.reasons.graph import TreeModel

Codes = Mapping[str, int]


class Encoding:
    """The bins of a row.

    A number's bin is the count of the thresholds that it exceeds, a category's is its code; one more is for what is
    missing.

    Args:
        features: of a row, in its order.
        thresholds: feature → ascending thresholds, float32; a category lies between halves: 0.5, 1.5, …
        fills: feature → what stands for a missing number.
        categories: feature → text → code, and the code of any other text.
    """

    def __init__(
        self,
        features: Sequence[str],
        thresholds: "Mapping[str, NDArray[np.float32]]",
        fills: Mapping[str, float],
        categories: Mapping[str, tuple[Codes, int]],
    ) -> None:
        self.features, self.thresholds, self.fills, self.categories = tuple(features), thresholds, fills, categories
        numbers = [name for name in thresholds if name not in categories]
        words = [name for name in thresholds if name in categories]
        order = [*numbers, *words]
        places = [self.features.index(name) for name in numbers]
        # One call for all numbers, which gives a single value where there is one place only.
        self._numbers: Callable[[Sequence[Value]], Sequence[Value]] = (
            itemgetter(*places) if len(places) > 1 else lambda row: [row[at] for at in places]
        )
        self._words = [(self.features.index(name), _with_none(*categories[name])) for name in words]
        counts = np.array([len(thresholds[name]) for name in order], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
        self._limits = np.concatenate([thresholds[name] for name in order]).astype(np.float32)
        self._columns = np.repeat(np.arange(len(order)), counts)
        first = np.concatenate([[0], np.cumsum(counts + 2)])
        self._first, self.bins = first[:-1].astype(np.intp), int(first[-1])
        self._missing = (counts + 1).astype(np.intp)
        self._spans = {
            name: (int(first[at]), int(first[at] + counts[at] + 1), int(first[at] + counts[at] + 1))
            for at, name in enumerate(order)
        }
        filled = np.array([fills.get(name, np.nan) for name in order], np.float32)
        self._filled = filled if fills else None

    @classmethod
    def of(cls, model: "TreeModel", features: Sequence[str]) -> Self:
        """The encoding of what a model's trees ask."""
        nodes, columns = model.nodes, model.columns
        asked: dict[str, set[float]] = {}
        categories: dict[str, tuple[Codes, int]] = {}
        for at in np.flatnonzero(nodes.branches).tolist():
            column = columns[nodes.columns[at]]
            limits = asked.setdefault(column.feature, set())
            if column.codes is None:
                limits.add(float(nodes.thresholds[at]))
            else:
                categories[column.feature] = column.codes, column.other
                limits.update(code + 0.5 for code in range(max([*column.codes.values(), column.other])))
        thresholds = {name: np.array(sorted(limits), np.float32) for name, limits in asked.items() if limits}
        fills = {each.feature: each.fill for each in columns if each.fill is not None and each.feature in thresholds}
        return cls(features, thresholds, fills, categories)

    def span(self, feature: str) -> tuple[int, int, int]:
        """The first bin of a feature, the one after its last, and that of missing numbers."""
        return self._spans[feature]

    def place(self, feature: str, threshold: np.float32) -> int:
        """The number of a threshold among those of a feature."""
        return int(np.searchsorted(self.thresholds[feature], threshold))

    def encode(self, row: Sequence[Value]) -> "NDArray[np.intp]":
        """The bin of each feature that is asked."""
        coded = [codes.get(row[at], codes[_OTHER]) for at, codes in self._words]
        x = np.array([*self._numbers(row), *coded], np.float32)  # None becomes NaN
        absent = np.isnan(x)
        if self._filled is not None:
            x = np.where(absent, self._filled, x)
            absent = np.isnan(x)
        over = np.add.reduceat(x.take(self._columns) > self._limits, self._starts, dtype=np.intp)
        over[absent] = self._missing[absent]
        over += self._first
        return over


_OTHER = object()


def _with_none(codes: Codes, other: int) -> dict[Any, int]:
    """The codes with those of a missing text, and of any other one."""
    return {**codes, None: codes.get(MISSING, other), _OTHER: other}
