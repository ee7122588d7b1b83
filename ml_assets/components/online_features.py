"""`<folder>/predictions`, `<folder>/online_features`: what a champion says, and what it is served with."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result, as_of
from ml_assets.components.conditions import Condition, Dates, when_refresh_due, when_upstream_new
from ml_assets.components.metadata import table
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource, TreeResources

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.training.definition import ModelDefinition
    from ml_assets.training.online_writer import OnlineWriteResult

Decorator = Callable[[Callable[..., Result]], dg.AssetsDefinition]


def online_assets(
    model: "Model", folder: "ModelDefinition", due: Dates, resources: TreeResources
) -> list[dg.AssetsDefinition]:
    """The assets of whichever champion stands at the as-of date that is due.

    Args:
        model: the component, which names the assets.
        folder: its declarations, checked as a whole.
        due: gives the as-of date that the loop works on, when a condition is evaluated.
        resources: those of the project, asked as late as that.
    """
    follow = when_upstream_new(due, whether_or_not=model.key("champion"))
    renewed = follow | when_refresh_due(_lacking(folder, resources))
    kind = "sqlite" if resources.settings.online_url.startswith("sqlite") else "redis"
    return [_predictions(model, folder, follow), _online_features(model, folder, kind, renewed)]


def _asset(model: "Model", folder: "ModelDefinition", name: str, *kinds: str, when: Condition) -> Decorator:
    views = [dg.AssetKey.from_user_string(item.view.table) for item in folder.features]
    deps = [model.key("champion"), *views]
    return model.asset(model.key(name), *kinds, deps=deps, cadence=model.spec.cadence, automation_condition=when)


def _predictions(model: "Model", folder: "ModelDefinition", when: Condition) -> dg.AssetsDefinition:
    @_asset(model, folder, "predictions", "onnx", "deltalake", when=when)
    def predictions(context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource) -> Result:
        """The champion's scores of the population at the as-of date."""
        from ml_assets.training.score import predict, summary

        if registry.open().champion(folder.name) is None:
            return Result(metadata={"reason": "there is no champion yet: nobody was scored"})
        done = predict(lake.open(), registry.open(), folder, as_of(context), workers=lake.workers)
        return Result(metadata=summary(lake.open(), done, as_of(context)))

    return predictions


def _online_features(model: "Model", folder: "ModelDefinition", kind: str, when: Condition) -> dg.AssetsDefinition:
    @_asset(model, folder, "online_features", "duckdb", kind, when=when)
    def online_features(
        context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource, settings: SettingsResource
    ) -> Result:
        """The champion's features of the population, in the online store.

        Written as of the date itself, and where a view declares a `refresh`, again as of dates before the next one.
        """
        from ml_assets.features.online.store import open_store
        from ml_assets.training.online_writer import date_to_write, write_online

        if registry.open().champion(folder.name) is None:
            return Result(metadata={"reason": "there is no champion yet: nobody is served"})
        started, now = time.perf_counter(), datetime.now(UTC).replace(tzinfo=None)
        day = date_to_write(lake.open(), folder, as_of(context), now.date())
        with closing(open_store(settings.online_url)) as store:
            done = write_online(lake.open(), registry.open(), folder, store, day, written_at=now, workers=lake.workers)
        return Result(metadata={**_metadata(done, folder), "seconds": time.perf_counter() - started})

    return online_features


def _lacking(folder: "ModelDefinition", resources: TreeResources) -> Dates:
    """Where the store lacks something, asked when a condition is evaluated."""

    def dates() -> list[date]:
        from ml_assets.errors import OnlineStoreError
        from ml_assets.features.online.store import open_store
        from ml_assets.training.online_writer import date_to_refresh  # pyarrow: not at load

        try:
            with closing(open_store(resources.settings.online_url)) as store:
                as_of_date = date_to_refresh(resources.lake, folder, store, datetime.now(UTC).date())
        except OnlineStoreError:  # it is away: a run would fail, and the other conditions are not to wait for it
            return []
        return [] if as_of_date is None else [as_of_date]

    return dates


def _metadata(done: "OnlineWriteResult", folder: "ModelDefinition") -> Mapping[str, Any]:
    declared = {item.view.table: item.refresh for item in folder.features}
    views = [
        {"view": item.name, "ttl": str(item.ttl), "refresh": str(declared.get(item.view.table) or "each as-of date")}
        for item in done.features
    ]
    return {
        "dagster/row_count": done.row.rows,
        "as_of": str(done.row.as_of),
        "feature_set": done.row.feature_set,
        "store": done.row.store,
        "version": done.row.model_version,
        "reused": done.reused,
        "views": table(views),
    }
