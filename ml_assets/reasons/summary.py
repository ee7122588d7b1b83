"""What a model leans on, by its own reasons: for all rows, by decision, and by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.reasons.contributions import Contributions, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ReasonShare:
    """What a feature has in the answers to some rows.

    Args:
        mean: of its contribution, whatever its sign, in log-odds.
        first: the share of rows of which it is the first reason.
    """

    mean: float
    first: float


def summarise(
    found: Sequence[Contributions], targets: Sequence[Target], groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, dict[str, ReasonShare]]]:
    """Group → its value → feature → its share, the largest first.

    Args:
        found: the contributions of each row.
        targets: of the decision of each row.
        groups: by name, the value of each row.
    """
    names = list(dict.fromkeys(name for each in found for name in each.names))
    parts = np.array([_parts(each, target, names) for each, target in zip(found, targets, strict=True)])
    signs = [target.sign or (1 if row.sum() >= 0 else -1) for target, row in zip(targets, parts, strict=True)]
    toward = parts * np.array(signs)[:, None]
    first = np.where(toward.max(axis=1) > 0, toward.argmax(axis=1), -1)
    shares: dict[str, dict[str, dict[str, ReasonShare]]] = {}
    for group, values in groups.items():
        column = np.array(values)
        shares[group] = {
            str(value): _shares(names, parts[column == value], first[column == value]) for value in np.unique(column)
        }
    return shares


def _parts(found: Contributions, target: Target, names: Sequence[str]) -> "NDArray[np.float64]":
    """The contribution of each feature; of running text that of all its terms."""
    weighted = found.parts @ target.weights(len(found.base))
    places = [names.index(name) for name in found.names]
    return np.asarray(np.bincount(places, weighted, len(names)), np.float64)


def _shares(names: Sequence[str], parts: "NDArray[np.float64]", first: "NDArray[np.int64]") -> dict[str, ReasonShare]:
    means = np.abs(parts).mean(axis=0)
    order = np.argsort(-means, kind="stable").tolist()
    return {names[at]: ReasonShare(float(means[at]), float((first == at).mean())) for at in order}
