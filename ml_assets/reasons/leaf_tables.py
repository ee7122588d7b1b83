"""Exact interventional Shapley values of a tree ensemble, from one table a leaf.

A leaf of weight w asks k players whether their values fit its path. Of a row, let `v` be the players that do not fit,
of a row b of the background `u`. A player in both keeps every mixture of the two rows from the leaf. Else a mixture
reaches it that takes the players `u` from the row and `v` from the background, and with a = |u| and c = |v|

    φⱼ = w (a − 1)! c! / (a + c)!  for j in u,        φⱼ = −w a! (c − 1)! / (a + c)!  for j in v.

(interventional TreeSHAP: Lundberg et al., From local explanations to global understanding with explainable AI for
trees, 2020.) Averaged over the background that is a table from `v`, of which there are 2ᵏ, to the k values: a row costs
a look into the table of each leaf, however large the background is.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import factorial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ml_assets.reasons.contributions import Contributions, Explainer, Parts, Value
from ml_assets.reasons.encoding import Encoding
from ml_assets.reasons.leaves import Leaves, read_leaves

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ml_assets.reasons.graph import TreeModel

LARGEST = 32 << 20
"""Bytes that the tables of a model may take; larger ensembles are explained by sampling."""

_AT_ONCE = 1 << 22  # numbers of an intermediate table


class LeafTables(Explainer):
    """The tables of an ensemble.

    Args:
        encoding: of rows.
        players: their names, each a feature or a view.
        violations: [bins, leaves], as of `Leaves`.
        values: of all tables.
        pairs: of each leaf and player: the leaf, where its values begin, and its part, by which they are sorted.
        base: the mean score of the background, [outputs].
    """

    def __init__(
        self,
        encoding: Encoding,
        players: Sequence[str],
        violations: "NDArray[np.uint16]",
        values: "NDArray[Any]",
        pairs: "NDArray[np.int64]",
        base: "NDArray[np.float64]",
    ) -> None:
        self.features, self._players, self._base = encoding.features, tuple(players), base
        self._encoding, self._violations, self._values = encoding, violations, values
        self._leaf, self._begin, self._part = (np.ascontiguousarray(each) for each in pairs)
        # Of pairs that stand part by part, a sum is one call that is three times faster than to count by part.
        self._parts, self._starts = np.unique(self._part, return_index=True)
        self._shape = len(self._players), len(base)
        self._features_alone = self._players == self.features
        own = {name: at for at, name in enumerate(self.features)}
        self._shown = [own.get(name) for name in self._players]

    @property
    def bytes(self) -> int:
        """The memory of the tables."""
        return self._values.nbytes + self._violations.nbytes

    def contributions(self, row: Sequence[Value], seed: str = "") -> Contributions:  # noqa: ARG002 - nothing is sampled
        """See `Explainer`."""
        bins = self._encoding.encode(row)
        pattern = np.bitwise_or.reduce(self._violations[bins], axis=0)
        values = self._values.take(self._begin + pattern.take(self._leaf))
        parts = np.zeros(self._shape)
        if len(values):
            parts.reshape(-1)[self._parts] = np.add.reduceat(values, self._starts, dtype=np.float64)
        shown = row if self._features_alone else [None if at is None else row[at] for at in self._shown]
        return Contributions(self._players, shown, parts, self._base)

    def to_parts(self) -> Parts:
        """What is kept of them: plain values, and arrays."""
        encoding = self._encoding
        plain = {
            "features": list(encoding.features), "players": list(self._players), "fills": dict(encoding.fills),
            "categories": {name: [dict(codes), other] for name, (codes, other) in encoding.categories.items()},
            "thresholds": {name: len(limits) for name, limits in encoding.thresholds.items()},
        }  # fmt: skip
        return plain, {
            "limits": np.concatenate([*encoding.thresholds.values()]), "violations": self._violations,
            "values": self._values, "pairs": np.stack([self._leaf, self._begin, self._part]), "base": self._base,
        }  # fmt: skip

    @classmethod
    def from_parts(cls, plain: Mapping[str, Any], arrays: "Mapping[str, NDArray[Any]]") -> Self:
        """The tables that `to_parts` gave."""
        cuts = np.cumsum([*plain["thresholds"].values()])[:-1]
        thresholds = dict(zip(plain["thresholds"], np.split(arrays["limits"], cuts), strict=True))
        categories = {name: (codes, other) for name, (codes, other) in plain["categories"].items()}
        encoding = Encoding(plain["features"], thresholds, plain["fills"], categories)
        return cls(encoding, plain["players"], arrays["violations"], arrays["values"], arrays["pairs"], arrays["base"])


def build_tables(
    model: "TreeModel",
    features: Sequence[str],
    background: Sequence[Sequence[Value]],
    players: Mapping[str, str],
    *,
    dtype: "DTypeLike" = np.float32,
    largest: int = LARGEST,
) -> LeafTables | None:
    """The tables of an ensemble; None where they would be too large.

    Args:
        model: its trees.
        features: of a row, in its order.
        background: rows that scores are compared with.
        players: feature → player: itself, or its view.
        dtype: of the values.
        largest: bytes of the tables.
    """
    encoding = Encoding.of(model, features)
    names = list(dict.fromkeys(players[name] for name in features))
    numbers = {feature: names.index(player) for feature, player in players.items()}
    leaves = read_leaves(model, encoding, numbers)
    if leaves is None or _bytes(leaves, np.dtype(dtype).itemsize) > largest:
        return None
    patterns = leaves.patterns(np.array([encoding.encode(row) for row in background]))
    base, pieces, pairs, begin = model.base.copy(), [], [], 0
    outputs = len(base)
    for players_asked, group in _by_size(leaves):
        shares = _shares(patterns[:, group], players_asked)
        np.add.at(base, leaves.outputs[group], leaves.weights[group] * shares[:, 0])
        tables = _tables(players_asked, shares) * leaves.weights[group][:, None, None]
        pieces.append(tables.astype(dtype).ravel())
        for leaf in group.tolist():
            for player in leaves.players[leaf]:
                pairs.append((leaf, begin, player * outputs + leaves.outputs[leaf]))
                begin += 1 << players_asked
    values = np.concatenate(pieces) if pieces else np.zeros(0, dtype)
    by_part = sorted(pairs, key=itemgetter(2))
    return LeafTables(encoding, names, leaves.violations, values, np.array(by_part, np.int64).reshape(-1, 3).T, base)


def _bytes(leaves: Leaves, each: int) -> int:
    return leaves.violations.nbytes + each * sum(len(players) << len(players) for players in leaves.players)


def _by_size(leaves: Leaves) -> "Iterator[tuple[int, NDArray[np.int64]]]":
    """Leaves that ask so many players, not too many of them at once."""
    sizes = np.array([len(players) for players in leaves.players])
    for size in np.unique(sizes).tolist():
        group, most = np.flatnonzero(sizes == size), max(1, _AT_ONCE // ((size + 1) << size))
        for start in range(0, len(group), most):
            yield size, group[start : start + most]


def _shares(patterns: "NDArray[np.uint16]", players: int) -> "NDArray[np.float64]":
    """The share of the background that has each pattern, [leaves, patterns]."""
    rows, leaves = patterns.shape
    places = patterns.astype(np.int64) + (np.arange(leaves) << players)
    return np.asarray(np.bincount(places.ravel(), minlength=leaves << players).reshape(leaves, -1) / rows)


def _tables(players: int, shares: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Tables of leaves of weight 1, [leaves, players, patterns]; of shares of the background, [leaves, patterns]."""
    every = np.arange(1 << players)
    size = np.array([pattern.bit_count() for pattern in every.tolist()])
    subsets = np.where(size[None, None] == np.arange(players + 1)[:, None, None], shares, 0.0)
    for bit in range(players):  # of each size, the share of the background within a pattern
        halves = subsets.reshape(players + 1, len(shares), -1, 2, 1 << bit)
        halves[..., 1, :] += halves[..., 0, :]
    rest = every[-1] - every
    within = subsets[:, :, rest]
    loss, gain = _weights(players, size)
    lost = np.einsum("alv,av->lv", within, loss)
    tables = np.empty((len(shares), players, len(every)))
    for player in range(players):
        own = 1 << player
        gained = np.einsum("alv,av->lv", within - subsets[:, :, rest & ~own], gain)
        tables[:, player] = np.where(every & own, -lost, gained)
    return tables


def _weights(players: int, size: "NDArray[np.int64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """By a and pattern, whose size is c: a! (c − 1)! / (a + c)! and (a − 1)! c! / (a + c)!."""
    loss, gain = np.zeros((2, players + 1, players + 1))
    for a in range(players + 1):
        for c in range(players + 1 - a):
            loss[a, c] = factorial(a) * factorial(c - 1) / factorial(a + c) if c else 0.0
            gain[a, c] = factorial(a - 1) * factorial(c) / factorial(a + c) if a else 0.0
    return loss[:, size], gain[:, size]
