"""Draws of whole entities, each with all its rows: permutations and a bootstrap of sums.

All that groups are compared by are sums over entities, and ratios of them. So a draw is a few sums of each cell, and a
thousand draws of thousands of entities take a tenth of a second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_NUMBERS = 2_000_000  # held at once: 16 MB an array, however many entities there are
_FEW_CELLS = 32


@dataclass(frozen=True)
class EntityRatio:
    """A metric that is the sum of one number over the sum of another, of each entity.

    Args:
        name: of the metric.
        top: the numerator, [entities].
        bottom: the denominator, [entities], 0 or more.
        lowest: what a row's part of the numerator is at least.
        highest: at most.
        family: of metrics that are judged together.
    """

    name: str
    top: Floats
    bottom: Floats
    lowest: float = 0.0
    highest: float = 1.0
    family: str = "rates"


@dataclass(frozen=True)
class ComparedRates:
    """Of each draw, group and metric, [draws, groups, metrics]: two rates, their difference and its standard error."""

    rate: Floats
    others: Floats
    difference: Floats
    error: Floats

    def at(self, groups: Indices, metrics: Indices) -> "ComparedRates":
        """Those of some groups and metrics."""
        chosen = np.ix_(np.arange(len(self.rate)), groups, metrics)
        return ComparedRates(self.rate[chosen], self.others[chosen], self.difference[chosen], self.error[chosen])


def stack_draws(parts: Iterator[ComparedRates]) -> ComparedRates:
    """All draws of several chunks."""
    listed = list(parts)
    names = ("rate", "others", "difference", "error")
    return ComparedRates(*(np.concatenate([getattr(part, name) for part in listed]) for name in names))


@dataclass(frozen=True)
class EntitySums:
    """Entities in the order of their cells; a cell is a combination of groups, whose sums are all that draws need.

    Args:
        moments: N, D, N², N·D and D² of each metric, [entities, 5 · metrics].
        prior: the same of two entities more, [5, metrics].
        starts: where each cell begins, [cells].
        members: whether a cell is of a group, [groups, cells].
    """

    moments: Floats
    prior: Floats
    starts: Indices
    members: Floats

    @classmethod
    def of(cls, metrics: Sequence[EntityRatio], codes: Sequence[Indices]) -> "EntitySums":
        """Sort entities into cells, by the number of the group of each attribute, each [entities]."""
        cells, cell = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        order = np.argsort(cell.reshape(-1), kind="stable")
        starts = np.searchsorted(cell.reshape(-1)[order], np.arange(len(cells)))
        members = [cells[:, nr] == value for nr, code in enumerate(codes) for value in range(code.max() + 1)]
        moments = np.stack([_moments(metric.top, metric.bottom) for metric in metrics], axis=2)
        prior = np.stack([_prior(metric) for metric in metrics], axis=1)
        return cls(moments.reshape(len(order), -1)[order], prior, starts, np.array(members, np.float64))

    @property
    def entities(self) -> int:
        """How many."""
        return len(self.moments)

    @cached_property
    def ends(self) -> Indices:
        """Where each cell ends, [cells]."""
        return np.append(self.starts[1:], self.entities)

    def sum_orders(self, orders: Indices) -> Floats:
        """The sums of each cell, [draws, cells, 5 · metrics], with the entities in other orders, [draws, entities]."""
        if len(self.starts) > _FEW_CELLS:
            return np.stack([np.add.reduceat(self.moments[order], self.starts, axis=0) for order in orders])
        chosen, sums = np.zeros(orders.shape), []
        for start, end in zip(self.starts, self.ends, strict=True):  # a product is five times as fast as an index
            chosen[:] = 0
            np.put_along_axis(chosen, orders[:, start:end], 1.0, axis=1)
            sums.append(chosen @ self.moments)
        return np.stack(sums, axis=1)

    def sum_draws(self, counts: Floats) -> Floats:
        """The same where each entity was drawn so many times, [draws, entities]."""
        bounds = zip(self.starts, self.ends, strict=True)
        return np.stack([counts[:, start:end] @ self.moments[start:end] for start, end in bounds], axis=1)

    def compare(self, cells: Floats) -> ComparedRates:
        """Each group against all others, from the sums of the cells of each draw."""
        mine = self.members @ cells
        rest = cells.sum(axis=1, keepdims=True) - mine
        shape = (*mine.shape[:2], *self.prior.shape)
        (rate, spread), (others, more) = (_rate(sums.reshape(shape), self.prior) for sums in (mine, rest))
        difference = np.nan_to_num(rate - others)  # a draw in which one of them has no denominator shows none
        return ComparedRates(rate, others, difference, np.sqrt(spread + more))


def _moments(top: Floats, bottom: Floats) -> Floats:
    return np.stack([top, bottom, top * top, top * bottom, bottom * bottom], axis=1)


def _prior(metric: EntityRatio) -> Floats:
    """Two entities of the usual size, of the lowest and the highest value."""
    usual = metric.bottom[metric.bottom > 0].mean() if (metric.bottom > 0).any() else 1.0
    top = usual * np.array([metric.lowest, metric.highest])
    return np.asarray(_moments(top, np.full(2, usual)).sum(axis=0))


def _rate(sums: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """A ratio of sums, NaN where there is no denominator, and its variance to first order."""
    top, bottom = sums[..., 0, :], sums[..., 1, :]
    rate = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 1e-9)
    n, d, nn, nd, dd = np.moveaxis(sums + prior, -2, 0)
    near = n / d
    return rate, (nn - 2 * near * nd + near * near * dd) / (d * d)


def entity_orders(rng: np.random.Generator, scene: EntitySums, draws: int) -> Iterator[Indices]:
    """Orders of the entities, [draws, entities], in chunks whose size does not change them."""
    for some in _chunks(draws, scene.entities):
        yield rng.permuted(np.tile(np.arange(scene.entities), (some, 1)), axis=1)


def entity_counts(rng: np.random.Generator, scene: EntitySums, draws: int) -> Iterator[Floats]:
    """How often each entity is drawn, [draws, entities], in such chunks."""
    n = scene.entities
    for some in _chunks(draws, n):
        drawn = rng.integers(n, size=(some, n)) + n * np.arange(some)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=some * n).reshape(some, n).astype(np.float64)


def _chunks(draws: int, numbers: int) -> Iterator[int]:
    """How many draws at once, of so many numbers each."""
    most = max(1, _NUMBERS // numbers)
    return (min(most, draws - start) for start in range(0, draws, most))
