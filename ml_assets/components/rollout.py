"""`<folder>/rollout`, `<folder>/incident`: how a candidate earns its traffic, and what was known when one did not."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result, SpecComponent, only
from ml_assets.components.incident import incident
from ml_assets.components.metadata import picture, table
from ml_assets.components.model import Model
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource
from ml_assets.components.rollback_job import rollback_job
from ml_assets.components.rollout_checks import check_rollout, no_rollout, rollout_checks
from ml_assets.components.rollout_sensor import rollout_sensor
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.spec.source import SourceSpec

if TYPE_CHECKING:
    from ml_assets.rollouts.report import RolloutReport
    from ml_assets.rollouts.watch import RolloutLook
    from ml_assets.training.definition import ModelDefinition


class Rollout(SpecComponent[RolloutSpec]):
    """Hands a candidate its traffic in stages, and takes it back: by statistics that may be looked at at any time."""

    declaration = RolloutSpec
    assets = ("rollout", "incident")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The rollout with its checks, the page of the last rollback, the sensor that watches, and a job to go back."""
        tree = context.component_tree
        only(self.siblings(tree, Rollout), self.path, "Rollout")
        folder = only(self.siblings(tree, Model), self.path, "Model").assemble(tree)
        sources = [source.name for source in self.specs_beside(tree, SourceSpec)]
        return dg.Definitions(
            assets=[self._rollout(folder), incident(self, sources)],
            jobs=[rollback_job(self.folder)],
            sensors=[rollout_sensor(self.folder, self.spec, self.key("rollout"), self.key("incident"))],
        )

    def _rollout(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        key, spec, deps = self.key("rollout"), self.spec, [self.key("champion"), self.key("prediction_log")]

        @self.asset(key, "mlflow", "deltalake", deps=deps, checks=rollout_checks(key, spec), looped=False)
        def rollout(lake: LakeResource, registry: RegistryResource, settings: SettingsResource) -> Result:
            """The challenger's share, what was measured of it, and what follows from that."""
            from ml_assets.events.store import EventStore
            from ml_assets.rollouts.report import read_report
            from ml_assets.rollouts.watch import begin_and_look

            now = datetime.now(UTC).replace(tzinfo=None)
            with EventStore(settings.event_store_url) as store:
                found = begin_and_look(
                    lake.open(), registry.open(), store, folder, spec, actor="asset", now=now, workers=lake.workers
                )
            report = read_report(lake.open(), folder.name)
            return no_rollout(key, spec, found.reason) if report is None else _shown(report, found, spec)

        return rollout


def _shown(report: "RolloutReport", found: "RolloutLook", spec: RolloutSpec) -> Result:
    """A rollout in the UI."""
    from ml_assets.rollouts.plot import figure

    waiting = found.waiting
    return Result(
        metadata={
            "plot": picture(figure(report.title, report.points()), "share, evidence and bounds over time"),
            **report.metadata(),
            "now": found.reason,
            "guardrails": table(report.table()),
            "stages": table([each.row() for each in report.stages]),
            **({"waiting": f"version {waiting.version}"} if waiting else {}),
        },
        check_results=check_rollout(report, spec),
    )
