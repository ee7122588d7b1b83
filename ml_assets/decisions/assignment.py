"""Assignment: which variant a unit sees. The same for ever, in every process, on every machine.

A unit has one point in [0, 1) for each salt, and the variants are laid side by side over it. The default variant takes
the upper end, so a challenger whose share grows keeps every unit that it has and takes others from the champion.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

_BYTES = 8


def unit_point(salt: str, unit: str) -> float:
    """The point of a unit, uniform over units: the first 64 bits of SHA-256 of `salt|unit` in UTF-8, divided by 2**64.

    Args:
        salt: the name of the rollout or experiment: another salt draws other units.
        unit: the id of what is assigned.

    >>> round(unit_point("churn/rollout/7", "customer-000123"), 12)
    0.367331428987
    """
    state = _salted(salt).copy()
    state.update(unit.encode())
    return int.from_bytes(state.digest()[:_BYTES], "big") / 2.0 ** (8 * _BYTES)


@lru_cache(maxsize=256)
def _salted(salt: str) -> "hashlib._Hash":
    """The state of the hash once it has read the salt, which all units of a rollout share."""
    return hashlib.sha256(f"{salt}|".encode())


def assign_variant(point: float, shares: Mapping[str, float], default: str) -> str:
    """The variant whose part of [0, 1) holds the point; the parts lie in the order of `shares`, from 0.

    Args:
        point: from `unit_point`, in [0, 1).
        shares: variant → share of the units; what the shares leave of 1 belongs to the default.
        default: the variant of every point beyond them: the champion.

    >>> assign_variant(0.07, {"challenger": 0.1}, "champion"), assign_variant(0.10, {"challenger": 0.1}, "champion")
    ('challenger', 'champion')
    """
    end = 0.0
    for variant, share in shares.items():
        end += share
        if point < end:
            return variant
    return default
