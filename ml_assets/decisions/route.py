"""Routes: which versions of a model answer, under which names, and to which share of the units each."""

from dataclasses import dataclass
from typing import Self

CHAMPION = "champion"
"""The variant that answers by default, and the alias of its version in the registry."""

CHALLENGER = "challenger"
"""The variant of a rollout that is to become champion, and the alias of its version."""

PREVIOUS = "previous"
"""The champion of before, which a rollback makes champion again; the alias of its version."""


@dataclass(frozen=True)
class Variant:
    """A version that answers under a name.

    Args:
        name: `champion`, `challenger`, the arm of an experiment.
        version: the number of the version in the registry.
        share: of the units that it answers, from 0 to 1; with 0 it answers in shadow only.
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
        unit: what is assigned: `entity`, or `request` where requests name no entity.
        experiment: under which name exposures and failures are recorded: `7-1/3` of the stage that began with step 3 of
            rollout 7-1, or the name of an experiment; None: nothing is measured.
        shadow: the share of the units whose answers the other variants give too, unseen.
        limits: of latency, microseconds: the default variant's p50, p95 and p99 of before; an answer that takes longer
            is recorded as slow. Empty: latency is not measured.
        tolerance: how many times as long the other variants may take.
        until: seconds since 1970 up to which the route is in force; None: for ever. Afterwards the default variant
            answers everything, because nobody has looked.

    >>> Route.of_champion("churn", 7).default
    Variant(name='champion', version=7, share=1.0)
    """

    model: str
    salt: str
    variants: tuple[Variant, ...]
    unit: str = "entity"
    experiment: str | None = None
    shadow: float = 0.0
    limits: tuple[float, ...] = ()
    tolerance: float = 1.0
    until: float | None = None

    @property
    def default(self) -> Variant:
        """The variant that answers where nothing assigns another."""
        return self.variants[0]

    @property
    def shares(self) -> dict[str, float]:
        """The shares of the other variants, in the order in which they are laid over the points of units."""
        return {variant.name: variant.share for variant in self.variants[1:]}

    def is_in_force(self, now: float) -> bool:
        """Tell whether somebody still watches at `now`, seconds since 1970.

        >>> Route("churn", "7-1", (Variant("champion", 6),), until=100.0).is_in_force(101.0)
        False
        """
        return self.until is None or now <= self.until

    @classmethod
    def of_champion(cls, model: str, version: int) -> Self:
        """The route of a model whose champion answers everything."""
        return cls(model, model, (Variant(CHAMPION, version),))
