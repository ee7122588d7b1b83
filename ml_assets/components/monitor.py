"""The reports that follow the champion, the verdict and the alerts that they lead to, and the sensor that acts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components import reports
from ml_assets.components.alerting import asset_link
from ml_assets.components.base import Result, SpecComponent, as_of, only
from ml_assets.components.conditions import Dates, follows
from ml_assets.components.metadata import picture, table
from ml_assets.components.model import Model
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.components.sensors import retrain_sensor
from ml_assets.decisions.metric import METRICS
from ml_assets.monitoring.fitting import require_fitting
from ml_assets.settings import settings
from ml_assets.spec.monitor import MonitorSpec

if TYPE_CHECKING:
    from ml_assets.decisions.alert import MetricRule
    from ml_assets.training.definition import ModelDefinition


class Monitor(SpecComponent[MonitorSpec]):
    """Watches the champion: reports, verdicts, alerts, retraining."""

    declaration = MonitorSpec

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The reports with their checks, the verdict, the alerts, and the sensor that starts a retraining."""
        tree = context.component_tree
        model = only(self.siblings(tree, Model), self.path, "Model")
        folder, due = model.assemble(tree), model.due(tree)
        require_fitting(self.spec, folder)
        made = (self._drift, self._performance, self._predictions, self._verdict, self._alerts)
        return dg.Definitions(
            assets=[*(asset(folder, due) for asset in made), self._replay(folder)],
            sensors=[retrain_sensor(self.folder)],
        )

    def _drift(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        key, spec = self.key("drift_report"), self.spec.drift
        named = [dg.AssetCheckSpec(name, asset=key) for name in reports.checks(spec)]

        @self._report(folder, due, "drift_report", "evidently", deps=["predictions"], checks=named)
        def drift_report(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
            """The population at the as-of date against the reference; what the champion says and leans on."""
            return reports.shown_drift(reports.drift(context, lake, registry, folder, spec), spec)

        return drift_report

    def _performance(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        @self._report(folder, due, "performance_report", "scikitlearn", deps=["predictions", "prediction_log"])
        def performance_report(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """Predictions against the labels that matured since; until then an estimate, and it says so."""
            done = reports.performance(context, lake, registry, folder, self.spec.performance)
            return reports.shown_performance(done, self.spec.retrain.metric)

        return performance_report

    def _predictions(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        @self._report(folder, due, "prediction_report", "duckdb", deps=["predictions", "prediction_log"])
        def prediction_report(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """Volume, scores, classes and new words of the predictions, and what was missing or stale."""
            return reports.shown_predictions(reports.predicted(context, lake, registry, folder))

        return prediction_report

    def _verdict(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        deps = ["drift_report", "performance_report", "prediction_report"]

        @self._report(folder, due, "retraining_verdict", deps=deps)
        def retraining_verdict(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """Retrain, wait, or suspect: the policy applied to what the reports say."""
            from ml_assets.monitoring import verdict

            retrain = self.spec.retrain
            drift = reports.drift(context, lake, registry, folder, self.spec.drift)
            found = reports.performance(context, lake, registry, folder, self.spec.performance)
            seen = verdict.ReportSummary(
                {} if isinstance(drift, str) else {name: feature.drifted for name, feature in drift.features.items()},
                found.evaluated(retrain.metric), found.headline(retrain.metric), found.estimated(retrain.metric),
            )  # fmt: skip
            done = verdict.decide(
                lake.open(), registry.open(), folder, retrain.policy, seen, as_of(context),
                direction=METRICS[retrain.metric].direction, decided_at=_now(), workers=lake.workers,
            )  # fmt: skip
            return Result(metadata={**done.metadata(), "ledger": table(verdict.history(lake.open(), folder.name))})

        return retraining_verdict

    def _alerts(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        @self._report(folder, due, "alerts", deps=["retraining_verdict"])
        def alerts(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
            """What people are told of the as-of date; the sensor `alerts` delivers it."""
            from ml_assets.alerts.outbox import evaluate

            numbers = self._numbers(context, lake, registry, folder)
            link, rules = asset_link(self.key("alerts")), self._rules(lake, as_of(context))
            found = evaluate(lake.open(), folder.name, rules, numbers, as_of(context), link=link, decided_at=_now())
            said = [{"rule": alert.rule, "kind": str(alert.kind), "text": alert.text} for alert in found]
            watched = [{"rule": rule.name, "value": numbers.get(rule.metric, "not known")} for rule in rules]
            return Result(metadata={"said": len(said), "alerts": table(said), "rules": table(watched)})

        return alerts

    def _replay(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        """Not of the loop: it takes minutes, and a person asks for it."""
        past = [dg.AssetKey.from_user_string(relation.table) for relation in folder.labels.relations]

        @self.asset(self.key("policy_replay"), "scikitlearn", deps=past, looped=False)
        def policy_replay(context: dg.AssetExecutionContext, lake: LakeResource) -> Result:
            """What each retraining policy would have done over history, and what would have come of it."""
            from ml_assets.replay.plot import figure
            from ml_assets.replay.store import ReplayStore
            from ml_assets.replay.walk import replay, span, standard

            store, lake_ = ReplayStore(settings().replays / folder.name), lake.open()
            done = replay(
                lake_, folder, self.spec, standard(folder, self.spec), span(lake_, folder), store=store,
                workers=lake.workers, say=lambda done, of, what: context.log.debug("%s of %s: %s", done, of, what),
            )  # fmt: skip
            plot = picture(figure(done), "realised metric and area lost, by policy")
            return Result(metadata={"plot": plot, "policies": table(done.rows()), **done.metadata()})

        return policy_replay

    def _rules(self, lake: LakeResource, day: date) -> list["MetricRule"]:
        """The rules; one on a number of the verdict tells its reason."""
        from ml_assets.monitoring import verdict

        found, of_verdict = verdict.at(lake.open(), self.folder, day), verdict.numbers(lake.open(), self.folder, day)
        why = found.reason if found else ""
        return [
            replace(rule, description=": ".join(filter(None, (rule.description, why))))
            if rule.metric in of_verdict
            else rule
            for rule in self.spec.alerts.judged
        ]

    def _numbers(
        self,
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        registry: RegistryResource,
        folder: "ModelDefinition",
    ) -> dict[str, float]:
        """The metrics that a rule may name: every number of the reports and the verdict."""
        from ml_assets.monitoring import verdict

        drift = reports.drift(context, lake, registry, folder, self.spec.drift)
        known = None if isinstance(drift, str) else drift
        psi = {f"psi_{name}": found.psi for name, found in known.features.items()} if known else {}
        parts: tuple[Mapping[str, Any], ...] = (
            psi,
            known.metadata() if known else {},
            reports.performance(context, lake, registry, folder, self.spec.performance).metadata(),
            reports.predicted(context, lake, registry, folder).metadata(),
            verdict.numbers(lake.open(), folder.name, as_of(context)),
        )
        return {name: float(value) for part in parts for name, value in part.items() if isinstance(value, int | float)}

    def _report(
        self,
        folder: "ModelDefinition",
        due: Dates,
        name: str,
        *kinds: str,
        deps: list[str],
        **more: Any,  # noqa: ANN401 - of `asset`
    ) -> Callable[[Callable[..., Result]], dg.AssetsDefinition]:
        return self.asset(
            self.key(name),
            *kinds,
            "deltalake",
            deps=[self.key(dep) for dep in deps],
            cadence=folder.spec.cadence,
            freshness=self.spec.freshness,
            automation_condition=follows(due, whether_or_not=self.key("prediction_log")),
            **more,
        )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
