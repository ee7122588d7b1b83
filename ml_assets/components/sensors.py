"""What starts runs: files that arrived, a verdict that says so, and the conditions of the assets themselves.

Each sensor reads small state only and keeps what it has answered in its cursor or in the key of the run, so that a tick
that is killed and repeated asks for the same run, and Dagster starts it once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import LOOP, partitions
from ml_assets.components.resources import LakeResource, SettingsResource
from ml_assets.components.retries import ATTEMPT, Cursor, due_again
from ml_assets.errors import DataError
from ml_assets.ingest.listing import Listing, changed_sources, list_files

if TYPE_CHECKING:
    from ml_assets.components.conditions import Dates
    from ml_assets.monitoring.verdict import LedgerVerdict
    from ml_assets.spec.cadence import Cadence
    from ml_assets.spec.source import SourceSpec

EVERY = 15
"""Seconds between two looks."""

REASON = "reason"
"""The tag of a run that says why it was started."""

ALWAYS: dict[str, Any] = {"minimum_interval_seconds": EVERY, "default_status": dg.DefaultSensorStatus.RUNNING}
"""How each sensor looks: from the start, and often."""


def loop_name(folder: str) -> str:
    """The name of the job that runs a model's whole loop.

    >>> loop_name("churn")
    'churn_loop'
    """
    return f"{folder}_loop"


def loop_job(folder: str, cadence: "Cadence") -> Any:  # noqa: ANN401 - Dagster's unresolved job is not public
    """The whole loop of a model at an as-of date."""
    return dg.define_asset_job(
        loop_name(folder),
        selection=dg.AssetSelection.tag(LOOP, folder),
        partitions_def=partitions(cadence),
        description=f"The whole loop of {folder} at an as-of date",
    )


def loop_schedule(folder: str, due: "Dates", cron: str) -> dg.ScheduleDefinition:
    """The whole loop at the as-of date that calendar and data have reached, whatever the reports say."""

    @dg.schedule(
        name=f"{folder}_schedule",
        job_name=loop_name(folder),
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def loop() -> dg.RunRequest | dg.SkipReason:
        if not (days := due()):
            return dg.SkipReason("calendar and data have reached no as-of date yet")
        day = str(days[-1])
        return dg.RunRequest(run_key=f"{loop_name(folder)}/{day}", partition_key=day, tags={REASON: "schedule"})

    return loop


def data_sensor(folder: str, sources: "Sequence[SourceSpec]") -> dg.SensorDefinition:
    """Watch the files of a model's sources, and ingest those sources whose files changed.

    Views, predictions and reports follow by their own conditions. The cursor keeps one digest for each source's names,
    sizes and times, so no file is read; the number in the run's key tells two equal states at different times apart.
    """
    raw = {source.name: dg.AssetKey([folder, "raw", source.name]) for source in sources}

    @dg.sensor(name=f"{folder}_data", target=dg.AssetSelection.assets(*raw.values()), **ALWAYS)
    def data(context: dg.SensorEvaluationContext, settings: SettingsResource) -> dg.SensorResult:
        """New or changed files are ingested; so are those of an ingest that failed, later and later."""
        listings, failed = _listings(sources, settings.incoming)
        cursor = Cursor.read(context.cursor)
        again = due_again(context, cursor, raw, datetime.now(UTC))
        new = [*changed_sources(cursor.digests, listings), *(name for name in again if name in listings)]
        if not new and failed:
            raise DataError(". ".join(failed))  # a tick that failed is seen and told, and asks again
        if not new:
            return dg.SensorResult(skip_reason=_unchanged(listings), cursor=cursor.write())
        names = [name for name in listings if name in new]
        number = cursor.number + 1
        key = f"{folder}/data/{number}/" + "-".join(listings[name].digest for name in names)
        tries = {name: again.get(name, 0) + 1 for name in names}
        tags = {REASON: f"new files: {', '.join(names)}" if not again else f"tried again: {', '.join(names)}"}
        request = dg.RunRequest(
            run_key=key,
            asset_selection=[raw[name] for name in names],
            tags=tags | ({ATTEMPT: str(max(tries.values()))} if max(tries.values()) > 1 else {}),
        )
        return dg.SensorResult([request], cursor=cursor.asked_for(key, tries, listings).write())

    return data


def _listings(sources: "Sequence[SourceSpec]", incoming: Path) -> tuple[dict[str, Listing], list[str]]:
    """The files of each source; what keeps one from being listed keeps no other."""
    listings, failed = dict[str, Listing](), list[str]()
    for source in sources:
        try:
            listings[source.name] = list_files(source, incoming)
        except DataError as error:
            failed.append(f"source {source.name}: {error}")
    return listings, failed


def retrain_sensor(folder: str) -> dg.SensorDefinition:
    """Start one run of the loop for a verdict that says `retrain`, with its reason as a tag.

    A sensor over the ledger in the lake, neither an `asset_sensor` nor an automation condition: both act on events, and
    would have to ask the lake what the verdict was; and only a sensor says why it skips. The as-of date in the run's
    key makes the retraining of a date happen once, whatever is killed and started again.
    """

    @dg.sensor(name=f"{folder}_retrain", job_name=loop_name(folder), **ALWAYS)
    def retrain(lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
        """The last verdict is followed."""
        from ml_assets.monitoring.verdict import latest  # pyarrow: not at load

        verdict = latest(lake.open(), folder)
        if verdict is None:
            return dg.SkipReason("no verdict yet")
        if verdict.action != "retrain":
            return dg.SkipReason(f"{verdict.action} at {verdict.as_of}: {verdict.reason}")
        return retrain_request(folder, verdict)

    return retrain


def retrain_request(folder: str, verdict: "LedgerVerdict") -> dg.RunRequest:
    """The run that follows from a verdict: the same verdict gives the same key."""
    day = str(verdict.as_of)
    return dg.RunRequest(
        run_key=f"{folder}/retrain/{day}",
        partition_key=day,
        tags={REASON: verdict.reason, "ml_assets/verdict": f"{day} {verdict.action}"},
    )


def automation_sensor(folder: str) -> dg.AutomationConditionSensorDefinition:
    """Evaluate the conditions of a model's assets. The default one starts stopped, and knows its own kinds only."""
    return dg.AutomationConditionSensorDefinition(
        f"{folder}_automation",
        target=dg.AssetSelection.groups(folder),
        use_user_code_server=True,
        emit_backfills=False,
        run_tags={REASON: "what it stands on is new"},
        **ALWAYS,
    )


def _unchanged(listings: Mapping[str, Listing]) -> str:
    return ", ".join(f"{name}: {listed.files} files, none new" for name, listed in listings.items())
