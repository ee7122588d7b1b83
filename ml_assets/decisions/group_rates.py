"""Rates of groups of entities, each against all others, and how far chance alone explains the differences.

Whole entities are permuted and drawn, each with all its rows, for the rows of one entity are not independent.

- p: the groups are permuted over the entities. Each difference is divided by its standard error, so that groups of
  unequal spread are no alarm (Chung & Romano, "Exact and asymptotically robust permutation tests", Ann. Statist.
  2013), and judged by the largest of all groups and metrics, step by step (Westfall & Young, "Resampling-Based
  Multiple Testing", 1993): the share of reports in which any equal group is called different is the level at most.
- Intervals hold all at once: as wide as the largest studentised difference of a bootstrap of entities, and no
  narrower than of normal differences (Bonferroni), for a bootstrap sees no spread in entities that are alike.
- A standard error counts two entities more in each group, one with the lowest and one with the highest value that
  rows can have (Agresti & Caffo, "Simple and effective confidence intervals", Am. Stat. 2000): thirty that happen to
  be alike are not taken for certain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.entity_sums import (
    ComparedRates,
    EntityRatio,
    EntitySums,
    Floats,
    Indices,
    entity_counts,
    entity_orders,
    stack_draws,
)
from ml_assets.decisions.interval import Interval

FEWEST = 30
"""Entities with each kind of label that a group, and its others, must have to be judged."""
MOST_GROUPS = 50
"""The largest of an attribute; all smaller ones are one group, which is not judged."""
SMALLER = "(smaller groups)"


@dataclass(frozen=True)
class Group:
    """Entities with one value of an attribute.

    Args:
        attribute: its name.
        name: the value.
        entities: how many.
        labelled: those of them that have the kind of label that is rarest among them.
        judged: whether enough is known of them, and of the others.
    """

    attribute: str
    name: str
    entities: int
    labelled: int
    judged: bool


@dataclass(frozen=True)
class GroupDifference:
    """A metric of a group against all other entities.

    Args:
        group: whose.
        metric: its name.
        rate: of the group; None without a denominator.
        others: of all others.
        error: standard error of the difference.
        interval: the difference with ends that hold for all groups and metrics at once; None: too small a group.
        p: that there is no difference, adjusted for all groups and metrics; None: too small a group.
    """

    group: Group
    metric: str
    rate: float | None
    others: float | None
    error: float
    interval: Interval | None = None
    p: float | None = None


@dataclass(frozen=True)
class RateRatio:
    """The lowest rate of the judged groups of an attribute over the highest.

    Args:
        attribute: its name.
        ratio: the four-fifths rule wants 0.8 or more.
        false_alarms: how often it is less where groups of these sizes are drawn at random.
    """

    attribute: str
    ratio: float
    false_alarms: float


@dataclass(frozen=True)
class GroupComparison:
    """Each metric of each group, and the four-fifths ratio of each attribute with two judged groups or more."""

    differences: tuple[GroupDifference, ...]
    ratios: tuple[RateRatio, ...] = ()


def compare_groups(
    metrics: Sequence[EntityRatio],
    attributes: Mapping[str, Sequence[str] | NDArray[Any]],
    labels: NDArray[np.bool_],
    *,
    level: float = 0.05,
    draws: int = 1000,
    seed: int = 0,
    selection: str | None = None,
) -> GroupComparison:
    """Compare each group with all other entities.

    Args:
        metrics: of the same entities.
        attributes: name → the value of each entity, [entities].
        labels: whether an entity has a row with each kind of label, [entities, kinds].
        level: of a false alarm, and of an interval that misses.
        draws: permutations, and draws of entities.
        seed: of both.
        selection: the metric whose four-fifths ratio is wanted.

    >>> rng, n = np.random.default_rng(0), 400
    >>> hit = EntityRatio("selected", (rng.random(n) < 0.5).astype(float), np.ones(n))
    >>> group = {"plan": ["pro" if number % 2 else "basic" for number in range(n)]}
    >>> [found, _] = compare_groups([hit], group, np.ones((n, 1), bool)).differences
    >>> found.group.name, found.group.entities, round(found.p, 1)
    ('basic', 200, 0.4)
    """
    coded = {name: _coded(values) for name, values in attributes.items()}
    groups = tuple(group for name, (names, code) in coded.items() for group in _groups(name, names, code, labels))
    scene = EntitySums.of(metrics, [code for _, code in coded.values()])
    observed = scene.compare(scene.sum_orders(np.arange(scene.entities)[None]))
    rows = [
        GroupDifference(
            group=group,
            metric=metric.name,
            rate=_number(observed.rate[0, g, m]),
            others=_number(observed.others[0, g, m]),
            error=float(observed.error[0, g, m]),
        )
        for g, group in enumerate(groups)
        for m, metric in enumerate(metrics)
    ]
    judged = np.flatnonzero([group.judged for group in groups])
    if not len(judged):
        return GroupComparison(tuple(rows))
    rng = np.random.default_rng(seed)
    permuted = stack_draws(scene.compare(scene.sum_orders(orders)) for orders in entity_orders(rng, scene, draws))
    drawn = stack_draws(scene.compare(scene.sum_draws(counts)) for counts in entity_counts(rng, scene, draws))
    for family in sorted({metric.family for metric in metrics}):
        of = np.flatnonzero([metric.family == family for metric in metrics])
        p, width = _tests(observed.at(judged, of), permuted.at(judged, of), drawn.at(judged, of), level)
        for (g, m), each in zip(((g, m) for g in judged for m in of), p, strict=True):
            place = g * len(metrics) + m
            rows[place] = _tested(rows[place], float(observed.difference[0, g, m]), width, float(each))
    number = next((number for number, metric in enumerate(metrics) if metric.name == selection), None)
    ratios = () if number is None else _ratios(groups, observed.rate[..., number], permuted.rate[..., number])
    return GroupComparison(tuple(rows), tuple(ratios))


def adjusted_p_values(observed: Floats, permuted: Floats) -> Floats:
    """Of each hypothesis, how often the largest statistic of those that are left is as large under permutations.

    Westfall & Young (1993), the step-down procedure of algorithm 4.1.

    Args:
        observed: absolute statistics, [hypotheses].
        permuted: the same under each permutation, [permutations, hypotheses].
    """
    order = np.argsort(-observed, kind="stable")
    largest = np.maximum.accumulate(permuted[:, order[::-1]], axis=1)[:, ::-1]
    as_large = (largest >= observed[order] - 1e-9).sum(axis=0)
    p = np.empty_like(observed)
    p[order] = np.maximum.accumulate((1 + as_large) / (1 + len(permuted)))
    return p


def _coded(values: Sequence[str] | NDArray[Any]) -> tuple[list[str], Indices]:
    """Groups by falling size, and the number of each entity's; those beyond the largest are one, the last."""
    names, code = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    order = np.argsort(-np.bincount(code), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    listed = [str(name) for name in names[order][:MOST_GROUPS]]
    return listed + [SMALLER] * (len(order) > MOST_GROUPS), np.minimum(place[code], MOST_GROUPS)


def _groups(attribute: str, names: list[str], code: Indices, labels: NDArray[np.bool_]) -> Iterator[Group]:
    known = np.array([np.bincount(code, weights=kind, minlength=len(names)) for kind in labels.T])
    enough = np.minimum(known, labels.sum(axis=0)[:, None] - known).min(axis=0) >= FEWEST
    for number, (name, entities) in enumerate(zip(names, np.bincount(code), strict=True)):
        labelled = int(known[:, number].min())
        yield Group(attribute, name, int(entities), labelled, bool(enough[number]) and name != SMALLER)


def _tests(
    observed: ComparedRates, permuted: ComparedRates, drawn: ComparedRates, level: float
) -> tuple[Floats, float]:
    """The adjusted p of each group and metric, and how many standard errors wide the intervals are."""
    chance = _studentised(permuted.difference, permuted.error)
    p = adjusted_p_values(_studentised(observed.difference, observed.error)[0], chance)
    moved = _studentised(drawn.difference - observed.difference, drawn.error)
    different = len({tuple(column) for column in np.round(chance[:10].T, 9)})  # of two groups, one mirrors the other
    least = NormalDist().inv_cdf(1 - level / (2 * different))
    return p, max(least, float(np.quantile(moved.max(axis=1), 1 - level)))


def _studentised(difference: Floats, error: Floats) -> Floats:
    """Absolute differences in standard errors, [draws, groups · metrics]."""
    return np.asarray(np.abs(difference / error).reshape(len(error), -1))


def _tested(found: GroupDifference, difference: float, width: float, p: float) -> GroupDifference:
    reach = width * found.error
    return replace(found, interval=Interval(difference, difference - reach, difference + reach), p=p)


def _ratios(groups: Sequence[Group], observed: Floats, permuted: Floats) -> Iterator[RateRatio]:
    """Of each attribute; a rate of 0 everywhere is equal."""
    for attribute in dict.fromkeys(group.attribute for group in groups):
        of = [number for number, group in enumerate(groups) if group.attribute == attribute and group.judged]
        if len(of) > 1:
            ratios = np.concatenate([observed, permuted])[:, of]
            low, high = ratios.min(axis=1), ratios.max(axis=1)
            ratio = np.divide(low, high, out=np.ones_like(low), where=high > 0)
            yield RateRatio(attribute, float(ratio[0]), float((ratio[1:] < 0.8).mean()))


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
