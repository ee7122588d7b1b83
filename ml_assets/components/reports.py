"""`<folder>/drift_report`, `performance_report`, `prediction_report` as the Dagster UI shows them."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.metadata import check_result, picture, table
from ml_assets.components.naming import check_names

if TYPE_CHECKING:
    from ml_assets.monitoring.drift.feature import FeatureDrift
    from ml_assets.monitoring.drift.report import DriftReport
    from ml_assets.monitoring.performance.table import PerformanceReport
    from ml_assets.monitoring.predictions.table import PredictionReport
    from ml_assets.spec.drift import DriftSpec


def checks(spec: "DriftSpec") -> dict[str, str | None]:
    """The drift report's checks: one for the common limits, and for each feature with its own one that names it."""
    own: list[str | None] = [*spec.features]
    names = check_names([*_COMMON, *(f"drift_{feature}" for feature in own)])
    return dict(zip(names, [None] * len(_COMMON) + own, strict=True))


def no_drift(reason: str, spec: "DriftSpec") -> Result:
    """A date without a drift report, and why: nothing drifted that could be looked at."""
    return Result(metadata={"reason": reason}, check_results=[_passed(name, reason) for name in checks(spec)])


def drift(done: "DriftReport", spec: "DriftSpec") -> Result:
    """The drift report in the UI."""
    names = checks(spec)
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


def performance(done: "PerformanceReport", metric: str, late: str | None = None) -> Result:
    """The performance report in the UI.

    Args:
        done: the report.
        metric: that is watched.
        late: what labels say of the last promotion, beside the version before it; None: there is nothing to say.
    """
    plots = {"plot": picture(done.plot(metric), "measured and estimated performance")} if done.rows else {}
    verdict = {"late_verdict": late} if late else {}
    return Result(metadata={**plots, **done.metadata(), **verdict, "groups": table(done.table())})


def predictions(done: "PredictionReport") -> Result:
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
