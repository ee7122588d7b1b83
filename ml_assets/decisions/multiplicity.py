"""Many metrics at once: which of them may be called different."""

from collections.abc import Sequence


def reject_by_e_values(e_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses e-BH rejects. Of those, a share of `level` at the most is true on average, however they depend.

    Wang & Ramdas, "False discovery rate control with e-values", JRSS B 2022. It may be looked at at any time.

    >>> reject_by_e_values([120, 60, 40, 8, 2], level=0.05)
    [True, True, True, False, False]
    """
    ordered = sorted(e_values, reverse=True)
    count = len(ordered)
    rejected = max((rank for rank, value in enumerate(ordered, 1) if rank * value >= count / level), default=0)
    return [rejected > 0 and value >= ordered[rejected - 1] for value in e_values]
