"""The lake and the registry as Dagster resources, and the stores of this process's settings."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.settings import settings
from ml_assets.storage.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml_assets.events.store import EventStore
    from ml_assets.storage.lake import Lake


def lake_here() -> "Lake":
    """The lake of this process's settings, where Dagster hands out no resource: in conditions."""
    from ml_assets.storage.lake import Lake  # deltalake, pyarrow: not at load

    return Lake(settings().lake_url)


@contextmanager
def event_store_here() -> "Iterator[EventStore]":
    """The event store of this process's settings."""
    from ml_assets.events.store import EventStore  # sqlalchemy: not at load

    with EventStore(settings().event_store_url) as store:
        yield store


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Delta tables, queried by DuckDB in memory."""

    root: str
    workers: int
    duckdb: dg.ResourceDependency[DuckDBResource]

    def open(self) -> "Lake":
        """The lake."""
        from ml_assets.storage.lake import Lake  # deltalake, pyarrow: not at load

        return Lake(self.root, self.duckdb.get_connection)


class RegistryResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow tracking and model registry."""

    uri: str
    artifacts: str | None
    ui: str

    def open(self) -> Registry:
        """The registry."""
        return Registry(self.uri, self.artifacts, self.ui)
