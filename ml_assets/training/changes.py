"""Differences between the recipes of two versions, in words."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition

_SAID = {"description", "owners", "sample"}
"""Fields that nobody fits: what people read, and where sample files come from."""

_SHOWN = 40
"""Characters of a value."""

Parts = Mapping[str, Any]


def parts(folder: ModelDefinition, built: dataset.TrainingSet, libraries: Mapping[str, str]) -> Parts:
    """The parts of a recipe, short enough for a tag of the registry.

    Returns:
        `declared`: field → value; `queries`: view → digest; `last`: the last training date; `rows`: their fingerprint;
        `libraries`: name → version.
    """
    declared = folder.spec.model_dump(mode="json", exclude=_SAID)
    prefix = f"{folder.name}/"
    return {
        "declared": {name: str(value)[:_SHOWN] for name, value in _flat(declared)},
        "queries": {view.table.removeprefix(prefix): _digest(view.recipe) for view in dataset.views(folder)},
        "last": str(built.split.refit[-1]),
        "rows": str(built.fingerprint),
        "libraries": dict(libraries),
    }


def changes(before: Parts, after: Parts) -> list[str]:
    """The differences of `after` from `before`, in words; empty where nothing can be named."""
    sentences = [*_values(before["declared"], after["declared"]), *_values(before["libraries"], after["libraries"])]
    old, new = before["queries"], after["queries"]
    queries = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    sentences += [f"the query of {name}" for name in queries]
    if before["last"] != after["last"]:
        sentences.append(f"the training dates, which end at {after['last']} (before: {before['last']})")
    elif before["rows"] != after["rows"] and not queries:
        sentences.append("rows of the same dates, which came or were corrected since")
    return sentences


def from_tag(text: str | None) -> Parts | None:
    """The parts that a tag holds; None for a version that was made before, or whose tag was cut off."""
    try:
        return None if text is None else dict(json.loads(text))
    except ValueError:
        return None


def _values(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name} is {after.get(name, 'left out')} (before: {before.get(name, 'left out')})"


def _flat(declared: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Fields within fields as `estimator.max_iter`; what is not set is left out."""
    for name, value in declared.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            yield f"{prefix}{name}", value


def _digest(recipe: object) -> str:
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
