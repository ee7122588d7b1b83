"""`<folder>/review_files`: outcomes that say what a document is, as files of the source of reviews."""

from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import when_undated_upstream_new
from ml_assets.components.resources import LakeResource, SettingsResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml_assets.components.model import Model
    from ml_assets.spec.source import SourceSpec
    from ml_assets.training.definition import ModelDefinition


def review_files(
    model: "Model", folder: "ModelDefinition", sources: "Sequence[SourceSpec]"
) -> list[dg.AssetsDefinition]:
    """The asset, where the model declares a source of reviews and its files lie in our drop zone."""
    name = model.spec.documents and model.spec.documents.reviewed
    files = next((source.files for source in sources if source.name == name), "://")
    if "://" in files:
        return []

    @model.asset(
        model.key("review_files"),
        "duckdb",
        deps=[model.key("prediction_log")],
        automation_condition=when_undated_upstream_new(),
    )
    def review_files(lake: LakeResource, settings: SettingsResource) -> Result:
        """Reviews that the source does not hold yet, as one file of its drop zone: labels of the next training."""
        from ml_assets.monitoring.log.reviews import deliver

        drop = settings.incoming / files.rpartition("/")[0]
        return Result(metadata={"reviews_delivered": deliver(lake.open(), folder, drop)})

    return [review_files]
