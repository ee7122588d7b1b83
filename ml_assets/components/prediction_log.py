"""`<folder>/prediction_log`: what servers saw and said, out of the event store into the lake."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import Dates, when_rows_wait
from ml_assets.components.metadata import check_result
from ml_assets.components.resources import LakeResource, SettingsResource, TreeResources

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.storage.lake import Lake

CHECK = "event_store_answers"


def prediction_log(model: "Model", due: Dates, resources: TreeResources) -> dg.AssetsDefinition:
    """The asset; it has no as-of date of its own, for servers know the calendar only."""
    key = model.key("prediction_log")
    check = dg.AssetCheckSpec(CHECK, asset=key, description="What waited in the event store could be taken")

    @model.asset(
        key,
        "deltalake",
        deps=[model.key("online_features")],
        checks=[check],
        automation_condition=when_rows_wait(lambda: _waiting(resources.settings.event_store_url, model.folder)),
    )
    def prediction_log(lake: LakeResource, settings: SettingsResource) -> Result:
        """Predictions, outcomes, exposures, searches and traffic of servers, each row exactly once."""
        from ml_assets.events.rows import EventStoreError

        try:
            metadata = _taken(lake.open(), settings.event_store_url, model.folder, due)
        except EventStoreError as error:  # the loop goes on: what waits there is not lost
            reason = str(error)
            away = check_result(CHECK, passed=False, warning=True, description=f"nothing was taken: {reason}")
            return Result(metadata={"reason": reason}, check_results=[away])
        return Result(metadata=metadata, check_results=[check_result(CHECK, passed=True)])

    return prediction_log


def _taken(lake: "Lake", url: str, folder: str, due: Dates) -> Mapping[str, Any]:
    from ml_assets.events.store import EventStore
    from ml_assets.monitoring.log.take import take

    with EventStore(url) as store:
        if not store.exists:
            return {"reason": "there is no event store yet: no server has written"}
        done = take(lake, store, folder, next(iter(due()), None))
        behind = store.count_behind(folder)
    return {**done.rows, "as_of": str(done.as_of), "behind": sum(behind.values()), "event_store": store.name}


def _waiting(url: str, folder: str) -> bool:
    """Whether the event store holds rows of a model that the lake has not; asked when a condition is evaluated."""
    from ml_assets.events.rows import EventStoreError
    from ml_assets.events.store import EventStore

    try:
        with EventStore(url) as store:
            return store.exists and store.has_waiting(folder)
    except EventStoreError:  # it is away: a run would fail, and the other conditions are not to wait for it
        return False
