"""Whether reasons can be believed: they add up, do not depend on the background that was drawn, and matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.reasons.contributions import Contributions, Explainer, Target, Value
from ml_assets.reasons.sampled import probabilities_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Row = Sequence[Value]
Score = Callable[[Sequence[Row]], "Floats"]
"""The scores of rows in log-odds, [rows, outputs], as of `sampled.log_odds`."""

FIRST = 3
"""Reasons that are looked at."""
ADDITIVITY, AGREEMENT, EFFECT = 1e-5, 0.9, 5.0
"""The most by which the parts may miss the answer; the least share of first reasons on which two halves of the
background agree; how many times more the first reasons must matter than as many at random."""

_DRAWS = 20  # rows of the background that features are put back to


@dataclass(frozen=True)
class Fidelity:
    """What was measured of the reasons of a model on rows that it was not fitted on.

    Args:
        additivity: the largest difference between a probability, and the one that base and contributions add up to.
        agreement: of the first three reasons, the mean share on which two halves of the background agree.
        effect: by how much the score falls, in log-odds, if the first three are put back to the background.
        random_effect: the same of three at random.
        rows: that were looked at.
    """

    additivity: float
    agreement: float
    effect: float
    random_effect: float
    rows: int

    @property
    def is_faithful(self) -> bool:
        """Whether each of the limits is kept."""
        return (
            self.additivity <= ADDITIVITY
            and self.agreement >= AGREEMENT
            and self.effect >= EFFECT * max(self.random_effect, 0.0)
            and self.effect > 0
        )


@dataclass(frozen=True)
class FidelityRows:
    """The rows that fidelity is measured on, and what they are put back to.

    Args:
        rows: with a value for each feature.
        targets: of the decision of each row.
        background: rows.
        places: player → the places of its features in a row.
        texts: the places of running text.
    """

    rows: Sequence[Row]
    targets: Sequence[Target]
    background: Sequence[Row]
    places: Mapping[str, Sequence[int]]
    texts: frozenset[int] = frozenset()


def measure_fidelity(
    explainer: Explainer, halves: tuple[Explainer, Explainer], given: FidelityRows, score: Score, seed: int
) -> Fidelity:
    """Fidelity, as of `Fidelity`.

    Args:
        explainer: whose reasons are judged.
        halves: the same, each of one half of the background.
        given: the rows.
        score: the model.
        seed: of what is drawn.
    """
    found = [explainer.contributions(row, str(at)) for at, row in enumerate(given.rows)]
    added = np.array([each.base + each.parts.sum(axis=0) for each in found])
    gap = np.abs(probabilities_of(added) - probabilities_of(score(given.rows))).max()
    firsts = [
        [_first(one.contributions(row, str(at)), target) for one in halves] for at, row, target in _numbered(given)
    ]
    agreement = np.mean([len(one & two) / max(len(one), len(two), 1) for one, two in firsts])
    rng = np.random.default_rng(seed)
    chosen = [_order(each, target)[:FIRST] for each, target in zip(found, given.targets, strict=True)]
    drawn = [rng.permutation(len(each.names))[: len(some)].tolist() for each, some in zip(found, chosen, strict=True)]
    effect, random = (_effect(found, some, given, score, seed) for some in (chosen, drawn))
    return Fidelity(float(gap), float(agreement), effect, random, len(given.rows))


def _numbered(given: FidelityRows) -> list[tuple[int, Row, Target]]:
    return [(at, row, target) for at, (row, target) in enumerate(zip(given.rows, given.targets, strict=True))]


def _order(found: Contributions, target: Target) -> list[int]:
    """The parts that speak for the decision, the largest first."""
    parts = found.parts @ target.weights(len(found.base))
    sign = target.sign or (1 if parts.sum() >= 0 else -1)
    return [at for at in np.argsort(-sign * parts, kind="stable").tolist() if sign * parts[at] > 0]


def _first(found: Contributions, target: Target) -> set[tuple[str, Value]]:
    """The first reasons; a term is one by itself, a feature whatever its value."""
    return {(found.names[at], str(found.values[at])) for at in _order(found, target)[:FIRST]}


def _effect(
    found: Sequence[Contributions], chosen: Sequence[Sequence[int]], given: FidelityRows, score: Score, seed: int
) -> float:
    """The mean fall of the score towards the base, if parts are put back to the background."""
    rng = np.random.default_rng([seed, 1])
    drawn = [given.background[at] for at in rng.integers(0, len(given.background), _DRAWS).tolist()]
    mixed = [
        _put_back(row, usual, each, some, given)
        for row, each, some in zip(given.rows, found, chosen, strict=True)
        for usual in drawn
    ]
    before = score(given.rows)
    after = score(mixed).reshape(len(given.rows), len(drawn), -1).mean(axis=1)
    falls = []
    for at, target in enumerate(given.targets):
        weights = target.weights(before.shape[1])
        sign = target.sign or (1 if (found[at].parts @ weights).sum() >= 0 else -1)
        falls.append(sign * float((before[at] - after[at]) @ weights))
    return float(np.mean(falls))


def _put_back(row: Row, usual: Row, found: Contributions, chosen: Sequence[int], given: FidelityRows) -> list[Value]:
    changed = list(row)
    for at in chosen:
        for place in given.places[found.names[at]]:
            if place in given.texts and isinstance(found.values[at], str):
                changed[place] = f" {changed[place] or ''} ".replace(f" {found.values[at]} ", " ").strip()
            else:
                changed[place] = usual[place]
    return changed
