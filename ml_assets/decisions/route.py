"""Routes: which versions of a model answer, under which names, and to which share of the units each."""

from dataclasses import dataclass
from typing import Self

CHAMPION = "champion"
"""The variant that answers by default, and the alias of its version in the registry."""


@dataclass(frozen=True)
class Variant:
    """A version that answers under a name.

    Args:
        name: `champion`, `challenger`, the arm of an experiment.
        version: the number of the version in the registry.
        share: of the units that it answers, from 0 to 1.
    """

    name: str
    version: int
    share: float = 1.0


@dataclass(frozen=True)
class Route:
    """The variants of a model.

    Args:
        model: the model's folder.
        salt: what a unit is assigned by, beside its name: another salt draws other units.
        variants: the default one first; their shares add up to 1.

    >>> Route.of_champion("churn", 7).default
    Variant(name='champion', version=7, share=1.0)
    """

    model: str
    salt: str
    variants: tuple[Variant, ...]

    @property
    def default(self) -> Variant:
        """The variant that answers where nothing assigns another."""
        return self.variants[0]

    @classmethod
    def of_champion(cls, model: str, version: int) -> Self:
        """The route of a model whose champion answers everything."""
        return cls(model, model, (Variant(CHAMPION, version),))
