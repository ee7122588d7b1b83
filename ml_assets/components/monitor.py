"""`<folder>/drift_report`: does the population still look like what the champion was trained on?

Performance reports, alerts and the sensors that act on them join this component; each is one asset more.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Declared, Result, as_of, follows, only
from ml_assets.components.metadata import table
from ml_assets.components.model import Model
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.monitoring.declaration import MonitorSpec
from ml_assets.settings import settings

if TYPE_CHECKING:
    from ml_assets.monitoring.feature import FeatureDrift


class Monitor(Declared[MonitorSpec]):
    """Reports on the champion: for now the drift report."""

    declaration = MonitorSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The drift report with its checks."""
        model = only(self.siblings(context.component_tree, Model), self.path, "Model")
        folder, spec, key = model.assemble(context.component_tree), self.spec.drift, self.key("drift_report")
        checks = ["drift", *(f"drift_{feature}" for feature in spec.features)]

        @self.asset(
            key,
            "evidently",
            "deltalake",
            deps=[self.key("predictions")],
            cadence=model.spec.cadence,
            checks=[dg.AssetCheckSpec(name, asset=key) for name in checks],
            automation_condition=follows(),
        )
        def drift_report(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
            """The population at the as-of date against the champion's training sample."""
            from ml_assets.monitoring.latest import drift_report

            done = drift_report(
                lake.open(), registry.open(), folder, spec, as_of(context),
                pages=settings().reports, workers=lake.workers,
            )  # fmt: skip
            shown = [{"feature": name, **_row(feature)} for name, feature in done.features.items()]
            psi = {f"psi_{name}": f.psi for name, f in done.features.items() if f.psi is not None}
            return Result(
                metadata={
                    "features": table(shown),
                    "drifted": len(done.drifted),
                    "reference": f"training sample of version {done.champion.number} ({done.champion.as_of})",
                    **({"page": dg.MetadataValue.path(done.html)} if done.html else {}),
                    **psi,
                },
                check_results=[_check(name, done.features, spec.features) for name in checks],
            )

        return dg.Definitions(assets=[drift_report])


def _row(feature: "FeatureDrift") -> dict[str, object]:
    numbers = {"psi": feature.psi, "K-S": feature.ks_statistic, "Jensen–Shannon": feature.jensen_shannon}
    missing = {"missing then": feature.missing_reference, "missing now": feature.missing_current}
    verdict = {True: "drifted", False: "stable", None: "unknown"}[feature.drifted]
    return {
        **{name: "" if value is None else value for name, value in (numbers | missing).items()},
        "verdict": verdict,
        "reason": feature.reason,
    }


def _check(name: str, features: "Mapping[str, FeatureDrift]", own: Collection[str]) -> dg.AssetCheckResult:
    """`drift` speaks for the features under the common limits, `drift_<feature>` for one with its own."""
    chosen = (
        [name.removeprefix("drift_")] if name != "drift" else [feature for feature in features if feature not in own]
    )
    drifted = {feature: features[feature].reason for feature in chosen if features[feature].drifted}
    return dg.AssetCheckResult(
        check_name=name,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "drifted": len(drifted),
            "features": table([{"feature": k, "reason": v} for k, v in drifted.items()]),
        },
    )
