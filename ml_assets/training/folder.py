"""A model folder, checked and ready to run: declarations and SQL in, views out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ml_assets.errors import DeclarationError
from ml_assets.features.query import check
from ml_assets.features.view import Features, Relation, View, ViewSpec
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


def relations(name: str, sources: Sequence[SourceSpec]) -> dict[str, Relation]:
    """The sources of a folder as queries see them."""
    return {s.name: Relation(s.name, f"{name}/raw/{s.name}", s.event_time, s.known_at) for s in sources}


def feature_view(name: str, path: Path, spec: ViewSpec, entity: str, sources: Mapping[str, Relation]) -> View:
    """One feature view of a folder.

    Raises:
        DeclarationError: its `.sql` file is missing or says what a query may not.
    """
    return _view(name, path, spec.sql, f"features/{spec.name}", entity, sources, lookback=spec.lookback)


def assemble(
    name: str, path: Path, spec: ModelSpec, sources: Sequence[SourceSpec], views: Sequence[ViewSpec]
) -> Folder:
    """Check a folder as a whole.

    Raises:
        DeclarationError: a file is missing, a query says what it may not, or a name is not declared.
    """
    known = relations(name, sources)
    declared = {view.name: view for view in views}
    for feature in spec.features:
        if feature not in declared:
            near = get_close_matches(feature, declared, n=1) or sorted(declared)
            raise DeclarationError(
                f"{path / 'defs.yaml'}: features names {feature!r}, which is no FeatureView: use {' or '.join(near)}"
            )
    population = _view(name, path, spec.population, "population", spec.entity, known)
    labels = _view(
        name,
        path,
        spec.label.sql,
        "labels",
        spec.entity,
        known,
        views={"population": population},
        horizon=spec.label.horizon,
    )
    features = tuple(
        Features(feature_view(name, path, declared[feature], spec.entity, known), declared[feature].ttl)
        for feature in spec.features
    )
    return Folder(name, spec, population, labels, features)


def _view(
    name: str,
    path: Path,
    file: str,
    asset: str,
    entity: str,
    sources: Mapping[str, Relation],
    *,
    views: Mapping[str, View] | None = None,
    **window: object,
) -> View:
    found = path / file
    if not found.is_file():
        raise DeclarationError(f"{path / 'defs.yaml'}: there is no {file} beside it: write the query of {asset}")
    views = views or {}
    query = check(found.read_text(encoding="utf-8"), [*sources, *views], where=f"{name}/{file}")
    read = tuple(sources[relation] for relation in query.relations if relation in sources)
    upstream = tuple((relation, views[relation]) for relation in query.relations if relation in views)
    return View(f"{name}/{asset}", query, entity, read, upstream, **window)  # type: ignore[arg-type]
