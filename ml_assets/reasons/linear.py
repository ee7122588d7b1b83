"""Exact contributions of a linear model: coefficient × (value − mean of the background); of running text, by term.

A term is compared with a text that does not have it, for nearly every term is in nearly no text.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ml_assets.reasons.contributions import Contributions, Explainer, Parts, Value
from ml_assets.reasons.text_terms import TextTerms
from ml_assets.storage.manifest import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.reasons.columns import SeenColumn
    from ml_assets.reasons.graph import LinearModel


class Category(NamedTuple):
    """A category of a linear model: text → code, the code of any other text, and how many codes have a column.

    The rows of the codes in the table begin at `begin`; one more follows, of what has no column.
    """

    feature: str
    codes: Mapping[str, int]
    other: int
    levels: int
    begin: int

    def row(self, value: Value) -> int:
        """The row of a value in the table."""
        code = self.codes.get(MISSING if value is None else str(value), self.other)
        return self.begin + (code if 0 <= code < self.levels else self.levels)


class LinearTerms(Explainer):
    """The coefficients of a linear model, by feature.

    Args:
        features: of a row, in its order.
        players: feature → its name in the reasons: itself, or its view.
        numbers: the features that are numbers.
        categories: those that are categories.
        texts: those that are running text.
        arrays: `fill`, `mean`, `scale`, `usual`: of each number, [numbers]; `number`: coefficients, [numbers, outputs];
            `category`: contributions, [codes, outputs]; `term`: coefficients, [terms, outputs]; `base`, [outputs].
    """

    def __init__(
        self,
        features: Sequence[str],
        players: Mapping[str, str],
        numbers: Sequence[str],
        categories: Sequence[Category],
        texts: Sequence[TextTerms],
        arrays: "Mapping[str, NDArray[Any]]",
    ) -> None:
        self.features, self._players = tuple(features), players
        self._numbers, self._categories, self._texts, self._arrays = tuple(numbers), categories, texts, arrays
        self._places = {name: at for at, name in enumerate(self.features)}
        self._number_places = [self._places[name] for name in self._numbers]

    def contributions(self, row: Sequence[Value], seed: str = "") -> Contributions:  # noqa: ARG002 - nothing is sampled
        """See `Explainer`."""
        arrays = self._arrays
        names: list[str] = [*self._numbers, *(each.feature for each in self._categories)]
        values: list[Value] = [row[self._places[name]] for name in names]
        parts = [
            (_scaled(arrays, [row[at] for at in self._number_places]) - arrays["usual"])[:, None] * arrays["number"]
        ]
        parts.append(arrays["category"][[each.row(row[self._places[each.feature]]) for each in self._categories]])
        for text in self._texts:
            weighed = text.weigh(row[self._places[text.feature]])
            names += [text.feature] * len(weighed.terms)
            values += weighed.terms
            parts.append(np.array(weighed.weights)[:, None] * arrays["term"][weighed.places])
        return _grouped(Contributions(names, values, np.concatenate(parts), arrays["base"]), self._players)

    def to_parts(self) -> Parts:
        """What is kept of them: plain values, and arrays."""
        plain = {
            "features": list(self.features), "players": dict(self._players), "numbers": list(self._numbers),
            "categories": [each._asdict() for each in self._categories],
            "texts": [each._asdict() | {"places": list(each.places)} for each in self._texts],
        }  # fmt: skip
        return plain, dict(self._arrays)

    @classmethod
    def from_parts(cls, plain: Mapping[str, Any], arrays: "Mapping[str, NDArray[Any]]") -> Self:
        """The coefficients that `to_parts` gave."""
        texts, begin = [], 0
        for each in plain["texts"]:
            places = {term: begin + at for at, term in enumerate(each["places"])}
            texts.append(TextTerms(**each | {"places": places, "lengths": tuple(each["lengths"])}))
            begin += len(places)
        categories = [Category(**each) for each in plain["categories"]]
        return cls(plain["features"], plain["players"], plain["numbers"], categories, texts, arrays)


def build_linear(
    model: "LinearModel",
    features: Sequence[str],
    background: Sequence[Sequence[Value]],
    players: Mapping[str, str],
) -> LinearTerms:
    """The contributions of a linear model.

    Args:
        model: its columns and coefficients.
        features: of a row, in its order.
        background: rows with whose mean values are compared.
        players: feature → its name in the reasons: itself, or its view.
    """
    places = {name: at for at, name in enumerate(features)}
    numbers = [(at, each) for at, each in enumerate(model.columns) if each.is_number]
    arrays: dict[str, Any] = {
        "fill": np.array([np.nan if each.fill is None else each.fill for _, each in numbers], np.float32),
        "mean": np.array([each.mean for _, each in numbers], np.float32),
        "scale": np.array([each.scale for _, each in numbers], np.float32),
        "number": model.coefficients[[at for at, _ in numbers]],
    }
    rows = [_scaled(arrays, [row[places[each.feature]] for _, each in numbers]) for row in background]
    arrays["usual"] = np.mean(rows, axis=0)
    base = model.base + arrays["usual"] @ arrays["number"]
    categories, table = _categories(model)
    for each in categories:
        usual = np.mean([table[each.row(row[places[each.feature]])] for row in background], axis=0)
        table[each.begin : each.begin + each.levels + 1] -= usual
        base = base + usual
    texts, terms = _texts(model)
    arrays |= {"category": table, "term": terms, "base": base}
    return LinearTerms(features, players, [each.feature for _, each in numbers], categories, texts, arrays)


def _scaled(arrays: "Mapping[str, NDArray[Any]]", values: Sequence[Value]) -> "NDArray[np.float64]":
    """Numbers as the model sees them, in float32 as it computes."""
    x = np.array(values, np.float32)  # None becomes NaN
    x = np.where(np.isnan(x), arrays["fill"], x)
    return np.asarray((x - arrays["mean"]) / arrays["scale"], np.float64)


def _categories(model: "LinearModel") -> "tuple[list[Category], NDArray[np.float64]]":
    columns: dict[str, dict[int, int]] = {}
    first: dict[str, SeenColumn] = {}
    for at, each in enumerate(model.columns):
        if each.level is not None:
            columns.setdefault(each.feature, {})[each.level] = at
            first.setdefault(each.feature, each)
    categories: list[Category] = []
    tables = [np.zeros((0, model.coefficients.shape[1]))]
    for feature, levels in columns.items():
        begin = sum(map(len, tables))
        categories.append(Category(feature, first[feature].codes or {}, first[feature].other, len(levels), begin))
        tables += [model.coefficients[[levels[level] for level in range(len(levels))]], np.zeros((1, len(model.base)))]
    return categories, np.concatenate(tables)


def _texts(model: "LinearModel") -> "tuple[list[TextTerms], NDArray[np.float64]]":
    places: dict[str, list[int]] = {}
    for at, each in enumerate(model.columns):
        if each.term is not None:
            places.setdefault(each.feature, []).append(at)
    texts, begin = [], 0
    for feature, columns in places.items():
        terms = {str(model.columns[at].term): begin + number for number, at in enumerate(columns)}
        lengths = tuple(sorted({term.count(" ") + 1 for term in terms}))
        own = model.columns[columns[0]]
        texts.append(TextTerms(feature, terms, lengths, own.dampened, own.unit))
        begin += len(columns)
    every = [at for columns in places.values() for at in columns]
    return texts, model.coefficients[every]


def _grouped(found: Contributions, players: Mapping[str, str]) -> Contributions:
    """By view, where players are views."""
    if all(players[name] == name for name in set(found.names)):
        return found
    names = list(dict.fromkeys(players[name] for name in found.names))
    places = [names.index(players[name]) for name in found.names]
    parts = np.zeros((len(names), found.parts.shape[1]))
    np.add.at(parts, places, found.parts)
    return Contributions(names, [None] * len(names), parts, found.base)
