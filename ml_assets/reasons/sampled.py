"""Shapley values of any model, estimated: features are taken from the row one after the other, in drawn orders.

Each order is walked forwards and backwards (antithetic), from a row of the background of its own, so the estimates add
up to the score exactly, and errors of the order cancel: Mitchell et al., Sampling permutations for Shapley value
estimation (2022). The draws depend on the seed alone.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ml_assets.reasons.contributions import Contributions, Explainer, Method, Parts, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

Predict = Callable[[Sequence[Sequence[Value]]], "NDArray[Any]"]
"""The probabilities of rows, [rows, classes]."""

ORDERS = 50
"""Orders that are walked, half of them backwards."""

_SMALLEST = 1e-7  # a forest says 0 and 1, whose log-odds are no numbers


class SampledOrders(Explainer):
    """Estimates for a model whose answer is no sum that is known.

    Args:
        features: of a row, in its order.
        players: feature → its name in the reasons: itself, or its view.
        background: rows that scores are compared with.
        predict: the model.
    """

    method: Method = "sampled"

    def __init__(
        self,
        features: Sequence[str],
        players: Mapping[str, str],
        background: Sequence[Sequence[Value]],
        predict: Predict,
    ) -> None:
        self.features, self._players, self._predict = tuple(features), players, predict
        self._background = [tuple(row) for row in background]
        self._names = list(dict.fromkeys(players[name] for name in self.features))
        self._places = [
            [at for at, name in enumerate(self.features) if players[name] == player] for player in self._names
        ]

    def contributions(self, row: Sequence[Value], seed: str = "") -> Contributions:
        """See `Explainer`."""
        rng = np.random.default_rng(int.from_bytes(sha256(seed.encode()).digest()[:8], "big"))
        pairs = ORDERS // 2
        drawn = rng.choice(len(self._background), pairs, replace=len(self._background) < pairs)
        orders = [rng.permutation(len(self._names)) for _ in range(pairs)]
        walks = [(self._background[at], order) for at, order in zip(drawn.tolist(), orders, strict=True)]
        walks += [(start, order[::-1]) for start, order in walks]
        mixed = [step for start, order in walks for step in self._walk(start, row, order.tolist())]
        scores = log_odds(self._predict(mixed)).reshape(len(walks), len(self._names) + 1, -1)
        parts = np.zeros((len(self._names), scores.shape[2]))
        for (_, order), score in zip(walks, scores, strict=True):
            parts[order] += np.diff(score, axis=0)
        own = len(self._names) == len(self.features)
        values = [row[places[0]] if own else None for places in self._places]
        return Contributions(self._names, values, parts / len(walks), scores[:, 0].mean(axis=0))

    def _walk(self, start: Sequence[Value], row: Sequence[Value], order: Sequence[int]) -> list[list[Value]]:
        steps = [list(start)]
        for player in order:
            step = steps[-1].copy()
            for at in self._places[player]:
                step[at] = row[at]
            steps.append(step)
        return steps

    def to_parts(self) -> Parts:
        """What is kept: everything but the model."""
        plain = {
            "features": list(self.features), "players": dict(self._players), "background": self._background,
        }  # fmt: skip
        return plain, {}

    @classmethod
    def from_parts(cls, plain: Mapping[str, Any], predict: Predict) -> Self:
        """What `to_parts` gave, for the model that it was of."""
        return cls(plain["features"], plain["players"], plain["background"], predict)


def log_odds(probabilities: "NDArray[Any]") -> "NDArray[np.float64]":
    """Scores in log-odds: of two classes of label 1, [n, 1]; of several their logarithms, [n, classes].

    The contrast of logarithms is a difference of log-odds.
    """
    p = np.log(np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1.0))
    return p[:, 1:] - p[:, :1] if p.shape[1] == 2 else p


def probabilities_of(scores: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The probabilities of scores as of `log_odds`: of two classes of label 1, [n, 1]; of several, [n, classes]."""
    if scores.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-scores)))
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
