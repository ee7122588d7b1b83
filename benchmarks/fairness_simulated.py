"""Customers with labels and scores, and groups that have nothing to do with either, or lose by a known amount."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.fairness import SELECTION
from ml_assets.decisions.group_rates import GroupComparison, compare_groups
from ml_assets.training.bootstrap import Clusters
from ml_assets.training.task.group_metrics import of_scores

Floats = NDArray[np.float64]

ENTITIES, DATES = 3000, 4
SHARES = (0.4, 0.2, 0.12, 0.09, 0.09, 0.06, 0.04)
"""Of seven groups."""
BASE, SPREAD = -2.5, 1.4
"""Log-odds: about one row in eight has the label 1, and a perfect model ranks with a ROC AUC of .8."""
THRESHOLD = 0.2
"""A missed customer costs four times an offer in vain."""
SAME = 0.9
"""Correlation of what decides the labels of a customer at two dates: they overlap by nearly all of the horizon."""


@dataclass(frozen=True)
class Population:
    """Rows of customers, [rows]: whose, label, score; and the group of each customer, [entities]."""

    entity: NDArray[np.intp]
    y: Floats
    p: Floats
    groups: NDArray[np.intp]


def population(
    seed: int, entities: int = ENTITIES, shares: Sequence[float] = SHARES, odds: Sequence[float] = ()
) -> Population:
    """Customers at `DATES` dates, and scores that are P(label = 1).

    Args:
        seed: of everything.
        entities: customers.
        shares: of the groups, drawn at random.
        odds: added to the log-odds of each group, whose base rates then differ; default: none.
    """
    rng = np.random.default_rng(seed)
    groups = rng.choice(len(shares), entities, p=np.array(shares) / sum(shares))
    moved = np.array(odds)[groups] if odds else np.zeros(entities)
    logit = (BASE + moved + SPREAD * rng.normal(size=entities))[:, None] + 0.3 * rng.normal(size=(entities, DATES))
    p = 1 / (1 + np.exp(-logit))
    luck = np.sqrt(SAME) * rng.normal(size=entities)[:, None] + np.sqrt(1 - SAME) * rng.normal(size=(entities, DATES))
    y = luck < _quantile(p)
    rows = np.repeat(np.arange(entities), DATES)
    return Population(rows, y.reshape(-1).astype(np.float64), p.reshape(-1), groups)


def missed(people: Population, group: int, loss: float, seed: int) -> Population:
    """The same where customers of a group are missed so often that its true-positive rate is less by `loss`.

    Args:
        people: as drawn.
        group: that loses.
        loss: of its rate.
        seed: of who they are.
    """
    rng = np.random.default_rng(seed)
    mine = people.groups[people.entity] == group
    hit = mine & (people.y == 1) & (people.p >= THRESHOLD)
    positive = mine & (people.y == 1)
    share = loss * positive.sum() / max(1, hit.sum())
    unlucky = rng.random(len(people.groups))[people.entity] < share
    return replace(people, p=np.where(hit & unlucky, people.p * THRESHOLD, people.p))


def true_differences(odds: Sequence[float]) -> dict[tuple[str, str], float]:
    """Group and metric → the difference to all others among very many customers, whose groups differ by `odds`."""
    people = population(99, 400_000, odds=odds)
    ratios, _ = of_scores(people.y, people.p, Clusters(people.entity, len(people.groups)), THRESHOLD)
    return {
        (str(group), each.name): float(
            each.top[inside].sum() / each.bottom[inside].sum() - each.top[~inside].sum() / each.bottom[~inside].sum()
        )
        for group in range(len(SHARES))
        for inside in [people.groups == group]
        for each in ratios
    }


def _quantile(p: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(p))


def compare(people: Population, draws: int = 300, seed: int = 0) -> GroupComparison:
    """The groups of a population, as a report compares them."""
    entities = Clusters(people.entity, len(people.groups))
    ratios, labels = of_scores(people.y, people.p, entities, THRESHOLD)
    groups = {"group": [str(group) for group in people.groups]}
    return compare_groups(ratios, groups, labels, draws=draws, seed=seed, selection=SELECTION)
