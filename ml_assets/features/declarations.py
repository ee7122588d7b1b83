"""What a model folder declares of its features: `defs.yaml` and `.sql` files in, views out. No Dagster is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ml_assets.errors import DeclarationError
from ml_assets.features.query import check
from ml_assets.features.view import Relation, TimedView, View
from ml_assets.spec.load import load_folder, model_folders, with_line
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.tables import ModelTables


@dataclass(frozen=True)
class DeclaredViews:
    """The feature views of a model folder.

    Args:
        path: the folder.
        model: what they describe.
        sources: what queries may read.
        views: the declared views, in their order.
    """

    path: Path
    model: ModelSpec
    sources: tuple[SourceSpec, ...]
    views: tuple[ViewSpec, ...]

    @property
    def name(self) -> str:
        """The folder's name, which is the model's."""
        return self.path.name

    @cached_property
    def features(self) -> dict[str, TimedView]:
        """The views by name, checked.

        Raises:
            DeclarationError: an `.sql` file is missing or says what a query may not.
        """
        sources = relations(self.name, self.sources)
        return {spec.name: features(self.name, self.path, spec, self.model.entity, sources) for spec in self.views}


class Folders(dict[str, DeclaredViews]):
    """Model folders by name; `broken` says of each that cannot be read why, and no other is concerned."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: dict[str, str] = {}


def read_folders(defs: Path) -> Folders:
    """The model folders below `defs`.

    Raises:
        DeclarationError: there is none.
    """
    folders = Folders()
    for path in model_folders(defs):
        try:
            specs = load_folder(path)
            found = [DeclaredViews(path, model, specs.sources, specs.views) for model in specs.models]
            _ = [views.features for views in found]
        except DeclarationError as error:
            folders.broken[path.name] = with_line(str(error))
        else:
            folders.update({views.name: views for views in found})
    if not folders and not folders.broken:
        raise DeclarationError(f"{defs} holds no model folder: name the folder that holds <model>/defs.yaml")
    return folders


def relations(name: str, sources: Sequence[SourceSpec]) -> dict[str, Relation]:
    """The sources of a folder as queries see them.

    Raises:
        DeclarationError: two have the same name; DuckDB does not tell `A` from `a`.
    """
    require_different("Source", [source.name for source in sources])
    tables = ModelTables(name)
    return {s.name: Relation(s.name, tables.raw(s.name), s.event_time, s.known_at, tuple(s.key)) for s in sources}


def require_different(kind: str, names: Sequence[str]) -> None:
    """Refuse two components of a kind under one name.

    Raises:
        DeclarationError: naming the first that repeats.
    """
    plain = [name.lower() for name in names]
    for name, folded in zip(names, plain, strict=True):
        if plain.count(folded) > 1:
            raise DeclarationError(f"two components {kind} are named {name!r}: rename one of them")


def feature_view(name: str, path: Path, spec: ViewSpec, entity: str, sources: Mapping[str, Relation]) -> View:
    """One feature view of a folder.

    Args:
        name: of the folder.
        path: the folder, which holds the `.sql` files.
        spec: the declared view.
        entity: the column that identifies what is scored.
        sources: what the query may read, by name.

    Raises:
        DeclarationError: its `.sql` file is missing or says what a query may not.
    """
    return view(name, path, spec.sql, f"features/{spec.name}", entity, sources, lookback=spec.lookback)


def features(name: str, path: Path, spec: ViewSpec, entity: str, sources: Mapping[str, Relation]) -> TimedView:
    """One feature view of a folder, with how long its values hold and how often they are refreshed.

    Args:
        name: of the folder.
        path: the folder, which holds the `.sql` files.
        spec: the declared view.
        entity: the column that identifies what is scored.
        sources: what the query may read, by name.

    Raises:
        DeclarationError: its `.sql` file is missing or says what a query may not.
    """
    return TimedView(feature_view(name, path, spec, entity, sources), spec.ttl, spec.refresh)


def view(
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
    """A query of a folder as a view: a label, the population, or features.

    Args:
        name: of the folder.
        path: the folder, which holds the `.sql` files.
        file: the query's file, below the folder.
        asset: what the view is called below the folder's name.
        entity: the column that identifies what is scored.
        sources: what the query may read, by name.
        views: other views that the query may read, by name.
        window: `lookback`, `horizon` and `outcome` of the `View`.

    Raises:
        DeclarationError: its `.sql` file is missing or says what a query may not.
    """
    sql_file = path / file
    if not sql_file.is_file():
        raise DeclarationError(f"{path / 'defs.yaml'}: there is no {file} beside it: write the query of {asset}")
    views = views or {}
    query = check(sql_file.read_text(encoding="utf-8"), [*sources, *views], where=f"{name}/{file}")
    read = tuple(sources[relation] for relation in query.relations if relation in sources)
    upstream = tuple((relation, views[relation]) for relation in query.relations if relation in views)
    return View(f"{name}/{asset}", query, entity, read, upstream, **window)  # type: ignore[arg-type]
