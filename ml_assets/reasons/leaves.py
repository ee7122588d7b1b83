"""The leaves of a tree ensemble: which players each asks, which values of a row do not fit its path.

A value is known by its bin only: a number by how many of the artifact's thresholds it exceeds, a category by its code,
a missing number has a bin of its own. A leaf's pattern for a row has a bit for each player whose values keep the row
from it; so a row is a few comparisons, and the OR of one line of a table for each feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.reasons.encoding import Encoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.reasons.graph import TreeModel

PLAYERS = 16
"""A leaf may ask so many players: its table has 2 to that power columns."""


@dataclass(frozen=True)
class Leaves:
    """The leaves of an ensemble.

    Args:
        encoding: of rows.
        violations: [bins, leaves]: the bits of the players that a bin keeps from a leaf.
        players: the numbers of the players of each leaf, in the order of its bits.
        weights: of each leaf.
        outputs: of each leaf, the output that it adds to.
    """

    encoding: Encoding
    violations: "NDArray[np.uint16]"
    players: Sequence[tuple[int, ...]]
    weights: "NDArray[np.float64]"
    outputs: "NDArray[np.int64]"

    def patterns(self, bins: "NDArray[np.int64]") -> "NDArray[np.uint16]":
        """The pattern of each leaf for rows of these bins, [rows, leaves]."""
        found = np.zeros((len(bins), self.violations.shape[1]), np.uint16)
        for column in bins.T:
            found |= self.violations[column]
        return found


def read_leaves(model: "TreeModel", encoding: Encoding, players: Mapping[str, int]) -> Leaves | None:
    """The leaves of a model; None where one asks more than `PLAYERS`.

    Args:
        model: the trees of an artifact.
        encoding: of its rows.
        players: feature → the number of its player.
    """
    nodes = model.nodes
    parent, side = _parents(model)
    bins = _Bins(model, encoding)
    violations = np.zeros((len(nodes.weights), encoding.bins), np.uint16)
    asked: list[tuple[int, ...]] = []
    for leaf, end in enumerate(nodes.leaves.tolist()):
        bits: dict[int, int] = {}
        node = end
        while (above := parent[node]) >= 0:
            player = players[bins.feature(above)]
            bit = bits.setdefault(player, len(bits))
            if bit >= PLAYERS:
                return None
            for piece in bins.exclude(above, went_true=side[node]):
                violations[leaf, piece] |= 1 << bit
            node = above
        asked.append(tuple(bits))
    return Leaves(encoding, np.ascontiguousarray(violations.T), asked, nodes.weights, nodes.outputs)


def _parents(model: "TreeModel") -> tuple[list[int], list[bool]]:
    """Of each node the one above it (-1: none), and whether it is where a condition holds."""
    nodes, count = model.nodes, len(model.nodes.columns)
    parent, side = [-1] * count, [False] * count
    for node in np.flatnonzero(nodes.branches).tolist():
        for child, holds in ((int(nodes.when_true[node]), True), (int(nodes.when_false[node]), False)):
            parent[child], side[child] = node, holds
    return parent, side


class _Bins:
    """The bins that the conditions of nodes exclude."""

    def __init__(self, model: "TreeModel", encoding: Encoding) -> None:
        self._nodes, self._columns, self._encoding = model.nodes, model.columns, encoding

    def feature(self, node: int) -> str:
        return self._columns[int(self._nodes.columns[node])].feature

    def exclude(self, node: int, *, went_true: bool) -> list[slice]:
        """The bins of a node's feature with which a row does not go this way."""
        column, limit = self._columns[int(self._nodes.columns[node])], self._nodes.thresholds[node]
        first, last, missing = self._encoding.span(column.feature)
        if column.level is not None:  # 1 of this category, 0 of any other
            own = slice(first + column.level, first + column.level + 1)
            others = [slice(first, own.start), slice(own.stop, last)]
            zero, one = (bool(value <= limit) == went_true for value in (0.0, 1.0))
            return [*([] if one else [own]), *([] if zero else others)]
        split = first + self._encoding.place(column.feature, limit) + 1
        excluded = [slice(split, last) if went_true else slice(first, split)]
        if bool(self._nodes.missing_true[node]) != went_true:
            excluded.append(slice(missing, missing + 1))
        return excluded
