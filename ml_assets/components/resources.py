"""The resources of assets and sensors, and how conditions, which Dagster hands none, find the same ones."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.errors import DeclarationError
from ml_assets.settings import Settings
from ml_assets.storage.registry import Registry

if TYPE_CHECKING:
    from ml_assets.storage.lake import Lake


SettingsResource = dg.ResourceParam[Settings]
"""The resource `settings`. It is the object itself: Dagster would show what a resource is configured by."""


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
        # Dagster puts a variable's value in its place where it sets a resource up; a command does not ask it to.
        uri = self.uri.get_value() or "" if isinstance(self.uri, dg.EnvVar) else self.uri
        return Registry(uri, self.artifacts, self.ui)


class TreeResources:
    """What `defs/resources.py` configures, for conditions and for what is decided while definitions load.

    Args:
        tree: the component tree whose folder holds the file.
    """

    def __init__(self, tree: dg.ComponentTree) -> None:
        self._tree = tree

    @property
    def lake(self) -> "Lake":
        """The lake of the resource `lake`."""
        return cast("LakeResource", self._resource("lake", LakeResource)).open()

    @property
    def registry(self) -> Registry:
        """The registry of the resource `registry`."""
        return cast("RegistryResource", self._resource("registry", RegistryResource)).open()

    @property
    def settings(self) -> Settings:
        """The resource `settings`."""
        return cast("Settings", self._resource("settings", Settings))

    def _resource(self, name: str, kind: type[Any]) -> object:
        resource = self._resources.get(name)
        if not isinstance(resource, kind):
            raise DeclarationError(f"the resource {name!r} is not a {kind.__name__}: see defs/resources.py")
        return resource

    @cached_property
    def _resources(self) -> dict[str, Any]:
        """Asked when they are needed: a condition when it is evaluated."""
        definitions = self._tree.build_defs_at_path(self._tree.defs_module_path / "resources.py")
        return dict(definitions.resources or {})
