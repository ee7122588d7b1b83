"""`<folder>/online_consistency`: whether what was served is what the offline store says."""

from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import when_undated_upstream_new
from ml_assets.components.metadata import check_result, table
from ml_assets.components.resources import LakeResource, RegistryResource

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.monitoring.log.consistency import Consistency
    from ml_assets.training.definition import ModelDefinition

CHECK = "online_offline_consistency"


def online_consistency(model: "Model", folder: "ModelDefinition") -> dg.AssetsDefinition:
    """The asset; its check fails where fewer vectors agree than `serve.consistency` asks for."""
    key, least = model.key("online_consistency"), model.spec.serve.consistency
    check = dg.AssetCheckSpec(
        CHECK, asset=key, description=f"{least:.4g} of the feature vectors that were served are what the lake says"
    )

    @model.asset(
        key,
        "duckdb",
        deps=[model.key("prediction_log")],
        checks=[check],
        automation_condition=when_undated_upstream_new(),
    )
    def online_consistency(lake: LakeResource, registry: RegistryResource) -> Result:
        """Feature vectors of the prediction log against the point-in-time join, of the last as-of dates."""
        from ml_assets.monitoring.log.consistency import consistency

        compared = consistency(lake.open(), registry.open(), folder, workers=lake.workers)
        return Result(
            metadata={"vectors": compared.vectors, "agreed": compared.agreed},
            check_results=[_checked(compared, least)],
        )

    return online_consistency


def _checked(compared: "Consistency", least: float) -> dg.AssetCheckResult:
    share = compared.share
    days = " and ".join(map(str, compared.days))
    return check_result(
        CHECK,
        passed=share is None or share >= least,
        warning=True,
        description="nothing was served from the online store yet"
        if share is None
        else f"{compared.agreed} of {compared.vectors} served feature vectors as of {days} are what the lake says",
        metadata={
            "vectors": compared.vectors,
            "limit": least,
            **({} if share is None else {"share": share}),
            "examples": table([each.row() for each in compared.examples]),
        },
    )
