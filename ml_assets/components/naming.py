"""Names: those that a model folder may have, and names that Dagster takes, made of names that people write."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from keyword import iskeyword

from ml_assets.components.base import asset_names
from ml_assets.errors import DeclarationError
from ml_assets.spec.alert import PROJECT

BROKEN = "broken"
"""What the asset of a folder that cannot be loaded is called; its description is the error."""

_SHARED = frozenset({PROJECT, "default", "experiments", "rollout"})
"""What is of no model: runs of the project, Dagster's own group, and what comes next."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 40
_LONGEST_CHECK = 150


def require_name(name: str) -> None:
    """Refuse what cannot be a folder, a Python name, an asset key and a table at once.

    Raises:
        DeclarationError: the name has another form, or means something else already.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise DeclarationError(
            f"{name!r} cannot name a model: use at most {_LONGEST} lowercase letters, digits and single _ between "
            "them, with a letter first (late_payers)"
        )
    if iskeyword(name):
        raise DeclarationError(f"{name!r} is a word of Python: choose another name ({name}_model)")
    if name in asset_names() | {BROKEN}:
        raise DeclarationError(f"{name!r} is what an asset of every model is called: choose another name (my_{name})")
    if name in _SHARED:
        raise DeclarationError(f"{name!r} is reserved for what all models share: choose another name (my_{name})")


def check_names(written: Iterable[str]) -> list[str]:
    """For each name as written (any text) a different name of letters, digits and _, in order.

    The same list gives the same names: Dagster keeps the history of a check under its name.
    """
    plain = [_plain(name) for name in written]
    free, names = Counter(plain), []
    for name in plain:
        number, check = 1, name
        while check in names or (number > 1 and check in free):
            number += 1
            check = f"{name}_{number}"
        names.append(check)
    return names


def _plain(name: str) -> str:
    """Letters without their accents; whatever else Dagster does not take is `_`."""
    bare = "".join(part for part in unicodedata.normalize("NFKD", name) if not unicodedata.combining(part))
    return re.sub(r"[^A-Za-z0-9_]", "_", bare)[:_LONGEST_CHECK] or "_"
