"""`<folder>/predictions`, `<folder>/online_features`: what a champion says, and what it is served with."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result, as_of
from ml_assets.components.conditions import Condition, Dates, when_refresh_due, when_upstream_new
from ml_assets.components.metadata import check_result, table
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource, TreeResources

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.training.definition import ModelDefinition
    from ml_assets.training.online_variants import VariantWrite
    from ml_assets.training.online_writer import OnlineWriteResult

CHECK = "variants_can_answer"

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


def _asset(
    model: "Model",
    folder: "ModelDefinition",
    name: str,
    *kinds: str,
    when: Condition,
    checks: Sequence[dg.AssetCheckSpec] = (),
) -> Decorator:
    views = [dg.AssetKey.from_user_string(item.view.table) for item in folder.features]
    deps, cadence = [model.key("champion"), *views], model.spec.cadence
    return model.asset(model.key(name), *kinds, deps=deps, checks=checks, cadence=cadence, automation_condition=when)


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
    check = dg.AssetCheckSpec(
        CHECK, asset=model.key("online_features"), description="Versions beside the champion can answer at once"
    )

    @_asset(model, folder, "online_features", "duckdb", kind, when=when, checks=[check])
    def online_features(
        context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource, settings: SettingsResource
    ) -> Result:
        """The features of the population in the online store: the champion's, a challenger's, the previous champion's.

        Written as of the date itself, and where a view declares a `refresh`, again as of dates before the next one.
        """
        from ml_assets.features.online.store import open_store
        from ml_assets.training.online_variants import write_variants
        from ml_assets.training.online_writer import OnlineWriter, date_to_write, write_champion

        if registry.open().champion(folder.name) is None:
            reason = "there is no champion yet: nobody is served"
            return Result(metadata={"reason": reason}, check_results=[_check([])])
        started, now = time.perf_counter(), datetime.now(UTC).replace(tzinfo=None)
        day = date_to_write(lake.open(), folder, as_of(context), now.date())
        with closing(open_store(settings.online_url)) as store:
            writer = OnlineWriter(lake.open(), folder, store, day, now, lake.workers)
            done = write_champion(writer, registry.open())
            others = write_variants(replace(writer, as_of=done.row.as_of), registry.open())
        metadata = {**_metadata(done, folder), "seconds": time.perf_counter() - started}
        return Result(metadata=metadata, check_results=[_check(others)])

    return online_features


def _lacking(folder: "ModelDefinition", resources: TreeResources) -> Dates:
    """Where the store lacks something, asked when a condition is evaluated."""

    def dates() -> list[date]:
        from ml_assets.errors import OnlineStoreError, RegistryError
        from ml_assets.features.online.store import open_store
        from ml_assets.training.online_variants import other_versions
        from ml_assets.training.online_writer import date_to_refresh  # pyarrow: not at load

        registry = resources.registry
        try:
            with registry.rewording_errors():
                others = [version.number for version in other_versions(registry, folder.name).values()]
                champion = registry.champions().get(folder.name)
            with closing(open_store(resources.settings.online_url)) as store:
                as_of_date = date_to_refresh(
                    resources.lake,
                    folder,
                    store,
                    datetime.now(UTC).date(),
                    others,
                    champion.number if champion else None,
                )
        except (OnlineStoreError, RegistryError):  # away: a run would fail, the other conditions are not to wait for it
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


def _check(others: "Sequence[VariantWrite]") -> dg.AssetCheckResult:
    troubles = [
        f"version {other.version} ({other.variant}) has no features of this date: {other.trouble}"
        for other in others
        if other.trouble
    ]
    names = ", ".join(f"version {other.version} ({other.variant})" for other in others)
    rows = [
        {
            "variant": other.variant,
            "version": other.version,
            "feature set": other.row.feature_set,
            "as of": other.row.as_of,
        }
        for other in others
        if other.row
    ]
    return check_result(
        CHECK,
        passed=not troubles,
        warning=True,
        description="; ".join(troubles) or f"written for the champion{f' and {names}' if names else ' alone'}",
        metadata={"variants": table(rows)},
    )
