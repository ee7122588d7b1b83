"""What Dagster forgets of old runs: all that nobody asks for any more.

Of a run that ended long ago go its events and its captured output. What stays: of each asset and partition the latest
event of every kind, of each check the latest evaluation, the events of checks of such a run, and the run itself as long
as one of these is of it. So conditions, partitions and `status` see what they saw. A run with a key stays, too, without
events: its sensor may ask for the key again, and the run is why it is not started twice.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from ml_assets.components.sensors import ALWAYS

if TYPE_CHECKING:
    from sqlalchemy import Connection

SUCCEEDED, FAILED = (dg.DagsterRunStatus.SUCCESS,), (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_OF_CHECKS = ("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED")
_KEY = "dagster/run_key"
_RUNS, _ROWS = 50, 500  # of a transaction, in which nobody else writes
_SECONDS = 20.0  # of a tick, which Dagster ends after 60


class Purged(NamedTuple):
    """How many events went, and how many runs as a whole."""

    events: int
    runs: int


def purge_sensor(succeeded: int, failed: int) -> dg.SensorDefinition:
    """Forget once an hour what nobody asks for of runs that are so many days old."""

    @dg.sensor(name="old_runs", **{**ALWAYS, "minimum_interval_seconds": 3600})
    def old_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Dagster itself keeps every run for ever."""
        now, events, runs = datetime.now(UTC), 0, 0
        for statuses, days in ((SUCCEEDED, succeeded), (FAILED, failed)):
            done = purge(context.instance, now - timedelta(days=days), statuses)
            events, runs = events + done.events, runs + done.runs
        return dg.SkipReason(f"{events:,} events and {runs:,} runs went that nobody asks for")

    return old_runs


def purge(
    instance: dg.DagsterInstance,
    before: datetime,
    statuses: Sequence[dg.DagsterRunStatus] = (*SUCCEEDED, *FAILED),
    *,
    seconds: float = _SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Purged:
    """Forget what nobody asks for of ended runs that were created before a moment; may be called again and again.

    Args:
        instance: whose runs.
        before: with a time zone.
        statuses: how the runs ended.
        seconds: after which no further runs are begun with; the next call goes on.
        clock: in seconds.
    """
    until, done = clock() + seconds, Purged(0, 0)
    ids = instance.get_run_ids(dg.RunsFilter(statuses=statuses, created_before=before))[::-1]  # oldest first
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        latest, evaluated = _latest(connection), _evaluated(connection)
    for start in range(0, len(ids), _RUNS):
        if clock() >= until:
            break
        some = ids[start : start + _RUNS]
        with storage.index_connection() as connection:
            events, empty = _forget(connection, some, latest, evaluated)
        runs = _drop(instance, empty)
        done = Purged(done.events + events, done.runs + runs)
    return done


def _latest(connection: "Connection") -> set[int]:
    """Of each asset and partition the latest event of every kind."""
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
    from sqlalchemy import func, select

    each = (Events.c.asset_key, Events.c.partition, Events.c.dagster_event_type)
    query = select(func.max(Events.c.id)).where(Events.c.asset_key.is_not(None)).group_by(*each)
    return {*connection.execute(query).scalars()}


def _evaluated(connection: "Connection") -> dict[int, str]:
    """Of each check and partition the latest evaluation, and its run."""
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
    from sqlalchemy import func, select

    each = (Checks.c.asset_key, Checks.c.check_name, Checks.c.partition)
    newest = [
        select(func.max(Checks.c.id)).group_by(*each),
        select(func.max(Checks.c.id)).where(Checks.c.evaluation_event_storage_id.is_not(None)).group_by(*each),
    ]
    runs = dict[int, str]()
    for ids in newest:
        rows = connection.execute(select(Checks.c.id, Checks.c.run_id).where(Checks.c.id.in_(ids)))
        runs |= {row[0]: row[1] for row in rows}
    return runs


def _forget(
    connection: "Connection", runs: Sequence[str], latest: Collection[int], evaluated: "dict[int, str]"
) -> tuple[int, list[str]]:
    """Delete what is not kept of some runs; how many events went, and the runs of which nothing is left."""
    from dagster._core.storage.event_log import schema
    from sqlalchemy import delete, select

    events, checks, tags = schema.SqlEventLogStorageTable, schema.AssetCheckExecutionsTable, schema.AssetEventTagsTable
    query = select(events.c.id, events.c.run_id, events.c.dagster_event_type).where(events.c.run_id.in_(runs))
    rows, gone, remaining = connection.execute(query).all(), list[int](), {*evaluated.values()}
    left = remaining & {*runs}
    for number, run, kind in rows:
        if number in latest or (kind in _OF_CHECKS and run in remaining):
            left.add(run)
        else:
            gone.append(number)
    for some in _pages(gone):
        connection.execute(delete(tags).where(tags.c.event_id.in_(some)))
        connection.execute(delete(events).where(events.c.id.in_(some)))
    of_runs = connection.execute(select(checks.c.id).where(checks.c.run_id.in_(runs))).scalars()
    for some in _pages([number for number in of_runs if number not in evaluated]):
        connection.execute(delete(checks).where(checks.c.id.in_(some)))
    return len(gone), [run for run in runs if run not in left]


def _pages(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _ROWS] for start in range(0, len(numbers), _ROWS))


def _drop(instance: dg.DagsterInstance, empty: Sequence[str]) -> int:
    """Delete runs of which nothing is left, but those with a key; how many."""
    runs = instance.get_runs(dg.RunsFilter(run_ids=[*empty])) if empty else []
    gone = [run.run_id for run in runs if _KEY not in run.tags]
    for run_id in gone:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(gone)
