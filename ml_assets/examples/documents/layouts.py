"""The layouts of each class, from `<class>.toml` beside this file: the fields of `LayoutFamily` and `Style`.

Those that are held out look and speak unlike the others, and arrive last: no sentence of their banks is written with an
eye on the others, or the other way round.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ml_assets.errors import DataError
from ml_assets.examples.documents.styles import LEGAL, LETTER, LayoutFamily, Style
from ml_assets.examples.documents.truth import LABELS, Label

_PAPERS = {"letter": LETTER, "legal": LEGAL}


@cache
def layouts() -> dict[tuple[Label, str], LayoutFamily]:
    """All layouts by class and name."""
    return {(layout.label, layout.name): layout for label in LABELS for layout in _read(label)}


@cache
def names(label: Label, *, held_out: bool | None = None) -> tuple[str, ...]:
    """The layouts of a class: all, those that are held out, or the others."""
    sides = (True, False) if held_out is None else (held_out,)
    return tuple(layout.name for layout in layouts().values() if layout.label == label and layout.held_out in sides)


def find(label: str, name: str) -> LayoutFamily:
    """A layout by class and name.

    Raises:
        DataError: there is none.
    """
    for layout in layouts().values():
        if (layout.label, layout.name) == (label, name):
            return layout
    names = ", ".join(f"{one}/{other}" for one, other in layouts())
    raise DataError(f"no layout {label}/{name}: choose one of {names} (classes: {', '.join(LABELS)})")


def _read(label: Label) -> Iterator[LayoutFamily]:
    declared = tomllib.loads(Path(__file__).with_name(f"{label}.toml").read_text(encoding="utf-8"))
    for name, fields in declared.items():
        read = {"style": _style(fields.get("style", {})), "banks": tuple(fields["banks"])}
        yield LayoutFamily(label, name, **(fields | read))


def _style(fields: Mapping[str, Any]) -> Style:
    paper = _PAPERS[fields.get("paper", "letter")]
    return Style(**(dict(fields) | {"paper": paper}))
