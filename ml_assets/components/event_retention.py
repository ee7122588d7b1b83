"""`<folder>/event_retention`: the event store forgets what the lake has and is older than the declared retention."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.conditions import when_undated_upstream_new
from ml_assets.components.resources import LakeResource, SettingsResource, TreeResources

if TYPE_CHECKING:
    from ml_assets.components.model import Model


def event_retention(model: "Model", resources: TreeResources) -> dg.AssetsDefinition:
    """The asset; what `prediction_log` has not taken stays, however old it is."""
    kind = "sqlite" if resources.settings.event_store_url.startswith("sqlite") else "postgres"

    @model.asset(
        model.key("event_retention"),
        kind,
        deps=[model.key("prediction_log")],
        automation_condition=when_undated_upstream_new(),
    )
    def event_retention(settings: SettingsResource, lake: LakeResource) -> Result:
        """Rows of the event store that were taken and are older than `serve.retention` are deleted.

        Units of a rollout that is running are counted still, however long it is held: their rows stay.
        """
        from ml_assets.events.rows import EventStoreError
        from ml_assets.events.store import EventStore  # sqlalchemy: not at load
        from ml_assets.rollouts.ledger import running_stages

        before = datetime.now(UTC) - model.spec.serve.retention
        try:
            with EventStore(settings.event_store_url) as store:
                if not store.exists:
                    return Result(metadata={"reason": "there is no event store yet: no server has written"})
                spared = running_stages(lake.open(), model.folder)
                deleted = store.retain(model.folder, round(before.timestamp() * 1e6), spared=spared)
                size = store.health().size
                return Result(metadata={"deleted": deleted, "event_store": store.name, "event_store_bytes": size})
        except EventStoreError as error:  # the loop goes on: the next run deletes it
            return Result(metadata={"reason": str(error)})

    return event_retention
