"""A model folder, checked and ready to run: declarations and SQL in, views out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DeclarationError, list_values
from ml_assets.features.declarations import features, relations, require_different, view
from ml_assets.features.view import Relation, TimedView, View
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.tables import ModelTables

if TYPE_CHECKING:
    from ml_assets.training.task.task import Task

_OWN = ("as_of", "row_as_of", "label")
"""Columns of a training set that are not features."""


@dataclass(frozen=True)
class ModelDefinition:
    """The declaration of a model: a `defs.yaml` and its `.sql` files.

    Args:
        name: the folder's name, which is the model's: key prefix and group.
        spec: the model.
        population: the view of who is scored.
        labels: the view of what happened.
        features: the model's feature views, in the order of its declaration.
        extract: of a model of documents, what names their extractor.
        groups: the view of the groups whose treatment is compared, which are no input; None: none are declared.
    """

    name: str
    spec: ModelSpec
    population: View
    labels: View
    features: tuple[TimedView, ...]
    extract: str | None = None
    groups: View | None = None

    @property
    def tables(self) -> ModelTables:
        """The names of the model's tables."""
        return ModelTables(self.name)

    @property
    def task(self) -> "Task":
        """The task of its kind of label."""
        from ml_assets.training.task.tasks import task_of  # numpy, pyarrow: not at load

        return task_of(self.spec.label.classes)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the features, in order; None where a view's query does not tell them (`SELECT *`)."""
        listed = [item.view.query.columns for item in self.features]
        named_columns = [columns for columns in listed if columns is not None]
        if len(named_columns) < len(listed):
            return None
        return tuple(name for columns in named_columns for name in columns if name != self.spec.entity)


def assemble(
    name: str, path: Path, spec: ModelSpec, sources: Sequence[SourceSpec], views: Sequence[ViewSpec]
) -> ModelDefinition:
    """Check a folder as a whole.

    Args:
        name: the folder's name, which is the model's.
        path: of the folder, in which the files of SQL are.
        spec: the model.
        sources: of the folder.
        views: its feature views; those that the model does not name are left out.

    Raises:
        DeclarationError: a file is missing, a query says what it may not, or a name is not declared.
    """
    tables = relations(name, sources)
    require_different("FeatureView", [view.name for view in views])
    declared = {spec.name: spec for spec in views}
    for feature in spec.features:
        if feature not in declared:
            near = get_close_matches(feature, declared, n=1) or sorted(declared)
            raise DeclarationError(
                f"{path / 'defs.yaml'}: features names {feature!r}, which is no FeatureView: use {' or '.join(near)}"
            )
    population = view(name, path, spec.population, "population", spec.entity, tables)
    labels = view(
        name,
        path,
        spec.label.sql,
        "labels",
        spec.entity,
        tables,
        views={"population": population},
        lookback=spec.label.lookback,
        horizon=spec.label.horizon,
        outcome=spec.label.outcome,
    )
    used = tuple(features(name, path, declared[feature], spec.entity, tables) for feature in spec.features)
    _check_documents(spec, sources)
    extract = next((each.extract for each in sources if spec.documents and each.name == spec.documents.source), None)
    groups = _groups(name, path, spec, tables, population)
    folder = ModelDefinition(name, spec, population, labels, used, extract, groups)
    _check_columns(folder)
    return folder


def _groups(name: str, path: Path, spec: ModelSpec, tables: Mapping[str, Relation], population: View) -> View | None:
    """The view of the groups, with the columns that are declared."""
    declared = spec.fairness
    if declared is None:
        return None
    views = {"population": population}
    groups = view(name, path, declared.sql, "fairness_report/groups", spec.entity, tables, views=views)
    columns = [column for column in groups.query.columns or declared.groups if column != spec.entity]
    for column in declared.groups:
        if column not in columns:
            near = get_close_matches(column, columns, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {list_values(columns, 8)}"
            raise DeclarationError(f"fairness.groups: {column!r} is no column of {declared.sql}: {hint}")
    return groups


def require_features(names: Iterable[str], columns: Sequence[str], field: str) -> None:
    """Refuse a name that is not a feature.

    Raises:
        DeclarationError: naming field, name and the nearest feature.
    """
    for name in names:
        if name not in columns:
            near = get_close_matches(name, columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"features are {list_values(columns, 8)}"
            raise DeclarationError(f"{field} names {name!r}, which is not a feature: {hint}")


def _check_columns(folder: ModelDefinition) -> None:
    """Check the columns that the texts of the queries name, before any row is there."""
    views = [folder.population, folder.labels, *(item.view for item in folder.features)]
    for each in [*views, *([folder.groups] if folder.groups else [])]:
        if each.query.columns is not None and each.entity not in each.query.columns:
            raise DeclarationError(
                f"{each.query.where} returns no column {each.entity!r}: select it, one row per entity"
            )
    owners: dict[str, str] = dict.fromkeys(_OWN, "the training set itself")
    for item in folder.features:
        file = item.view.query.where
        for name in [name for name in item.view.query.columns or () if name != folder.spec.entity]:
            if (other := owners.setdefault(name.lower(), file)) != file:
                raise DeclarationError(
                    f"{file} and {other} both have a column {name!r} (case does not count): rename one"
                )
    if folder.columns is not None:
        require_features(folder.spec.slices, folder.columns, "slices")
        require_features(folder.spec.text.columns if folder.spec.text else (), folder.columns, "text.columns")


def _check_documents(spec: ModelSpec, sources: Sequence[SourceSpec]) -> None:
    names = [source.name for source in sources]
    for field in ("source", "reviewed", "withdrawn") if spec.documents else ():
        name = getattr(spec.documents, field)
        if name is not None and name not in names:
            near = get_close_matches(name, names, n=1) or sorted(names)
            raise DeclarationError(f"documents.{field} names {name!r}, which is not a source: use {' or '.join(near)}")
