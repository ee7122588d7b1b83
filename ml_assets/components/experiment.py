"""`<folder>/experiments/<name>`: an A/B test of released versions, measured again and again until it is decided."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result, SpecComponent, only
from ml_assets.components.conditions import when_measurement_due
from ml_assets.components.metadata import check_result, picture, table
from ml_assets.components.model import Model
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource, TreeResources
from ml_assets.spec.experiment import ExperimentSpec

if TYPE_CHECKING:
    from ml_assets.rollouts.experiment_ledger import ExperimentStep
    from ml_assets.rollouts.experiment_report import ExperimentReport
    from ml_assets.storage.lake import Lake

RUNNING, BELIEVED = "running", "evidence"


class Experiment(SpecComponent[ExperimentSpec]):
    """An A/B test of released versions: variants by shares of the units, a primary metric, a last day."""

    declaration = ExperimentSpec
    assets = ("experiments",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset of the experiment; the folder's sensor runs it."""
        tree = context.component_tree
        model = only(self.siblings(tree, Model), self.path, "Model")
        return dg.Definitions(assets=[self._experiment(model.spec.entity, TreeResources(tree))])

    def _experiment(self, entity: str, resources: TreeResources) -> dg.AssetsDefinition:
        key, folder, spec = self.key("experiments", self.spec.name), self.folder, self.spec
        checks = [
            dg.AssetCheckSpec(RUNNING, asset=key, description="It could begin, and no other one of the model runs"),
            dg.AssetCheckSpec(BELIEVED, asset=key, description="Nothing speaks against what was counted"),
        ]

        @self.asset(
            key,
            "deltalake",
            "mlflow",
            deps=[self.key("prediction_log")],
            checks=checks,
            looped=False,
            automation_condition=when_measurement_due(self._goes_on(resources), often=bool(spec.guardrails)),
        )
        def experiment(lake: LakeResource, registry: RegistryResource, settings: SettingsResource) -> Result:
            """Counts, the effect with its interval, what speaks against them, and what to do, in plain words."""
            from ml_assets.events.rows import EventStoreError
            from ml_assets.events.store import EventStore
            from ml_assets.rollouts.experiment import take_step
            from ml_assets.rollouts.experiment_begin import ExperimentError
            from ml_assets.rollouts.turns import TurnTakenError

            tables, versions = lake.open(), registry.open()
            try:
                with EventStore(settings.event_store_url) as store:
                    last = take_step(tables, versions, store, folder, spec, _now(), actor="asset", entity=entity)
            except (EventStoreError, ExperimentError, TurnTakenError) as error:
                return _without(str(error))
            return _result(tables, folder, last)

        return experiment

    def _goes_on(self, resources: TreeResources) -> Callable[[], bool]:
        """Whether there is anything to do; asked when the condition is evaluated."""

        def goes_on() -> bool:
            from ml_assets.rollouts.experiment_begin import starts_at  # pyarrow: not at load
            from ml_assets.rollouts.experiment_ledger import ledger

            last, start = ledger(self.folder, self.spec.name).last(resources.lake), starts_at(self.spec)
            return last.is_open if last else start is None or start <= _now()

        return goes_on


def _without(reason: str) -> Result:
    """Of an experiment that has not begun: the sensor asks again in an hour."""
    checks = [
        check_result(RUNNING, passed=False, warning=True, description=reason),
        check_result(BELIEVED, passed=True, description="nothing was counted"),
    ]
    return Result(metadata={"reason": reason}, check_results=checks)


def _result(lake: "Lake", folder: str, last: "ExperimentStep") -> Result:
    from ml_assets.rollouts.experiment_ledger import ledger
    from ml_assets.rollouts.experiment_plot import figure
    from ml_assets.rollouts.experiment_report import read_report

    reports = [read_report(step.evidence) for step in ledger(folder, last.experiment).history(lake)]
    measured = [report for report in reports if report is not None]
    metadata: dict[str, Any] = {"action": last.action, "reason": last.reason, "ends": f"{last.ends:%Y-%m-%d %H:%M} UTC"}
    faults: tuple[str, ...] = ()
    if measured:
        title, metric = f"{folder}: experiment {last.experiment}, {last.action}", last.spec.primary.metric
        metadata["plot"] = picture(figure(title, metric, measured), f"differences of {metric}")
        metadata |= _numbers(measured[-1])
        faults = measured[-1].faults
    checks = [
        check_result(RUNNING, passed=True, description=f"since {last.started:%Y-%m-%d %H:%M} UTC"),
        check_result(BELIEVED, passed=not faults, description="; ".join(faults)),
    ]
    return Result(metadata=metadata, check_results=checks)


def _numbers(report: "ExperimentReport") -> dict[str, Any]:
    effects = {
        f"{each.name}_{end}": getattr(each.interval, end)
        for each in report.effects
        for end in ("estimate", "low", "high")
    }
    return {
        **{f"{each.name}_units": each.units for each in report.variants},
        **effects,
        "variants": table(report.rows()),
        "guardrails": table([{"variant": each.variant, "says": each.result.reason} for each in report.guardrails]),
        "secondary": table(report.secondary_rows()),
        "notes": table([{"left out": note} for note in report.notes]),
    }


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
