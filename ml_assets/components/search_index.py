"""`<folder>/search_index`: what was read can be found."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import when_rows_wait
from ml_assets.components.metadata import check_result, table
from ml_assets.components.resources import LakeResource, SettingsResource, TreeResources

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.search.relevance_gate import Relevance
    from ml_assets.spec.model import DocumentsSpec
    from ml_assets.training.definition import ModelDefinition

CHECK = "relevance"


def search_index(model: "Model", folder: "ModelDefinition", resources: TreeResources) -> list[dg.AssetsDefinition]:
    """The asset, where the model declares `documents`; it has no as-of date: a search is about what there is now."""
    spec = model.spec.documents
    if spec is None:
        return []
    sources = [model.key("raw", name) for name in (spec.source, spec.reviewed, spec.withdrawn) if name]

    key, least = model.key("search_index"), spec.relevance
    check = dg.AssetCheckSpec(CHECK, asset=key, description=f"nDCG@10 of the search is {least:.4g} or more")

    @model.asset(
        key,
        "lancedb",
        deps=[*sources, model.key("predictions")],
        checks=[check],
        automation_condition=when_rows_wait(lambda: _behind(resources, folder, spec)),
    )
    def search_index(lake: LakeResource, settings: SettingsResource) -> Result:
        """Documents by words and by meaning: what is new is added, what was withdrawn is gone, the rest stays."""
        from ml_assets.search.relevance_gate import relevance
        from ml_assets.search.sync import update_index

        location = settings.search / folder.name
        done = update_index(lake.open(), folder, spec, location, settings.embedding_model)
        report = relevance(lake.open(), folder, spec, location)
        return Result(
            metadata={"dagster/row_count": done.documents, **asdict(done)}, check_results=[_checked(report, least)]
        )

    return [search_index]


def _checked(report: "Relevance", least: float) -> dg.AssetCheckResult:
    """Hybrid search against its parts, on the same questions."""
    gains = {f"hybrid_minus_{mode}": gain.estimate for mode, gain in report.gains.items()}
    return check_result(
        CHECK,
        passed=report.passes(least),
        description=f"{report.questions} questions" if report.questions else "too few documents to ask for any",
        metadata={"limit": least, "questions": report.questions, "modes": table(report.rows()), **gains},
    )


def _behind(resources: TreeResources, folder: "ModelDefinition", spec: "DocumentsSpec") -> bool:
    """Whether the lake holds what cannot be found yet; asked when a condition is evaluated."""
    from ml_assets.search.sync import is_behind

    settings = resources.settings
    return is_behind(resources.lake, folder, spec, settings.search / folder.name, settings.embedding_model)
