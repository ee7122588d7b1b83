"""The reports that follow the champion, the verdict and the alerts that they lead to, and the sensor that acts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components import reports
from ml_assets.components.alerting import asset_link
from ml_assets.components.base import Result, SpecComponent, as_of, only
from ml_assets.components.conditions import Dates, when_upstream_new
from ml_assets.components.metadata import table
from ml_assets.components.model import Model
from ml_assets.components.policy_replay import policy_replay
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource
from ml_assets.components.sensors import retrain_sensor
from ml_assets.decisions.metric import METRICS
from ml_assets.monitoring.fitting import require_fitting
from ml_assets.settings import Settings
from ml_assets.spec.monitor import MonitorSpec

if TYPE_CHECKING:
    from ml_assets.decisions.alert import MetricRule
    from ml_assets.monitoring.reports import Reports
    from ml_assets.training.definition import ModelDefinition

REPORTS = ["drift_report", "performance_report", "prediction_report"]
"""What the verdict and the alerts are made of."""


class Monitor(SpecComponent[MonitorSpec]):
    """Watches the champion: reports, verdicts, alerts, retraining."""

    declaration = MonitorSpec
    assets = (
        "drift_report", "performance_report", "prediction_report", "retraining_verdict", "alerts", "policy_replay",
    )  # fmt: skip

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The reports with their checks, the verdict, the alerts, and the sensor that starts a retraining."""
        tree = context.component_tree
        model = only(self.siblings(tree, Model), self.path, "Model")
        folder, due = model.assemble(tree), model.due_dates(tree)
        require_fitting(self.spec, folder)
        assets = (self._drift, self._performance, self._predictions, self._verdict, self._alerts)
        return dg.Definitions(
            assets=[*(asset(folder, due) for asset in assets), policy_replay(self, folder)],
            sensors=[retrain_sensor(self.folder)],
        )

    def _drift(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        key, spec = self.key("drift_report"), self.spec.drift
        specs = [dg.AssetCheckSpec(name, asset=key) for name in reports.checks(spec)]

        @self._report(folder, due, "drift_report", "evidently", deps=["predictions"], checks=specs)
        def drift_report(
            context: dg.AssetExecutionContext,
            lake: LakeResource,
            registry: RegistryResource,
            settings: SettingsResource,
        ) -> Result:
            """The population at the as-of date against the reference; what the champion says and leans on."""
            from ml_assets.monitoring.drift.report import drift_report
            from ml_assets.monitoring.drift.samples import EmptySampleError

            if registry.open().champion(folder.name) is None:
                return reports.no_drift("there is no champion yet: nobody to watch", spec)
            try:
                report = drift_report(
                    lake.open(), registry.open(), folder, spec, as_of(context),
                    pages=settings.reports, workers=lake.workers,
                )  # fmt: skip
            except EmptySampleError as error:
                context.log.warning(str(error))
                return reports.no_drift(str(error), spec)
            return reports.drift(report, spec)

        return drift_report

    def _performance(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        spec, metric = self.spec.performance, self.spec.retrain.metric

        @self._report(folder, due, "performance_report", "scikitlearn", deps=["predictions", "prediction_log"])
        def performance_report(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """Predictions against the labels that matured since; until then an estimate, and it says so."""
            from ml_assets.monitoring.performance.report import performance_report
            from ml_assets.rollouts.report import late_sentence

            store = lake.open()
            report = performance_report(store, registry.open(), folder, spec, as_of(context), workers=lake.workers)
            return reports.performance(report, metric, late_sentence(store, folder.name))

        return performance_report

    def _predictions(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        @self._report(folder, due, "prediction_report", "duckdb", deps=["predictions", "prediction_log"])
        def prediction_report(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """Volume, scores, classes and new words of the predictions, and what was missing or stale."""
            from ml_assets.monitoring.predictions.report import prediction_report

            report = prediction_report(lake.open(), registry.open(), folder, as_of(context), workers=lake.workers)
            return reports.predictions(report)

        return prediction_report

    def _verdict(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        retrain = self.spec.retrain

        @self._report(folder, due, "retraining_verdict", deps=REPORTS)
        def retraining_verdict(
            context: dg.AssetExecutionContext,
            lake: LakeResource,
            registry: RegistryResource,
            settings: SettingsResource,
        ) -> Result:
            """Retrain, wait, or suspect: the policy applied to what the reports say."""
            from ml_assets.monitoring import verdict

            reports_of_date = _written(as_of(context), lake, registry, settings, folder.name)
            done = verdict.decide(
                lake.open(), registry.open(), folder, retrain.policy,
                reports_of_date.summary(retrain.metric), as_of(context),
                direction=METRICS[retrain.metric].direction, decided_at=_now(), workers=lake.workers,
            )  # fmt: skip
            return Result(metadata={**done.metadata(), "ledger": table(verdict.history(lake.open(), folder.name))})

        return retraining_verdict

    def _alerts(self, folder: "ModelDefinition", due: Dates) -> dg.AssetsDefinition:
        @self._report(folder, due, "alerts", deps=[*REPORTS, "retraining_verdict"])
        def alerts(
            context: dg.AssetExecutionContext,
            lake: LakeResource,
            registry: RegistryResource,
            settings: SettingsResource,
        ) -> Result:
            """What people are told of the as-of date; the sensor `alerts` delivers it."""
            from ml_assets.alerts.outbox import evaluate
            from ml_assets.monitoring import verdict

            day, of_verdict = as_of(context), verdict.numbers(lake.open(), folder.name, as_of(context))
            numbers = _written(day, lake, registry, settings, folder.name).numbers() | of_verdict
            link, rules = asset_link(settings.dagster_ui, self.key("alerts")), self._rules(lake, day, of_verdict)
            due_alerts = evaluate(lake.open(), folder.name, rules, numbers, day, link=link, decided_at=_now())
            messages = [{"rule": alert.rule, "kind": str(alert.kind), "text": alert.text} for alert in due_alerts]
            watched = [{"rule": rule.name, "value": numbers.get(rule.metric, "not known")} for rule in rules]
            return Result(metadata={"said": len(messages), "alerts": table(messages), "rules": table(watched)})

        return alerts

    def _rules(self, lake: LakeResource, day: date, of_verdict: Mapping[str, float]) -> list["MetricRule"]:
        """The rules; one on a number of the verdict tells its reason."""
        from ml_assets.monitoring import verdict

        last = verdict.at(lake.open(), self.folder, day)
        reason = last.reason if last else ""
        return [
            replace(rule, description=": ".join(filter(None, (rule.description, reason))))
            if rule.metric in of_verdict
            else rule
            for rule in self.spec.alerts.judged
        ]

    def _report(
        self,
        folder: "ModelDefinition",
        due: Dates,
        name: str,
        *kinds: str,
        deps: Sequence[str],
        **more: Any,  # noqa: ANN401 - of `asset`
    ) -> Callable[[Callable[..., Result]], dg.AssetsDefinition]:
        return self.asset(
            self.key(name),
            *kinds,
            "deltalake",
            deps=[self.key(dep) for dep in deps],
            cadence=folder.spec.cadence,
            freshness=self.spec.freshness,
            automation_condition=when_upstream_new(due, whether_or_not=self.key("prediction_log")),
            **more,
        )


def _written(day: date, lake: LakeResource, registry: RegistryResource, settings: Settings, folder: str) -> "Reports":
    """The reports of an as-of date, read as their assets wrote them."""
    from ml_assets.monitoring.reports import read_reports

    return read_reports(lake.open(), registry.open(), folder, day, pages=settings.reports)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
