"""Simulated customers: they come back, some far more often than others, and what will become of each is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from ml_assets.commands.simulation.challenger import SHARPNESS
from ml_assets.errors import DataError
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import ModelTables
from ml_assets.training.definition import ModelDefinition

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACTIVITY = 1.0
"""The spread of the logarithm of how often a customer comes."""


@dataclass(frozen=True)
class Customers:
    """Entities of a model.

    Args:
        names: of each.
        truth: the probability of each that its label is 1, shape [n].
        activity: how often each comes, as shares of all requests, shape [n].
    """

    names: tuple[str, ...]
    truth: "NDArray[np.float64]"
    activity: "NDArray[np.float64]"

    @classmethod
    def draw(cls, names: Sequence[str], scores: "NDArray[np.float64]", random: np.random.Generator) -> Self:
        """Customers whose truth is a little surer than the scores of a model: a better model is possible.

        Args:
            names: of the entities.
            scores: P(label = 1) of each, as a model says it.
            random: the source of chance.
        """
        activity = random.lognormal(0.0, _ACTIVITY, len(names))
        return cls(tuple(names), sharpen(scores), activity / activity.sum())

    def __len__(self) -> int:
        return len(self.names)


def sharpen(scores: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Probabilities of the first of two classes to the power of `SHARPNESS`, added up to 1 with the other's.

    >>> [round(float(score), 3) for score in sharpen(np.array([0.1, 0.5, 0.9]))]
    [0.029, 0.5, 0.971]
    """
    positive, negative = scores**SHARPNESS, (1 - scores) ** SHARPNESS
    truth: NDArray[np.float64] = positive / (positive + negative)
    return truth


def read_customers(lake: Lake, folder: ModelDefinition, random: np.random.Generator) -> Customers:
    """The entities that the model scored last, which the online store holds.

    Raises:
        DataError: none was scored yet, or what the model predicts is not of two classes.
    """
    table = ModelTables(folder.name).predictions
    if folder.spec.label.classes or folder.spec.documents:
        raise DataError(f"{folder.name}: traffic is simulated of entities with two classes: choose another model")
    if lake.version(table) is None:
        raise DataError(f"{folder.name} has scored nobody yet: `ml-assets run {folder.name}` first")
    rows = lake.query(
        f"SELECT {quote(folder.spec.entity)}::VARCHAR AS entity, score FROM p "
        "WHERE as_of = (SELECT max(as_of) FROM p) ORDER BY entity",
        p=table,
    )
    return Customers.draw(rows["entity"].to_pylist(), rows["score"].to_numpy(), random)
