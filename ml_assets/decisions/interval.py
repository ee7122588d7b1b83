"""A number and how far chance alone may have moved it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A metric, a mean, or a difference of two, with its confidence interval, all in its own unit.

    >>> auc = Interval(0.71, 0.66, 0.75)
    >>> auc.best(direction=1), auc.worst(direction=1)
    (0.75, 0.66)
    """

    estimate: float
    low: float
    high: float

    def best(self, direction: int) -> float:
        """The end that speaks for a model: the upper one where a larger number is better (`direction` 1, not -1)."""
        return self.high if direction > 0 else self.low

    def worst(self, direction: int) -> float:
        """The end that speaks against a model."""
        return self.best(-direction)
