"""The feature store of a project, for notebooks and scripts: what there is, training sets, online values."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pyarrow as pa

from ml_assets.errors import DataError, DeclarationError
from ml_assets.features import entities as rows_of
from ml_assets.features.catalog import FeatureCatalog, feature_catalog
from ml_assets.features.declarations import Folders, read_folders
from ml_assets.features.online.ledger import ledger
from ml_assets.features.online.reader import OnlineReader, OnlineRow
from ml_assets.features.online.store import OnlineStore, open_store
from ml_assets.features.refs import FeatureRef, folder_of, parse_refs, view_of
from ml_assets.features.training_set import EntityRows, features_at
from ml_assets.settings import PROJECT, Settings, read_settings
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import pandas as pd

Entities = TypeVar("Entities", "pd.DataFrame", pa.Table)


class FeatureStore(AbstractContextManager["FeatureStore"]):
    """The feature views of all model folders.

    Declarations, and which features the champion is served with, are read once; `reload` reads them again.

    Args:
        lake: the lake, or its root; default: that of the settings.
        online: the online store, or its URL; default: that of the settings.
        defs: the folder that holds the model folders; default: the project's.
        workers: as-of dates computed or read side by side; default: that of the settings.
        settings: where everything lies; default: the environment says it, which is read here.
    """

    def __init__(
        self,
        lake: Lake | str | None = None,
        online: OnlineStore | str | None = None,
        defs: Path | None = None,
        *,
        workers: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or read_settings()
        root = settings.lake_url if lake is None else lake
        self.lake = Lake(root) if isinstance(root, str) else root
        self._online = settings.online_url if online is None else online
        self._defs = defs or PROJECT / "ml_assets" / "defs"
        self._workers = settings.workers if workers is None else workers
        self._readers: dict[tuple[str, ...], OnlineReader] = {}

    def list_views(self) -> FeatureCatalog:
        """Every feature view: columns, sources, TTL, refresh, owners, query. A folder that is broken is warned of.

        Raises:
            DeclarationError: an `.sql` file says what cannot be run.
        """
        for error in self._folders.broken.values():
            warnings.warn(f"left out: {error}", stacklevel=2)
        return feature_catalog(self.lake, self._folders.values())

    def training_set(self, entities: Entities, features: Sequence[str], *, timestamp: str | None = None) -> Entities:
        """The rows of `entities`, in their order, each with the features that were in force at its own moment.

        In force is the latest as-of date on the model's cadence that is not after the timestamp, and less than the
        view's TTL before it; what is stamped `T` was known strictly before `T`. A row without features has nulls. Views
        are computed where they are not yet.

        Args:
            entities: the models' entities, a timestamp (without a zone it is UTC), and other columns, which stay.
            features: `folder/view`, or `folder/view:column`; their columns follow in this order.
            timestamp: the column that says when; default: the only one that holds times.

        Returns:
            What was given, with its index: a DataFrame or an Arrow table.

        Raises:
            DataError: an entity or a timestamp is null, or of another type than the views'.
            DeclarationError: there is no such view or column, or a name comes twice.
        """
        refs, when = parse_refs(features), timestamp or rows_of.timestamp_column(entities)
        views = {(one.folder, one.view): view_of(one, self._folders) for one in refs}
        keys: dict[str, str] = {folder: self._folders[folder].model.entity for folder, _ in views}
        table = rows_of.to_arrow(entities, [when, *sorted(set(keys.values()))])
        for name in table.column_names:
            rows_of.require_values(table[name], name)
        moments = rows_of.moments(table[when], when)
        rows = {name: EntityRows(table[keys[name]], moments, self._folders[name].model.cadence) for name in keys}
        tables = {
            key: features_at(self.lake, rows[key[0]], view, _columns(refs, *key), workers=self._workers)
            for key, view in views.items()
        }
        parts = [tables[one.folder, one.view] for one in refs]
        return cast("Entities", rows_of.join_columns(entities, parts, [one.column for one in refs]))

    def online(self, entities: Sequence[object], features: Sequence[str]) -> list[OnlineRow | None]:
        """What the online store holds of entities for the champion of one model; None where it knows nobody.

        Args:
            entities: text or integers.
            features: `folder/view`, or `folder/view:column`, all of one folder.

        Raises:
            DataError: nothing was written yet, or the champion is not served with one of the features.
            OnlineStoreError: the store does not answer.
        """
        reader = self._readers.get(names := tuple(features)) or self._reader(names)
        return reader([*map(_text, entities)])

    def reload(self) -> None:
        """Read declarations again, and which features the champion is served with."""
        self._readers.clear()
        self.__dict__.pop("_folders", None)

    def close(self) -> None:
        """Give the connections to the online store back."""
        if "_store" in self.__dict__:
            self._store.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _folders(self) -> Folders:
        return read_folders(self._defs)

    @cached_property
    def _store(self) -> OnlineStore:
        return open_store(self._online) if isinstance(self._online, str) else self._online

    def _reader(self, names: tuple[str, ...]) -> OnlineReader:
        refs = parse_refs(names)
        folders = sorted({one.folder for one in refs})
        if len(folders) > 1:
            raise DeclarationError(
                f"online features of {' and '.join(folders)}: each model has its own, ask one by one"
            )
        last_write = ledger(folder_of(folders[0], self._folders).name).last(self.lake)
        if last_write is None:
            raise DataError(f"{folders[0]} has no online features yet: materialize {folders[0]}/online_features")
        reader = OnlineReader(self._store, last_write.feature_set, [(one.view, one.column) for one in refs])
        return self._readers.setdefault(names, reader)


def _text(entity: object) -> str:
    """An entity as the store names it: a whole number that pandas made a float is that number."""
    return str(int(entity)) if isinstance(entity, float) and entity.is_integer() else str(entity)


def _columns(asked: Sequence[FeatureRef], folder: str, view: str) -> tuple[str, ...] | None:
    """The columns that are asked for of a view; None = all."""
    names = [one.column for one in asked if (one.folder, one.view) == (folder, view)]
    columns = [name for name in names if name is not None]
    return tuple(columns) if len(columns) == len(names) else None
