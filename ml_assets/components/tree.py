"""Dagster's tree of `defs/`, in which a folder that cannot be loaded stops no other."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster.components.core.decl import ComponentDecl, DefsFolderDecl, build_component_decl_from_python_file
from dagster.components.core.defs_module import ComponentPath

from ml_assets.components.folder_decl import declare_folder
from ml_assets.components.load_error import load_error
from ml_assets.components.naming import BROKEN, check_names
from ml_assets.escaping import markdown
from ml_assets.spec.load import model_folders

if TYPE_CHECKING:
    from dagster.components.core.defs_module import ResolvableToComponentLoc as Place


class FolderTree(dg.ComponentTree):
    """The component tree, folder by folder: `broken` are those left out, each with its error."""

    @property
    def broken(self) -> dict[str, str]:
        """Folder → why it cannot be loaded: `file:line: what is wrong`.

        Raises:
            Exception: a Python file of `defs/` cannot be loaded.
        """
        _ = self._definitions
        return self._failed

    def build_defs(self, loc: "Place | None" = None) -> dg.Definitions:
        """All definitions; a broken folder is one asset, so that the UI shows its error where its model would be.

        Raises:
            Exception: a Python file of `defs/` cannot be loaded.
        """
        return self._definitions if loc is None else super().build_defs(loc)

    @cached_property
    def _definitions(self) -> dg.Definitions:
        """Built once and validated as a whole; only if that fails is each folder validated, to find whose fault it is.

        Dagster validates the same object when it serves it, and finds that done.
        """
        folders = self._build()
        try:
            definitions = self._merge(folders)
            dg.Definitions.validate_loadable(definitions)
        except Exception:  # noqa: BLE001 - whatever Dagster raises; it does not say of which folder
            definitions = self._merge(self._build(validated=True))
        return definitions

    def _build(self, *, validated: bool = False) -> list[dg.Definitions]:
        """What stands in each file and folder, without the folders that cannot be loaded."""
        built = []
        for path in [*self._declared]:
            try:
                built.append(self.build_defs_at_path(path))
                if validated and path.is_dir():
                    self._validate(built[-1])
            except Exception as error:  # whatever Dagster, pydantic, YAML or DuckDB raise is this folder's error
                if not path.is_dir():
                    raise
                self._leave_out(path, error)
        return built

    def _merge(self, folders: list[dg.Definitions]) -> dg.Definitions:
        stand_ins = [
            dg.AssetSpec([folder, BROKEN], description=markdown(error), group_name=name, kinds={BROKEN})
            for (folder, error), name in zip(self._failed.items(), check_names(self._failed), strict=True)
        ]
        # The root of Dagster's own tree adds components made in its UI, and what it needs to make them: ours are files.
        return dg.Definitions.merge(*folders, dg.Definitions(assets=stand_ins, component_tree=self))

    @cached_property
    def _declared(self) -> dict[Path, ComponentDecl[Any]]:
        """What stands in `defs/`, as far as it can be read."""
        root = self.decl_load_context.for_component_loc(ComponentPath.from_path(self.defs_module_path))
        declared: dict[Path, ComponentDecl[Any]] = {}
        for path in self._paths():
            try:
                context = root.for_component_loc(ComponentPath.from_path(path))
                decl = declare_folder(context) if path.is_dir() else build_component_decl_from_python_file(context)
            except Exception as error:
                if not path.is_dir():
                    raise
                self._leave_out(path, error)
            else:
                declared[path] = decl
        return declared

    @cached_property
    def _failed(self) -> dict[str, str]:
        return {}

    def _paths(self) -> list[Path]:
        """Model folders, and the Python files that stand beside them."""
        folders = model_folders(self.defs_module_path)
        files = [
            file for place in {self.defs_module_path, *(path.parent for path in folders)} for file in place.glob("*.py")
        ]
        return sorted([*folders, *(file for file in files if file.name != "__init__.py")])

    def _leave_out(self, path: Path, error: Exception) -> None:
        self._failed[path.name] = load_error(error, path)
        self.__dict__.get("_declared", {}).pop(path, None)

    def _validate(self, folder: dg.Definitions) -> None:
        """What Dagster looks at only when it puts all folders together: keys that repeat, jobs, partitions."""
        files = [self.build_defs_at_path(path) for path in self._declared if path.stem == "resources"]
        dg.Definitions.validate_loadable(dg.Definitions.merge(folder, *files))

    def _get_filesystem_decl(self) -> ComponentDecl[Any]:
        """Dagster's own stops at the first file that it cannot read."""
        loc = ComponentPath.from_path(self.defs_module_path)
        return DefsFolderDecl(
            context=self.decl_load_context.for_component_loc(loc),
            loc=loc,
            children=dict(self._declared),
            source_tree=None,
            component_file_model=None,
        )
