"""What the ledgers say of the time before a rollback: steps, versions, reports, alerts, and what changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ml_assets.alerts.outbox import alerts
from ml_assets.decisions.metric import headline
from ml_assets.ingest.ledger import Entry, committed_entries
from ml_assets.monitoring import verdict
from ml_assets.rollouts.ledger import RolloutStep, ledger
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables
from ml_assets.training import release
from ml_assets.training.changes import changes, from_tag

Rows = Sequence[Mapping[str, object]]

_BEFORE = timedelta(days=14)
_SHOWN = 20
_COMMIT = "mlflow.source.git.commit"
_REPORTED = """
SELECT model_version AS version, metric, kind, variant, value, low, high, rows, last FROM t
WHERE model_version IN ($first, $second) AND metric IS NOT NULL AND slice IS NULL AND value IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY model_version, metric, kind, variant ORDER BY as_of DESC, pooled DESC) = 1
"""
_DRIFTED = """
SELECT model_version AS version, as_of AS "as of", count(*) AS features,
    string_agg(feature, ', ' ORDER BY feature) FILTER (drifted) AS drifted FROM t
WHERE model_version IN ($first, $second) GROUP BY model_version, as_of
QUALIFY row_number() OVER (PARTITION BY model_version ORDER BY as_of DESC) <= 4 ORDER BY as_of DESC, version
"""


class PastEvent(NamedTuple):
    """Something that happened, in a line.

    Args:
        at: when, naive UTC.
        what: of which kind.
        said: in a sentence.
    """

    at: datetime
    what: str
    said: str


def list_steps(steps: Sequence[RolloutStep]) -> Rows:
    """The steps of a rollout, without the measurements that changed nothing but the last one."""
    last = [step for step in steps if step.action == "hold"][-1:]
    shown = [step for step in steps if step.action != "hold" or step in last]
    return [
        {
            "step": step.step,
            "at": step.at.replace(microsecond=0),
            "by": step.actor,
            "action": step.action,
            "share": f"{step.share:.0%}",
            "reason": step.reason,
        }
        for step in shown
    ]


def list_differences(registry: Registry, model: str, rolled_back: int, stays: int) -> Rows:
    """What was declared, queried and trained otherwise in the version that was rolled back.

    Args:
        registry: where versions are.
        model: the model's name.
        rolled_back: the number of that version.
        stays: the number of the version that answers instead.
    """
    after, before = registry.find_version(model, rolled_back), registry.find_version(model, stays)
    if after is None or before is None:
        return []
    old, new = from_tag(before.tags.get("parts")), from_tag(after.tags.get("parts"))
    sentences = [] if old is None or new is None else changes(old, new)
    return [{"difference": sentence} for sentence in (*sentences, *_differing_commits(before, after))]


def _differing_commits(before: Version, after: Version) -> Iterator[str]:
    old, new = before.tags.get(_COMMIT), after.tags.get(_COMMIT)
    if old != new:
        yield f"the git commit is {new or 'not known'} (before: {old or 'not known'})"


def list_performance(lake: Lake, model: str, versions: tuple[int, int]) -> Rows:
    """The newest headline metrics of both versions, measured, estimated and served."""
    table = ModelTables(model).performance_report
    if lake.version(table) is None:
        return []
    rows = lake.query(_REPORTED, dict(zip(("first", "second"), versions, strict=True)), t=table).to_pylist()
    shown = [row for row in rows if row["metric"] in headline()]
    return [
        {
            "version": row["version"],
            "metric": row["metric"],
            "of": row["kind"] if row["variant"] is None else f"served: {row['variant']}",
            "value": f"{row['value']:.4f}"
            + ("" if row["low"] is None else f" ({row['low']:.4f} to {row['high']:.4f})"),
            "rows": f"{row['rows']:,}",
            "until": row["last"],
        }
        for row in sorted(shown, key=lambda row: (headline().index(row["metric"]), row["kind"], row["version"]))
    ]


def list_drift(lake: Lake, model: str, versions: tuple[int, int]) -> Rows:
    """The last four drift reports of each version."""
    table = ModelTables(model).drift_report
    if lake.version(table) is None:
        return []
    rows = lake.query(_DRIFTED, dict(zip(("first", "second"), versions, strict=True)), t=table).to_pylist()
    return [row | {"drifted": row["drifted"] or "none"} for row in rows]


def list_alerts(lake: Lake, model: str, until: datetime) -> Rows:
    """The last alerts, and the last verdicts on retraining, that were known at a moment; the newest first.

    Args:
        lake: where they are.
        model: the model's name.
        until: the moment, naive UTC.
    """
    rows = [
        PastEvent(each.created_at, f"alert, {each.severity}, {each.kind}", each.text) for each in alerts(lake, model)
    ]
    rows += [
        PastEvent(each.decided_at, f"verdict, {each.action}", each.reason)
        for each in verdict.ledger(model).history(lake, _SHOWN)
    ]
    return _newest(row for row in rows if row.at <= until)[:_SHOWN]


def list_changes(lake: Lake, model: str, tables: Mapping[str, str], until: datetime) -> Rows:
    """Champions, steps of rollouts and deliveries of the 14 days before a moment; the newest first.

    Args:
        lake: where the ledgers are.
        model: the model's name.
        tables: source → its table.
        until: the moment, naive UTC.
    """
    rows = (*_champions(lake, model), *_steps(lake, model), *_deliveries(lake, tables))
    return _newest(row for row in rows if until - _BEFORE <= row.at <= until)


def _champions(lake: Lake, model: str) -> Iterator[PastEvent]:
    for row in release.history(lake, model):
        said = f"version {row['version']}, {row['decision']}: {row['reason']}"
        yield PastEvent(row["decided_at"], "champion", said)


def _steps(lake: Lake, model: str) -> Iterator[PastEvent]:
    for step in ledger(model).history(lake):
        if step.action != "hold":
            said = f"{step.action} by {step.actor}, then {step.share:.0%}: {step.reason}"
            yield PastEvent(step.at, f"rollout {step.rollout}", said)


def _deliveries(lake: Lake, tables: Mapping[str, str]) -> Iterator[PastEvent]:
    """One line for the files of a source that came in one transaction."""
    for source, table in tables.items():
        batches: dict[tuple[datetime, bool], list[Entry]] = {}
        for entry in committed_entries(lake, table):
            if entry.delivered is not None:
                batches.setdefault((entry.delivered, entry.undone), []).append(entry)
        for (delivered, undone), entries in batches.items():
            yield PastEvent(delivered, f"delivery of {source}", _delivered(entries, undone=undone))


def _delivered(entries: Sequence[Entry], *, undone: bool) -> str:
    files = _count(len(entries), "file")
    accepted, quarantined = sum(each.accepted for each in entries), sum(each.quarantined for each in entries)
    if undone:
        return f"{files} taken back"
    return f"{files}: {_count(accepted, 'row')} accepted, {quarantined:,} in the quarantine"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _newest(events: Iterable[PastEvent]) -> Rows:
    ordered = sorted(events, key=lambda event: event.at, reverse=True)
    return [event._replace(at=event.at.replace(microsecond=0))._asdict() for event in ordered]
