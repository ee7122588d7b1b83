"""The project as the commands see it: its model folders, loaded once."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import dagster as dg

from ml_assets import defs
from ml_assets.components import Model, Source
from ml_assets.components.load_error import cause
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.components.tree import FolderTree
from ml_assets.errors import DeclarationError, list_values
from ml_assets.settings import Settings
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition

# Dagster marks parts of its own component loader as beta; the user of a command can do nothing about it.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dataclass(frozen=True)
class Project:
    """The loaded code location."""

    root: Path

    @cached_property
    def tree(self) -> FolderTree:
        """The component tree of `defs/`."""
        return FolderTree(defs_module=defs, project_root=self.root)

    @property
    def broken(self) -> dict[str, str]:
        """Folders that cannot be loaded, each with its error; the others are not concerned."""
        _ = self.definitions
        return self.tree.broken

    @cached_property
    def definitions(self) -> dg.Definitions:
        """All definitions.

        Raises:
            DeclarationError: a Python file of `defs/` is wrong; a folder that is wrong is one of `broken`.
        """
        try:
            return self.tree.build_defs()
        except Exception as error:
            raise DeclarationError(cause(error)) from error

    @cached_property
    def models(self) -> dict[str, Model]:
        """The model folders by name."""
        _ = self.definitions
        found = self.tree.get_all_components(of_type=Model)
        return {model.folder: model for model in sorted(found, key=lambda model: model.folder)}

    def model(self, name: str) -> Model:
        """One model folder.

        Raises:
            DeclarationError: there is none of that name, or its folder is broken; the message names file, line, remedy.
        """
        if name in self.broken:
            raise DeclarationError(self.broken[name])
        if name not in self.models:
            near = get_close_matches(name, [*self.models, *self.broken], n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {list_values(sorted(self.models), 12)}"
            raise DeclarationError(f"no model {name!r} in ml_assets/defs: {meant}")
        return self.models[name]

    def folder(self, name: str) -> ModelDefinition:
        """A model folder, checked."""
        return self.model(name).assemble(self.tree)

    def sources(self, name: str) -> Sequence[Source]:
        """The sources of a folder."""
        return self.model(name).siblings(self.tree, Source)

    def source(self, model: str, name: str) -> Source:
        """One source of a folder.

        Raises:
            DeclarationError: there is none of that name.
        """
        self.model(model)
        known = {source.spec.name: source for source in self.sources(model)}
        if name not in known:
            near = get_close_matches(name, known, n=1) or sorted(known)
            raise DeclarationError(f"{model} declares no source {name!r}: did you mean {' or '.join(near)}?")
        return known[name]

    @property
    def settings(self) -> Settings:
        """The settings of the project's resources."""
        return cast("Settings", self._resource("settings", Settings))

    @property
    def lake(self) -> Lake:
        """The lake of the project's resources."""
        return cast("LakeResource", self._resource("lake", LakeResource)).open()

    @property
    def registry(self) -> Registry:
        """The registry of the project's resources."""
        return cast("RegistryResource", self._resource("registry", RegistryResource)).open()

    def _resource(self, name: str, kind: type[Any]) -> Any:  # noqa: ANN401 - a resource
        found = (self.definitions.resources or {})[name]
        if not isinstance(found, kind):
            raise DeclarationError(f"the resource {name!r} is no {kind.__name__}: see ml_assets/defs/resources.py")
        return found
