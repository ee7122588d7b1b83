"""`<folder>/fairness_report`: whether declared groups are treated alike, with a check for each metric that judges."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result, as_of
from ml_assets.components.metadata import check_result, picture, table
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.decisions.fairness import FairnessStatus, decide_metric, largest_difference

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.spec.fairness import FairnessSpec
    from ml_assets.training.definition import ModelDefinition
    from ml_assets.training.fairness_record import FairnessReport


def fairness_report(model: "Model", folder: "ModelDefinition") -> list[dg.AssetsDefinition]:
    """The asset, where the model declares groups."""
    spec = model.spec.fairness
    if spec is None or folder.groups is None:
        return []
    key = model.key("fairness_report")
    read = [dg.AssetKey.from_user_string(relation.table) for relation in folder.groups.relations]

    @model.asset(
        key,
        "scikitlearn",
        "mlflow",
        deps=[model.key("evaluation_report"), *read],
        checks=fairness_checks(key, spec),
        cadence=model.spec.cadence,
    )
    def fairness_report(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
        """Rates of declared groups on the test rows, each against all others; what is not known is said."""
        from ml_assets.training.fairness import report_fairness
        from ml_assets.training.train import candidate

        store, versions = lake.open(), registry.open()
        version = candidate(store, versions, folder, as_of(context))
        report = report_fairness(store, versions, folder, version, workers=lake.workers)
        return Result(metadata=fairness_metadata(report), check_results=[*fairness_results(report, spec)])

    return [fairness_report]


def fairness_checks(key: dg.AssetKey, spec: "FairnessSpec") -> list[dg.AssetCheckSpec]:
    """A check for each metric that judges. It blocks nothing by itself: the record of the release does."""
    words = f"no group differs from all others by more than {spec.at_most:g}"
    return [dg.AssetCheckSpec(metric, asset=key, description=f"{metric}: {words}") for metric in spec.metrics]


def fairness_metadata(report: "FairnessReport") -> dict[str, Any]:
    """What a person looks at: the picture, the outcome, the tables."""
    outcome, record = report.outcome, report.record
    return {
        "plot": picture(report.plot, "differences of groups, with intervals that hold all at once"),
        "version": report.version.number,
        "status": outcome.status,
        "reason": outcome.reason,
        "largest_difference": outcome.value,
        "limit": outcome.limit,
        "entities": record.entities,
        "test_rows": record.rows,
        "groups": table(report.rows()),
        "what_equality_costs": table(report.costs()),
        "four_fifths": table(report.ratios()),
        "evidence": outcome.evidence,
    }


def fairness_results(report: "FairnessReport", spec: "FairnessSpec") -> Iterator[dg.AssetCheckResult]:
    """What is not judged is a warning: it has neither passed nor failed, and blocks nothing."""
    for metric in spec.metrics:
        found = decide_metric(report.policy, report.verdict, metric, report.record.entities)
        value = largest_difference(found.numbers)
        yield check_result(
            metric,
            passed=found.action is FairnessStatus.PASSED,
            warning=found.action is FairnessStatus.NOT_JUDGED,
            description=found.reason,
            metadata={
                "status": found.action.value,
                "limit": spec.at_most,
                **({} if value is None else {"value": value}),
            },
        )
