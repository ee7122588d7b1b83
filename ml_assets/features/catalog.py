"""What feature views there are, for a person to look at."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.escaping import html
from ml_assets.features.declarations import DeclaredViews
from ml_assets.features.join import feature_columns
from ml_assets.features.view import TimedView
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CatalogEntry:
    """A feature view.

    Args:
        folder: the model folder.
        view: its name.
        entity: the column that identifies what it describes.
        columns: each column and its type; None where nothing was computed with this query yet.
        sources: what the query reads.
        ttl: how long its values may be used after their as-of date.
        refresh: how often online values are refreshed; None = each as-of date.
        freshness: how old its last computation may grow; None = any age.
        owners: e-mail addresses or `team:name`.
        description: what it says about the entity.
        sql: the query.
    """

    folder: str
    view: str
    entity: str
    columns: tuple[tuple[str, str], ...] | None
    sources: tuple[str, ...]
    ttl: timedelta
    refresh: timedelta | None
    freshness: timedelta | None
    owners: tuple[str, ...]
    description: str
    sql: str


class FeatureCatalog(tuple[CatalogEntry, ...]):
    """Feature views; a notebook shows them as a table."""

    __slots__ = ()

    def to_pandas(self) -> "pd.DataFrame":
        """One row for each view."""
        import pandas as pd

        return pd.DataFrame([asdict(view) for view in self], columns=[field.name for field in fields(CatalogEntry)])

    def _repr_html_(self) -> str:
        names = [field.name for field in fields(CatalogEntry)]
        rows = [[(name, _text(name, getattr(view, name))) for name in names] for view in self]
        return str(html("ml_assets.features", "catalog.html", names=names, rows=rows))


def feature_catalog(lake: Lake, folders: Iterable[DeclaredViews]) -> FeatureCatalog:
    """The views of model folders, with the columns that the lake holds of them.

    Raises:
        DeclarationError: an `.sql` file is missing or says what a query may not.
    """
    return FeatureCatalog(
        _entry(lake, folder, spec, folder.features[spec.name]) for folder in folders for spec in folder.views
    )


def _entry(lake: Lake, folder: DeclaredViews, spec: ViewSpec, features: TimedView) -> CatalogEntry:
    return CatalogEntry(
        folder=folder.name,
        view=spec.name,
        entity=folder.model.entity,
        columns=_columns(lake, features),
        sources=tuple(relation.name for relation in features.view.relations),
        ttl=spec.ttl,
        refresh=spec.refresh,
        freshness=spec.freshness,
        owners=spec.owners,
        description=spec.description,
        sql=features.view.query.sql,
    )


def _columns(lake: Lake, features: TimedView) -> tuple[tuple[str, str], ...] | None:
    if lake.version(features.view.kept) is None:
        return None
    schema = lake.schema(features.view.kept)
    return tuple((name, str(schema.field(name).type)) for name in feature_columns(lake, features.view))


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - of any field
    if name == "columns":
        value = ", ".join(f"{column} ({kind})" for column, kind in value or ()) or "not computed yet"
    if isinstance(value, tuple):
        value = ", ".join(value)
    return "" if value is None else str(value)
