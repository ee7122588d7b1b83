"""`<folder>/incident`: one page of what was known when a version was rolled back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.metadata import table
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource

if TYPE_CHECKING:
    from ml_assets.components.rollout import Rollout
    from ml_assets.rollouts.incident import Incident
    from ml_assets.storage.lake import Lake


def incident(rollout: "Rollout", sources: Sequence[str]) -> dg.AssetsDefinition:
    """The asset; the sensor asks for it after each rollback, and a person may at any time.

    Args:
        rollout: the component, which names the asset.
        sources: the names of the folder's sources.
    """
    key, model = rollout.key("incident"), rollout.folder

    @rollout.asset(key, "mlflow", "deltalake", deps=[rollout.key("rollout")], looped=False)
    def incident(lake: LakeResource, registry: RegistryResource, settings: SettingsResource) -> Result:
        """Who rolled back what and why, what was counted, what had changed, and what serves now."""
        from ml_assets.events.store import EventStore
        from ml_assets.rollouts.incident import IncidentSources, gather_incident, last_rollback
        from ml_assets.rollouts.incident_page import write_page
        from ml_assets.storage.tables import ModelTables

        now, rollback = datetime.now(UTC).replace(tzinfo=None), last_rollback(lake.open(), model)
        if rollback is None:
            return Result(metadata={"reason": "nothing was rolled back yet"})
        tables = {source: ModelTables(model).raw(source) for source in sources}
        with EventStore(settings.event_store_url) as store:
            found = gather_incident(IncidentSources(lake.open(), registry.open(), store, tables), model, rollback, now)
        page = write_page(settings.reports / model / "incidents", found, _picture(lake.open(), found))
        return Result(metadata={"page": dg.MetadataValue.path(str(page)), **_sections(found)})

    return incident


def _picture(lake: "Lake", found: "Incident") -> bytes | None:
    """Of the rollout, if that is the last one."""
    from ml_assets.rollouts.plot import figure
    from ml_assets.rollouts.report import read_report

    report = read_report(lake, found.model)
    if report is None or report.last.rollout != found.rollback.name:
        return None
    return figure(report.title, report.points())


def _sections(found: "Incident") -> dict[str, Any]:
    rollback = found.rollback
    who: dict[str, Any] = {"version": rollback.version, "answers_instead": rollback.stays, "actor": rollback.actor}
    shown = {section.title: table(section.rows) if section.rows else section.nothing for section in found.sections}
    return {**who, "at": str(rollback.at), "reason": rollback.reason, **shown}
