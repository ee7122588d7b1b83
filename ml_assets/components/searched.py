"""`<folder>/search_index`: what was read can be found."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.condition import takes
from ml_assets.components.resources import LakeResource, lake_here
from ml_assets.settings import settings

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.training.folder import Folder
    from ml_assets.training.recipe import DocumentsSpec


def searched(model: "Model", folder: "Folder") -> list[dg.AssetsDefinition]:
    """The asset, where the model declares `documents`; it has no as-of date: a search is about what there is now."""
    spec = model.spec.documents
    if spec is None:
        return []
    sources = [model.key("raw", name) for name in (spec.source, spec.reviewed, spec.withdrawn) if name]

    @model.asset(
        model.key("search_index"),
        "lancedb",
        deps=[*sources, model.key("predictions")],
        automation_condition=takes(lambda: _behind(folder, spec)),
    )
    def search_index(lake: LakeResource) -> Result:
        """Documents by words and by meaning: what is new is added, what was withdrawn is gone, the rest stays."""
        from ml_assets.training.indexed import index

        done = index(lake.open(), folder, spec, settings().search / folder.name)
        return Result(metadata={"dagster/row_count": done.documents, **asdict(done)})

    return [search_index]


def _behind(folder: "Folder", spec: "DocumentsSpec") -> bool:
    """Whether the lake holds what cannot be found yet; asked when a condition is evaluated."""
    from ml_assets.training.indexed import behind

    return behind(lake_here(), folder, spec, settings().search / folder.name)
