"""What the data sensor remembers, and which ingests that failed it asks for again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import dagster as dg

from ml_assets.ingest.listing import Listing

ATTEMPT = "ml_assets/attempt"
"""The tag of a run that says how often its ingest was asked for; from the second on."""

_FIRST, _LONGEST = 60, 3600
"""Seconds after which a failed ingest is tried again: at first, and at most."""

_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class Cursor:
    """The cursor of a data sensor.

    Args:
        number: runs asked for so far, which tells two equal states of a drop zone at different times apart.
        digests: of the files of each source, as they were last asked for.
        asked: source → the key of the last run that ingests it, and how often that was asked for.
    """

    number: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The cursor as Dagster kept it."""
        plain = json.loads(text) if text else {}
        asked = {name: (str(key), int(tries)) for name, (key, tries) in plain.get("asked", {}).items()}
        return cls(plain.get("number", 0), plain.get("digests", {}), asked)

    def write(self) -> str:
        """The cursor as Dagster keeps it."""
        return json.dumps({"number": self.number, "digests": dict(self.digests), "asked": dict(self.asked)})

    def asked_for(self, key: str, tries: Mapping[str, int], listings: Mapping[str, Listing]) -> Self:
        """The cursor after a run was asked for that ingests the sources of `tries`."""
        digests = {**self.digests, **{name: listings[name].digest for name in listings}}
        asked = {**self.asked, **{name: (key, count) for name, count in tries.items()}}
        return replace(self, number=self.number + 1, digests=digests, asked=asked)


def due_again(
    context: dg.SensorEvaluationContext, cursor: Cursor, raw: Mapping[str, dg.AssetKey], now: datetime
) -> dict[str, int]:
    """The sources whose last ingest failed and is due again, with how often it was asked for.

    Dagster never starts the same key twice and the cursor has moved on, so nobody else would. A run that failed by a
    blocking check has ingested: its files are held back until they, or the check, are others.

    Args:
        context: of the sensor's tick.
        cursor: what was asked for before.
        raw: source → its asset.
        now: the moment of the tick, UTC.
    """
    try:
        instance = context.instance
    except dg.DagsterInvariantViolationError:  # a tick without an instance, as a test makes one
        return {}
    asked = {name: pair for name, pair in cursor.asked.items() if name in raw}
    return {name: tries for name, (key, tries) in asked.items() if _due(instance, raw[name], key, tries, now)}


def _due(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str, tries: int, now: datetime) -> bool:
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": key}), limit=10)
    roots = [record.dagster_run.run_id for record in records]
    more = [instance.get_run_records(dg.RunsFilter(tags={"dagster/root_run_id": root}), limit=10) for root in roots]
    runs = [*records, *(record for retries in more for record in retries)]
    if not runs or any(record.dagster_run.status not in _ENDED for record in runs):
        return False
    last = max(runs, key=lambda record: record.create_timestamp)
    if last.dagster_run.status == dg.DagsterRunStatus.SUCCESS or last.end_time is None:
        return False
    event = instance.get_latest_materialization_event(asset)
    if event is not None and event.run_id in {record.dagster_run.run_id for record in runs}:
        return False
    return now.timestamp() - last.end_time >= min(_FIRST * 2.0 ** min(tries - 1, 10), _LONGEST)
