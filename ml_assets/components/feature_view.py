"""`<folder>/features/<view>`: one query as of a date."""

from datetime import date

import dagster as dg

from ml_assets.components.base import Result, SpecComponent, as_of, only
from ml_assets.components.conditions import when_stale
from ml_assets.components.metadata import table
from ml_assets.components.model import Model
from ml_assets.components.resources import LakeResource, TreeResources
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec


class FeatureView(SpecComponent[ViewSpec]):
    """A feature view: one SQL query over the sources as of a date, one row per entity."""

    declaration = ViewSpec
    assets = ("features",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The view's asset, partitioned by the model's as-of dates."""
        from ml_assets.features.declarations import feature_view, relations

        tree = context.component_tree
        model = only(self.siblings(tree, Model), self.path, "Model")
        sources = relations(self.folder, self.specs_beside(tree, SourceSpec))
        view = feature_view(self.folder, self.path, self.spec, model.spec.entity, sources)
        due, resources = model.due_dates(tree), TreeResources(tree)

        def stale() -> list[date]:
            from ml_assets.features.store import stale_dates  # pyarrow: not at load

            return stale_dates(resources.lake, view, due())

        @self.asset(
            self.key("features", self.spec.name),
            "duckdb",
            "deltalake",
            deps=[dg.AssetKey.from_user_string(relation.table) for relation in view.relations],
            cadence=model.spec.cadence,
            description=self.spec.description or f"`{self.spec.sql}` as of a date",
            code_version=view.recipe,
            freshness=self.spec.freshness,
            automation_condition=when_stale(due, stale),
        )
        def features(context: dg.AssetExecutionContext, lake: LakeResource) -> Result:
            from ml_assets.features.store import describe, refresh  # pyarrow: not at load

            done = refresh(lake.open(), view, [as_of(context)], workers=lake.workers)
            rows = describe(lake.open(), view, as_of(context))
            return Result(
                metadata={
                    "dagster/row_count": rows.count,
                    "computed": bool(done.computed),
                    "table": f"{view.kept}@{done.version}",
                    "columns": table(rows.columns),
                }
            )

        return dg.Definitions(assets=[features])
