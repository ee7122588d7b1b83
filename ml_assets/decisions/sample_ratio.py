"""Sample-ratio mismatch: are the units of the variants as many as the shares say?

A sequential multinomial test with a Dirichlet prior around the shares (Lindon & Malek, "Anytime-valid inference for
multinomial count data", NeurIPS 2022). A unit counts at its first exposure, with the share then in force; over stages
the e-values are multiplied. A mismatch says that assignment or log is broken: nothing measured may be believed then.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_CONCENTRATION = 1_000.0
"""Of the prior: how close to the shares a mismatch is looked for."""


@dataclass(frozen=True)
class SampleCounts:
    """First exposures of each variant while the shares stood still, and those shares, in the same order."""

    units: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        if len(self.units) != len(self.shares) or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-9:
            message = f"shares {self.shares} of {len(self.units)} variants: each above 0, together 1"
            raise ValueError(message)


def log_e_mismatch(stages: Sequence[SampleCounts]) -> float:
    """Evidence that the units do not follow the shares: the logarithm of an e-value over all stages.

    >>> round(log_e_mismatch([SampleCounts((9100, 900), (0.9, 0.1))]), 9)
    4.036102517
    """
    return sum(_log_e(stage) for stage in stages)


def _log_e(stage: SampleCounts) -> float:
    """The ratio of the Dirichlet-multinomial probability of the counts to the multinomial one."""
    logarithm = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + sum(stage.units))
    for units, share in zip(stage.units, stage.shares, strict=True):
        prior = _CONCENTRATION * share
        logarithm += math.lgamma(prior + units) - math.lgamma(prior) - units * math.log(share)
    return logarithm
