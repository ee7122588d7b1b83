"""`<folder>/labels` … `<folder>/predictions`: from features to a champion that predicts."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components import gates
from ml_assets.components.base import Result, SpecComponent, as_of
from ml_assets.components.conditions import Dates
from ml_assets.components.event_retention import event_retention
from ml_assets.components.fairness import fairness_report
from ml_assets.components.metadata import picture, table
from ml_assets.components.online_consistency import online_consistency
from ml_assets.components.online_features import online_assets
from ml_assets.components.prediction_log import prediction_log
from ml_assets.components.provenance import files, tags
from ml_assets.components.release_record import release_record
from ml_assets.components.resources import LakeResource, RegistryResource, TreeResources
from ml_assets.components.review_files import review_files
from ml_assets.components.search_index import search_index
from ml_assets.components.sensors import automation_sensor, data_sensor, loop_job, loop_schedule
from ml_assets.components.templates.scaffold import ModelScaffolder
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec

if TYPE_CHECKING:
    from ml_assets.training.definition import ModelDefinition


@dg.scaffold_with(ModelScaffolder)
class Model(SpecComponent[ModelSpec]):
    """A model: labels, training set, version, evaluation with gates, champion and what it says; a job, a schedule."""

    declaration = ModelSpec
    assets = (
        "labels", "training_set", "model", "evaluation_report", "fairness_report", "release_record", "champion",
        "predictions", "online_features", "prediction_log", "online_consistency", "event_retention", "review_files",
        "search_index",
    )  # fmt: skip

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets of the loop, its job and its schedule."""
        tree = context.component_tree
        folder = self.assemble(tree)
        loop = (self._labels, self._training_set, self._model, self._evaluation_report)
        offered = bool(self.specs_beside(tree, RolloutSpec))
        sources, cron = self.specs_beside(tree, SourceSpec), self.spec.schedule
        due, resources = self.due_dates(tree), TreeResources(tree)
        return dg.Definitions(
            assets=[
                *(asset(folder) for asset in loop),
                *fairness_report(self, folder),
                release_record(self, folder, tree),
                self._champion(folder, offered=offered),
                *online_assets(self, folder, due, resources),
                prediction_log(self, due, resources),
                online_consistency(self, folder),
                event_retention(self, resources),
                *review_files(self, folder, sources),
                *search_index(self, folder, resources),
            ],
            jobs=[loop_job(self.folder, self.spec.cadence)],
            schedules=[loop_schedule(self.folder, due, cron)] if cron else [],
            sensors=[data_sensor(self.folder, sources), automation_sensor(self.folder)],
        )

    def due_dates(self, tree: dg.ComponentTree) -> Dates:
        """The as-of date that the loop works on, asked when a condition is evaluated."""
        assembled, resources = cache(lambda: self.assemble(tree)), TreeResources(tree)

        def dates() -> list[date]:
            from ml_assets.monitoring.verdict import next_as_of  # pyarrow: not at load

            as_of_date = next_as_of(resources.lake, assembled(), datetime.now(UTC).date())
            return [] if as_of_date is None else [as_of_date]

        return dates

    def assemble(self, tree: dg.ComponentTree) -> "ModelDefinition":
        """The folder, checked as a whole: a bad query or name is refused at load."""
        from ml_assets.training.definition import assemble

        sources = self.specs_beside(tree, SourceSpec)
        views = self.specs_beside(tree, ViewSpec)
        return assemble(self.folder, self.path, self.spec, sources, views)

    def _labels(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        raw = [dg.AssetKey.from_user_string(relation.table) for relation in folder.labels.relations]

        @self._asset("labels", "duckdb", "deltalake", deps=raw)
        def labels(context: dg.AssetExecutionContext, lake: LakeResource) -> Result:
            """Labels that are mature at the as-of date."""
            from ml_assets.training.dataset import refresh_labels
            from ml_assets.training.preflight import require_trainable

            require_trainable(folder)
            done = refresh_labels(lake.open(), folder, as_of(context), workers=lake.workers)
            return Result(metadata=done.metadata())

        return labels

    def _training_set(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        window = dg.TimeWindowPartitionMapping(
            start_offset=-self._reach(), end_offset=0, allow_nonexistent_upstream_partitions=True
        )
        views = [dg.AssetDep(view, partition_mapping=window) for view in _views(folder)]

        @self._asset("training_set", "duckdb", "deltalake", deps=[self.key("labels"), *views])
        def training_set(context: dg.AssetExecutionContext, lake: LakeResource) -> Result:
            """Population, features and mature labels over the window of as-of dates."""
            from ml_assets.training.dataset import build

            return Result(metadata=build(lake.open(), folder, as_of(context), workers=lake.workers).metadata())

        return training_set

    def _model(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        @self._asset("model", "scikitlearn", "mlflow", deps=[self.key("training_set")])
        def model(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
            """A version: searched, fitted, exported, and registered with everything that traces it."""
            from ml_assets.training.dataset import find
            from ml_assets.training.train import train

            store, versions = lake.open(), registry.open()
            rows = find(store, folder, as_of(context))
            done = train(store, versions, folder, rows, tags=tags(context.run_id), files=files(), say=context.log.debug)
            link = dg.MetadataValue.url(versions.link(done.version))
            return Result(metadata={"mlflow_run": link, "version": done.version.number, **done.metadata()})

        return model

    def _evaluation_report(self, folder: "ModelDefinition") -> dg.AssetsDefinition:
        checks = gates.checks(self.key("evaluation_report"), self.spec.gates)

        @self._asset("evaluation_report", "scikitlearn", "mlflow", deps=[self.key("model")], checks=checks)
        def evaluation_report(
            context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
        ) -> Result:
            """How good the version is on rows that it never saw, and whether it passes its gates."""
            from ml_assets.training.explanations import explain_version
            from ml_assets.training.report import report
            from ml_assets.training.train import candidate

            store, versions = lake.open(), registry.open()
            version = candidate(store, versions, folder, as_of(context))
            done = report(store, versions, folder, version, workers=lake.workers)
            explained = explain_version(store, versions, folder, version, done.evaluation)
            plots = {"plots": picture(done.plots, "ROC, calibration, gains, importance")}
            more = explained.metadata() | {"explanations": table(explained.table())}
            return Result(metadata=plots | done.metadata() | more, check_results=[*gates.results(done)])

        return evaluation_report

    def _champion(self, folder: "ModelDefinition", *, offered: bool = False) -> dg.AssetsDefinition:
        """The champion; where a rollout is declared, a candidate is offered to it."""
        upstream, window = self.key("release_record"), self.spec.freshness

        @self._asset("champion", "mlflow", "deltalake", deps=[upstream], freshness=window)
        def champion(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
            """The version that answers by default, and the ledger of who did from when to when and why."""
            from ml_assets.release.record import standing_release
            from ml_assets.rollouts.offers import offer
            from ml_assets.training.release import history, release
            from ml_assets.training.report import read_report
            from ml_assets.training.train import candidate

            store, versions, day = lake.open(), registry.open(), as_of(context)
            report = read_report(versions, folder, candidate(store, versions, folder, day))
            stands = standing_release(store, versions, folder, report)
            done = (offer if offered else release)(
                store, versions, report.version, stands.verdict, manifest=stands.manifest,
                as_of=day, decided_at=datetime.now(UTC).replace(tzinfo=None),
            )  # fmt: skip
            number = done.champion.number if done.champion else None
            said = {"version": number, "shipped": done.shipped, "reason": done.reason}
            return Result(metadata={**said, "ledger": table(history(store, self.folder))})

        return champion

    def _asset(self, name: str, *kinds: str, **more: Any) -> Callable[[Callable[..., Result]], dg.AssetsDefinition]:  # noqa: ANN401 - of `asset`
        return self.asset(self.key(name), *kinds, cadence=self.spec.cadence, **more)

    def _reach(self) -> int:
        """How many steps back a training set reaches."""
        step = self.spec.cadence.step(self.spec.cadence.start) - self.spec.cadence.start
        embargoes = 2 * -(-self.spec.label.horizon // step)
        return self.spec.window.train + self.spec.window.test + embargoes


def _views(folder: "ModelDefinition") -> list[dg.AssetKey]:
    return [dg.AssetKey.from_user_string(item.view.table) for item in folder.features]
