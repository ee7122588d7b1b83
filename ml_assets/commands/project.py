"""The project as the commands see it: its model folders, loaded once."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import dagster as dg
import yaml
from dagster_shared.error import DagsterUnresolvableSymbolError
from pydantic import ValidationError

from ml_assets import components
from ml_assets.components import Model, Source
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.errors import DeclarationError
from ml_assets.lake import Lake
from ml_assets.registry import Registry
from ml_assets.settings import PROJECT
from ml_assets.training.folder import Folder

# Dagster marks parts of its own component loader as beta; the user of a command can do nothing about it.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dataclass(frozen=True)
class Project:
    """The loaded code location."""

    root: Path

    @cached_property
    def tree(self) -> dg.ComponentTree:
        """The component tree of `defs/`."""
        return dg.ComponentTree.for_project(self.root)

    @cached_property
    def definitions(self) -> dg.Definitions:
        """All definitions.

        Raises:
            DeclarationError: a `defs.yaml` or `.sql` file is wrong; the message names file, line and remedy.
        """
        try:
            return self.tree.build_defs()
        except Exception as error:
            raise DeclarationError(_cause(error)) from error

    @cached_property
    def models(self) -> dict[str, Model]:
        """The model folders by name."""
        _ = self.definitions
        found = self.tree.get_all_components(of_type=Model)
        return {model.folder: model for model in sorted(found, key=lambda model: model.folder)}

    def model(self, name: str) -> Model:
        """One model folder.

        Raises:
            DeclarationError: there is none of that name.
        """
        if name not in self.models:
            near = get_close_matches(name, self.models, n=1) or sorted(self.models)
            raise DeclarationError(f"no model {name!r} in ml_assets/defs: did you mean {' or '.join(near)}?")
        return self.models[name]

    def folder(self, name: str) -> Folder:
        """A model folder, checked."""
        return self.model(name).assemble(self.tree)

    def sources(self, name: str) -> Sequence[Source]:
        """The sources of a folder."""
        return self.model(name).siblings(self.tree, Source)

    @property
    def lake(self) -> Lake:
        """The lake of the project's resources."""
        return cast("LakeResource", self._resource("lake", LakeResource)).open()

    @property
    def registry(self) -> Registry:
        """The registry of the project's resources."""
        return cast("RegistryResource", self._resource("registry", RegistryResource)).open()

    def _resource(self, name: str, kind: type[Any]) -> Any:  # noqa: ANN401 - one of the two resources
        found = (self.definitions.resources or {})[name]
        if not isinstance(found, kind):
            raise DeclarationError(f"the resource {name!r} is no {kind.__name__}: see ml_assets/defs/resources.py")
        return found


def _cause(error: BaseException) -> str:
    """The innermost message of a load error, in one line: `file:line: what is wrong`."""
    if isinstance(error, DagsterUnresolvableSymbolError):
        return _unknown_type(str(error))
    if error.__cause__ is not None:
        return _cause(error.__cause__)
    if isinstance(error, ValidationError):
        return "; ".join(_refused(item) for item in error.errors())
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        where = f"{error.problem_mark.name}:{error.problem_mark.line + 1}"
        return (
            f"{where}: no YAML: {error.problem} {error.context or ''}: check brackets, quotes and indentation".strip()
        )
    return _with_line(" ".join(str(error).split()))


def _refused(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    where = " ".join(str(part) for part in item["loc"])
    placed = re.fullmatch(r"(?P<field>\S+) at (?P<file>.+:\d+)", where)  # as Dagster writes it
    where = f"{placed['file']}: {placed['field']}" if placed else where
    given = item.get("input")
    shown = "" if isinstance(given, dict) or str(given) in item["msg"] else f" (got {given!r})"
    return f"{where}: {item['msg'].removeprefix('Value error, ')}{shown}"


def _unknown_type(said: str) -> str:
    """A component type that is none. Dagster names no file, so every `defs.yaml` is searched for it."""
    known = [f"ml_assets.components.{name}" for name in components.__all__]
    wanted = ".".join(re.findall(r"`([^`]+)`", said))
    for path in sorted((PROJECT / "ml_assets" / "defs").rglob("defs.yaml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            named = re.match(r"type:\s*([\w.]+)", line)
            if named and named[1].startswith(wanted) and named[1] not in known:
                near = get_close_matches(named[1], known, n=1) or known
                return f"{path}:{number}: type: {named[1]!r} is no component type: did you mean {' or '.join(near)}?"
    return said


def _with_line(said: str) -> str:
    """`defs.yaml: …'value'…` with the line on which the value stands."""
    found = re.match(r"(?P<file>/.*?defs\.yaml): .*?(?:'(?P<value>[^']+)'|no (?P<sql>\S+\.sql))", said)
    if found is None:
        return said
    value = found["value"] or found["sql"]
    lines = Path(found["file"]).read_text(encoding="utf-8").splitlines()
    number = next((number for number, line in enumerate(lines, 1) if value in line.partition(" #")[0]), None)
    return said if number is None else said.replace(found["file"], f"{found['file']}:{number}", 1)
