"""How much each feature of a row moved a model's answer, and the reasons that follow from it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Value = float | bool | str | None
Method = Literal["exact", "sampled", "terms"]
"""How contributions were found; `terms`: of the terms only that a manifest of an earlier release names."""
Parts = tuple[dict[str, Any], "dict[str, NDArray[Any]]"]
"""What is kept of an explainer: plain values, and arrays."""

MOST = 10
"""Reasons that an answer may have; regulators call more than four "not likely to be helpful"."""


class Contributions(NamedTuple):
    """The parts of a score, in log-odds: of two classes of label 1, of several a column for each class.

    Args:
        names: the feature of each part, or its view.
        values: what the row holds of it: of running text, the term.
        parts: [parts, outputs]; they add up to the score of the row minus `base`.
        base: the mean score of the background, [outputs].
    """

    names: Sequence[str]
    values: Sequence[Value]
    parts: "Floats"
    base: "Floats"


class Explainer(ABC):
    """What turns a row of a model into contributions.

    Args:
        features: the inputs of the model, in their order: a row has a value for each.
    """

    method: Method = "exact"
    features: tuple[str, ...]

    @abstractmethod
    def contributions(self, row: Sequence[Value], seed: str) -> Contributions:
        """The contributions to the score of a row.

        Args:
            row: its values, in the order of `features`; None is missing.
            seed: of what is sampled: the prediction's id, so that it is explained alike for ever.
        """

    @abstractmethod
    def to_parts(self) -> Parts:
        """What is kept of it."""


@dataclass(frozen=True)
class Target:
    """What an answer is explained against.

    Args:
        number: of the class, of several; it is explained in contrast to the mean of the others.
        sign: what moves the score up (1) or down (-1) speaks for the decision; 0: whatever moved it from the base.
    """

    number: int | None = None
    sign: int = 1

    def weights(self, outputs: int) -> "Floats":
        """The weight of each output in the score that is explained, [outputs]."""
        if self.number is None:
            return np.ones(1)
        weights = np.full(outputs, -1 / (outputs - 1))
        weights[self.number] = 1.0
        return weights


def target_of_band(decision: str | None, bands: Sequence[str]) -> Target:
    """The target of a decision of two classes: the highest band stands for up, the lowest for down.

    >>> [target_of_band(band, ("low", "medium", "high")).sign for band in ("low", "medium", "high")]
    [-1, 0, 1]
    """
    if len(bands) < 2 or decision not in (bands[0], bands[-1]):
        return Target(sign=0)
    return Target(sign=1 if decision == bands[-1] else -1)


@dataclass(frozen=True)
class AnswerReason:
    """A part of an answer that speaks for its decision.

    Args:
        feature: the feature, or its view.
        value: what the row holds; null where it is missing, and of a view; of running text, the term.
        contribution: in log-odds.
        text: the declared words where it raises the score, else the feature with its value.
    """

    feature: str
    value: Value
    contribution: float
    text: str


class Explanation(NamedTuple):
    """The reasons of an answer, the largest first, and the score without any of them."""

    reasons: list[AnswerReason]
    base: float


def explain(found: Contributions, target: Target, most: int, texts: Mapping[str, str]) -> Explanation:
    """The reasons that speak for a decision, at most so many.

    Args:
        found: the contributions of the row.
        target: of the decision.
        most: how many.
        texts: feature → declared words, of what raises the score.

    >>> found = Contributions(("a", "b"), (1.0, None), np.array([[0.5], [-0.2]]), np.array([-1.0]))
    >>> explain(found, Target(sign=0), 3, {"a": "spends much"}).reasons
    [AnswerReason(feature='a', value=1.0, contribution=0.5, text='spends much')]
    """
    weights = target.weights(len(found.base))
    parts = found.parts @ weights
    sign = target.sign or (1 if parts.sum() >= 0 else -1)
    order = np.argsort(-sign * parts, kind="stable")[:most].tolist()
    reasons = [
        _reason(found.names[at], found.values[at], part, texts)
        for at, part in zip(order, parts[order].tolist(), strict=True)
        if sign * part > 0
    ]
    return Explanation(reasons, float(found.base @ weights))


def _reason(feature: str, value: Value, part: float, texts: Mapping[str, str]) -> AnswerReason:
    if isinstance(value, float) and isnan(value):  # it is recorded as null, and explained alike from the record
        value = None
    declared = texts.get(feature) if part > 0 else None  # "has not signed in for long" is no reason to stay
    return AnswerReason(feature, value, part, declared or _words(feature, value))


def _words(feature: str, value: Value) -> str:
    if value is None:
        return f"{feature} is missing"
    return f"{feature} is {value:.6g}" if isinstance(value, float) else f"{feature} is {value}"
