"""What `dg scaffold defs ml_assets.components.Model NAME` writes: the same as `ml-assets new NAME`."""

from datetime import UTC, datetime

import dagster as dg

from ml_assets.components.resources import TreeResources
from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT
from ml_assets.spec.cadence import last_sunday


class ModelScaffolder(dg.Scaffolder):
    """A whole model folder, with a sample in the drop zone."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write the folder at the request's path.

        Raises:
            DeclarationError: the name is taken or no valid one, or a part of a folder was asked for.
        """
        from ml_assets.components.templates.folder import Place, write  # pyarrow: not at load

        if request.append or request.scaffold_format != "yaml":
            raise DeclarationError(
                "a model is a folder of YAML and SQL: run `dg scaffold defs ml_assets.components.Model NAME`"
            )
        path, settings = request.target_path, TreeResources(dg.ComponentTree.for_project(PROJECT)).settings
        place = Place(path.parent, settings.incoming, settings.lake)
        write(path.name, place, last_sunday(datetime.now(UTC).date()))
