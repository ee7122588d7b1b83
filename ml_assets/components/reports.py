"""`<folder>/drift_report`, `performance_report`, `prediction_report`: what is seen of the champion at an as-of date."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result, as_of
from ml_assets.components.metadata import check_result, picture, table
from ml_assets.components.naming import check_names
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.settings import settings

if TYPE_CHECKING:
    from ml_assets.monitoring.drift.feature import FeatureDrift
    from ml_assets.monitoring.drift.report import DriftReport
    from ml_assets.monitoring.performance.table import PerformanceReport
    from ml_assets.monitoring.predictions.table import PredictionReport
    from ml_assets.spec.drift import DriftSpec
    from ml_assets.spec.performance import PerformanceSpec
    from ml_assets.training.definition import ModelDefinition

NOBODY = "there is no champion yet: nobody to watch"


def drift(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    registry: RegistryResource,
    folder: "ModelDefinition",
    spec: "DriftSpec",
) -> "DriftReport | str":
    """The drift report of the run's as-of date; it is kept, so asking again costs little. Text: why there is none."""
    from ml_assets.monitoring.drift.report import drift_report
    from ml_assets.monitoring.drift.samples import EmptySampleError

    if registry.open().champion(folder.name) is None:
        return NOBODY
    try:
        return drift_report(
            lake.open(), registry.open(), folder, spec, as_of(context), pages=settings().reports, workers=lake.workers
        )
    except EmptySampleError as error:
        context.log.warning(str(error))
        return str(error)


def performance(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    registry: RegistryResource,
    folder: "ModelDefinition",
    spec: "PerformanceSpec",
) -> "PerformanceReport":
    """The performance report of the run's as-of date; it is kept."""
    from ml_assets.monitoring.performance.report import performance_report

    return performance_report(lake.open(), registry.open(), folder, spec, as_of(context), workers=lake.workers)


def predicted(
    context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource, folder: "ModelDefinition"
) -> "PredictionReport":
    """The prediction report of the run's as-of date; it is kept."""
    from ml_assets.monitoring.predictions.report import prediction_report

    return prediction_report(lake.open(), registry.open(), folder, as_of(context), workers=lake.workers)


def checks(spec: "DriftSpec") -> dict[str, str | None]:
    """The drift report's checks: one for the common limits, and for each feature with its own one that names it."""
    own: list[str | None] = [*spec.features]
    names = check_names([*_COMMON, *(f"drift_{feature}" for feature in own)])
    return dict(zip(names, [None] * len(_COMMON) + own, strict=True))


def shown_drift(done: "DriftReport | str", spec: "DriftSpec") -> Result:
    """The drift report in the UI."""
    names = checks(spec)
    if isinstance(done, str):
        return Result(metadata={"reason": done}, check_results=[_passed(name, done) for name in names])
    links = {"page": done.html, "evidently": done.evidently}
    psi = {f"psi_{name}": feature.psi for name, feature in done.features.items() if feature.psi is not None}
    return Result(
        metadata={
            "features": table([{"feature": name, **_row(feature)} for name, feature in done.features.items()]),
            **done.metadata(),
            **psi,
            **{name: dg.MetadataValue.path(path) for name, path in links.items() if path},
        },
        check_results=[
            _answers("score_drift", done.scores),
            _answers("attribution_drift", done.attribution),
            *(
                _check(name, done.features, [own] if own else done.features.keys() - spec.features.keys())
                for name, own in names.items()
                if name not in _OF_ANSWERS
            ),
        ],
    )


def shown_performance(done: "PerformanceReport", metric: str) -> Result:
    """The performance report in the UI."""
    plots = {"plot": picture(done.plot(metric), "measured and estimated performance")} if done.rows else {}
    return Result(metadata={**plots, **done.metadata(), "groups": table(done.table())})


def shown_predictions(done: "PredictionReport") -> Result:
    """The prediction report in the UI."""
    plots = {"plot": picture(done.plot(), "scores and classes; missing and stale")} if done.rows else {}
    return Result(metadata={**plots, **done.metadata(), "shares": table(done.table())})


_OF_ANSWERS = ("score_drift", "attribution_drift")
_COMMON = ("drift", *_OF_ANSWERS)


def _answers(name: str, found: object) -> dg.AssetCheckResult:
    """What the champion says and leans on; None where it cannot be told."""
    drifted, reason = getattr(found, "drifted", None), str(getattr(found, "reason", "there is no reference yet"))
    if not drifted:
        return _passed(name, reason)
    return check_result(name, passed=False, warning=True, description=reason)


def _passed(name: str, reason: str) -> dg.AssetCheckResult:
    return check_result(name, passed=True, description=reason)


def _row(feature: "FeatureDrift") -> dict[str, object]:
    numbers = {"psi": feature.psi, "K-S": feature.ks_statistic, "Jensen–Shannon": feature.jensen_shannon}
    missing = {"missing then": feature.missing_reference, "missing now": feature.missing_current}
    verdict = {True: "drifted", False: "stable", None: "unknown"}[feature.drifted]
    return {
        **{name: "" if value is None else value for name, value in (numbers | missing).items()},
        "verdict": verdict,
        "reason": feature.reason,
    }


def _check(name: str, features: "Mapping[str, FeatureDrift]", chosen: Iterable[str]) -> dg.AssetCheckResult:
    """`drift` speaks for the features under the common limits, `drift_<feature>` for one with its own."""
    of_model = [feature for feature in features if feature in set(chosen)]
    drifted = {feature: features[feature].reason for feature in of_model if features[feature].drifted}
    return check_result(
        name,
        passed=not drifted,
        warning=True,
        metadata={
            "drifted": len(drifted),
            "features": table([{"feature": k, "reason": v} for k, v in drifted.items()]),
        },
    )
