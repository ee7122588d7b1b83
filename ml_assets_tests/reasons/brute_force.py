"""Interventional Shapley values by their definition: every coalition, every row of the background."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.reasons.graph import TreeModel

Row = Sequence[Any]
Score = Callable[[Row], NDArray[np.float64]]


def shapley(score: Score, row: Row, background: Sequence[Row], players: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """φ of each player, [players, outputs].

    Args:
        score: the model, [outputs].
        row: that is explained.
        background: rows.
        players: the places of each in a row.
    """
    values: dict[frozenset[int], NDArray[np.float64]] = {}
    everyone = range(len(players))
    for size in range(len(players) + 1):
        for some in combinations(everyone, size):
            taken = {at for player in some for at in players[player]}
            mixed = [[row[at] if at in taken else usual[at] for at in range(len(row))] for usual in background]
            values[frozenset(some)] = np.mean([score(each) for each in mixed], axis=0)
    count = len(players)
    parts = np.zeros((count, len(values[frozenset()])))
    for player in everyone:
        for coalition, before in values.items():
            if player not in coalition:
                weight = factorial(len(coalition)) * factorial(count - len(coalition) - 1) / factorial(count)
                parts[player] += weight * (values[coalition | {player}] - before)
    return parts


def tree_score(model: TreeModel, features: Sequence[str]) -> Score:
    """The sum of the leaves that a row reaches, node by node in float64."""
    nodes = model.nodes
    roots = set(range(len(nodes.columns))) - {*nodes.when_true.tolist(), *nodes.when_false.tolist()}

    def holds(node: int, row: Row) -> bool:
        column = model.columns[nodes.columns[node]]
        value = row[features.index(column.feature)]
        if column.codes is not None:
            return bool(float(column.codes.get(value, column.other) == column.level) <= nodes.thresholds[node])
        value = column.fill if value is None else value
        return bool(nodes.missing_true[node] if value is None else np.float32(value) <= nodes.thresholds[node])

    def score(row: Row) -> NDArray[np.float64]:
        total = model.base.copy()
        for root in roots:
            node = root
            while nodes.branches[node]:
                node = int((nodes.when_true if holds(node, row) else nodes.when_false)[node])
            own = nodes.leaves == node
            np.add.at(total, nodes.outputs[own], nodes.weights[own])
        return total

    return score
