"""Features by name: `churn/purchases` is a view, `churn/purchases:total` one of its columns."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from ml_assets.errors import DeclarationError
from ml_assets.features.declarations import DeclaredViews, Folders
from ml_assets.features.view import TimedView


class FeatureRef(NamedTuple):
    """A view of a folder, and one of its columns; None = all."""

    folder: str
    view: str
    column: str | None


def parse_refs(features: Sequence[str]) -> list[FeatureRef]:
    """What names mean.

    Raises:
        DeclarationError: one is not a name, comes twice, or there is none.

    >>> parse_refs(["churn/purchases", "churn/support:tickets"])[1]
    FeatureRef(folder='churn', view='support', column='tickets')
    """
    refs = []
    for text in features:
        match = re.fullmatch(r"([^/:]+)/([^/:]+)(?::(.+))?", text)
        if not match:
            raise DeclarationError(f"feature {text!r}: write folder/view or folder/view:column")
        refs.append(FeatureRef(match[1], match[2], match[3]))
    if not refs:
        raise DeclarationError("no feature is asked for: name some, as folder/view or folder/view:column")
    if repeated := [name for name in features if list(features).count(name) > 1]:
        raise DeclarationError(f"feature {repeated[0]!r} is asked for twice: once is enough")
    return refs


def folder_of(name: str, folders: Folders) -> DeclaredViews:
    """A model folder.

    Raises:
        DeclarationError: there is none of that name, or it is broken.
    """
    if name in folders.broken:
        raise DeclarationError(folders.broken[name])
    if name not in folders:
        raise DeclarationError(f"there is no model folder {name!r}: {_meant(name, folders)}")
    return folders[name]


def view_of(one: FeatureRef, folders: Folders) -> TimedView:
    """A feature view.

    Raises:
        DeclarationError: the folder declares none of that name.
    """
    declared = folder_of(one.folder, folders).features
    if one.view not in declared:
        raise DeclarationError(f"{one.folder} declares no feature view {one.view!r}: {_meant(one.view, declared)}")
    return declared[one.view]


def _meant(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
