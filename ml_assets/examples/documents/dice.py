"""Random numbers by the thousand: one document needs some hundred small choices."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_AT_ONCE = 512  # a call of a NumPy generator costs a microsecond, a number from a list a twentieth of it


class Dice:
    """Choices that are a function of `key`, the same in every process and version of Python."""

    def __init__(self, *key: int) -> None:
        self._random = np.random.default_rng(key)
        self._numbers: Iterator[float] = iter(())

    def unit(self) -> float:
        """A number in [0, 1)."""
        number = next(self._numbers, None)
        if number is None:
            self._numbers = iter(self._random.random(_AT_ONCE).tolist())
            number = next(self._numbers)
        return number

    def chance(self, probability: float) -> bool:
        """True with `probability`."""
        return self.unit() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`."""
        return options[int(self.unit() * len(options))]

    def weighted_choice(self, options: Sequence[tuple[T, float]]) -> T:
        """One of `options`, each with its weight; the weights sum to 1."""
        left = self.unit()
        for option, weight in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][0]
