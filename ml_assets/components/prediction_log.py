"""`<folder>/prediction_log`: what servers saw and said, out of the event store into the lake."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import Dates, takes
from ml_assets.components.metadata import check_result, table
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

    from ml_assets.components.model import Model
    from ml_assets.events.store import EventStore
    from ml_assets.monitoring.log.consistency import Consistency
    from ml_assets.spec.source import SourceSpec
    from ml_assets.storage.lake import Lake
    from ml_assets.training.definition import ModelDefinition

CHECK = "online_offline_consistency"


def logged(model: "Model", folder: "ModelDefinition", due: Dates, drop: "Path | None" = None) -> dg.AssetsDefinition:
    """The asset; it has no as-of date of its own, for servers know the calendar only.

    `drop` is where reviews become files, for a model that declares a source of them.
    """
    key, most = model.key("prediction_log"), model.spec.serve.consistency
    check = dg.AssetCheckSpec(
        CHECK, asset=key, description=f"{most:.4g} of the feature vectors that were served are what the lake says"
    )

    @model.asset(
        key,
        "deltalake",
        deps=[model.key("online_features")],
        checks=[check],
        automation_condition=takes(lambda: _waiting(folder.name)),
    )
    def prediction_log(lake: LakeResource, registry: RegistryResource) -> Result:
        """Predictions, outcomes, exposures and traffic of servers, each row exactly once.

        What was taken and is older than the declared retention is deleted from the event store.
        """
        from ml_assets.events.rows import EventStoreError
        from ml_assets.monitoring.log.consistency import consistency

        try:
            metadata = _taken(lake.open(), folder, due)
        except EventStoreError as error:  # the loop goes on: what waits there is not lost
            return Result(metadata={"reason": str(error)}, check_results=[_away(str(error))])
        found = consistency(lake.open(), registry.open(), folder, workers=lake.workers)
        metadata = {**metadata, **_reviews(lake.open(), folder, drop)}
        return Result(metadata=metadata, check_results=[_checked(found, most)])

    return prediction_log


def _taken(lake: "Lake", folder: "ModelDefinition", due: Dates) -> Mapping[str, Any]:
    from ml_assets.monitoring.log.take import take

    with _store() as store:
        if not store.exists:
            return {"reason": "there is no event store yet: no server has written"}
        done = take(lake, store, folder.name, next(iter(due()), None))
        before = datetime.now(UTC) - folder.spec.serve.retention
        deleted = store.retain(folder.name, round(before.timestamp() * 1e6))
        behind, health = store.count_behind(folder.name), store.health()
    return {
        **done.rows,
        "as_of": str(done.as_of),
        "deleted": deleted,
        "behind": sum(behind.values()),
        "event_store": store.name,
        "event_store_bytes": health.size,
    }


def reviews(model: "Model", sources: "Sequence[SourceSpec]") -> "Path | None":
    """Where files of reviews go: the folder of their source, where it is one of ours."""
    name = model.spec.documents and model.spec.documents.reviewed
    files = next((source.files for source in sources if source.name == name), "://")
    return None if "://" in files else settings().incoming / files.rpartition("/")[0]


def _reviews(lake: "Lake", folder: "ModelDefinition", drop: "Path | None") -> Mapping[str, int]:
    if drop is None:
        return {}
    from ml_assets.monitoring.log.reviews import deliver

    return {"reviews_delivered": deliver(lake, folder, drop)}


def _waiting(folder: str) -> bool:
    """Whether the event store holds rows of a model that the lake has not; asked when a condition is evaluated."""
    from ml_assets.events.rows import EventStoreError

    try:
        with _store() as store:
            return store.exists and store.has_waiting(folder)
    except EventStoreError:  # it is away: a run would fail, and the other conditions are not to wait for it
        return False


def _away(reason: str) -> dg.AssetCheckResult:
    return check_result(CHECK, passed=False, warning=True, description=f"nothing was taken: {reason}")


@contextmanager
def _store() -> "Iterator[EventStore]":
    from ml_assets.events.store import EventStore  # sqlalchemy: not at load

    with EventStore(settings().event_store_url) as store:
        yield store


def _checked(found: "Consistency", least: float) -> dg.AssetCheckResult:
    share = found.share
    days = " and ".join(map(str, found.days))
    return check_result(
        CHECK,
        passed=share is None or share >= least,
        warning=True,
        description="nothing was served from the online store yet"
        if share is None
        else f"{found.agreed} of {found.vectors} served feature vectors as of {days} are what the lake says",
        metadata={
            "vectors": found.vectors,
            "limit": least,
            **({} if share is None else {"share": share}),
            "examples": table([each.row() for each in found.examples]),
        },
    )
