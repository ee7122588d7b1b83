"""The terms of running text, weighed as the artifact weighs them."""

from collections import Counter
from collections.abc import Mapping
from math import log, sqrt
from typing import NamedTuple

from ml_assets.reasons.contributions import Value
from ml_assets.storage.scorer import normal


class WeighedTerms(NamedTuple):
    """The known terms of a text, the places of their coefficients, and their weights in it."""

    terms: list[str]
    places: list[int]
    weights: list[float]


class TextTerms(NamedTuple):
    """The terms of a column of running text.

    Args:
        feature: the column.
        places: term → the place of its coefficients.
        lengths: of terms, in words.
        dampened: a term counts 1 + ln(tf) rather than tf.
        unit: the weights of a text have length one.
    """

    feature: str
    places: Mapping[str, int]
    lengths: tuple[int, ...]
    dampened: bool
    unit: bool

    def weigh(self, value: Value) -> WeighedTerms:
        """The weights of the terms of a text.

        >>> own = TextTerms("text", {"lease": 0, "the lease": 1}, (1, 2), dampened=True, unit=False)
        >>> own.weigh("The lease is a lease").weights
        [1.6931471805599454, 1.0]
        """
        words = normal(str(value or "")).split()
        counts = Counter(
            term
            for length in self.lengths
            for term in (
                words if length == 1 else map(" ".join, zip(*(words[at:] for at in range(length)), strict=False))
            )
        )
        known = [(term, count) for term, count in counts.items() if term in self.places]
        weights = [1 + log(count) if self.dampened else float(count) for _, count in known]
        norm = sqrt(sum(weight * weight for weight in weights)) if self.unit else 1.0
        return WeighedTerms(
            [term for term, _ in known],
            [self.places[term] for term, _ in known],
            [weight / norm for weight in weights],
        )
