"""A model folder, checked and ready to run: declarations and SQL in, views out."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ml_assets.errors import DeclarationError
from ml_assets.features.declared import features, relations, require_different, view
from ml_assets.features.view import Features, View, ViewSpec
from ml_assets.sources.spec import SourceSpec
from ml_assets.training.recipe import ModelSpec


@dataclass(frozen=True)
class Folder:
    """What a `defs.yaml` and its `.sql` files declare.

    Args:
        name: the folder's name, which is the model's: key prefix and group.
        spec: the model.
        population: the view of who is scored.
        labels: the view of what happened.
        features: the model's feature views, in the order of its declaration.
    """

    name: str
    spec: ModelSpec
    population: View
    labels: View
    features: tuple[Features, ...]


def assemble(
    name: str, path: Path, spec: ModelSpec, sources: Sequence[SourceSpec], views: Sequence[ViewSpec]
) -> Folder:
    """Check a folder as a whole.

    Raises:
        DeclarationError: a file is missing, a query says what it may not, or a name is not declared.
    """
    known = relations(name, sources)
    require_different("FeatureView", [view.name for view in views])
    declared = {spec.name: spec for spec in views}
    for feature in spec.features:
        if feature not in declared:
            near = get_close_matches(feature, declared, n=1) or sorted(declared)
            raise DeclarationError(
                f"{path / 'defs.yaml'}: features names {feature!r}, which is no FeatureView: use {' or '.join(near)}"
            )
    population = view(name, path, spec.population, "population", spec.entity, known)
    labels = view(
        name,
        path,
        spec.label.sql,
        "labels",
        spec.entity,
        known,
        views={"population": population},
        lookback=spec.label.lookback,
        horizon=spec.label.horizon,
        outcome=spec.label.outcome,
    )
    used = tuple(features(name, path, declared[feature], spec.entity, known) for feature in spec.features)
    return Folder(name, spec, population, labels, used)
