"""The page of an incident: what was known when a version was rolled back, gathered from all ledgers.

It is written after each rollback, and may be written at any time: what a source does not say is said to be missing, and
keeps no other part from the page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ml_assets.decisions.route import CHALLENGER
from ml_assets.events.counts import TrafficCounts, count_traffic
from ml_assets.events.failures import list_failures
from ml_assets.events.store import EventStore
from ml_assets.rollouts import incident_history as past
from ml_assets.rollouts.ledger import RolloutStep, ledger
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training import release

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Rollback:
    """A version that does not answer any more, and who took it back.

    Args:
        name: of the incident: `7-1` of a rollout, else `version 7`.
        at: when, naive UTC.
        actor: who.
        reason: in a sentence.
        version: that was rolled back.
        stays: the version that answers instead.
        steps: of its rollout, in order; none where a person went back without one.
    """

    name: str
    at: datetime
    actor: str
    reason: str
    version: int
    stays: int
    steps: tuple[RolloutStep, ...] = ()

    @property
    def stages(self) -> list[str]:
        """The names under which units of the rollout were exposed."""
        return list(dict.fromkeys(step.experiment for step in self.steps))


@dataclass(frozen=True)
class IncidentSection:
    """A table of the page.

    Args:
        title: what it shows.
        rows: of the same columns.
        nothing: what is said where there are none.
    """

    title: str
    rows: Rows
    nothing: str = "none"


@dataclass(frozen=True)
class Incident:
    """What was known of a rollback.

    Args:
        model: the model's name.
        rollback: what happened.
        written_at: naive UTC.
        sections: the tables, in the order in which a person asks.
    """

    model: str
    rollback: Rollback
    written_at: datetime
    sections: tuple[IncidentSection, ...]


@dataclass(frozen=True)
class IncidentSources:
    """Where the parts of a page come from.

    Args:
        lake: the ledgers and reports.
        registry: versions and routes.
        store: what servers wrote; None: there is no event store.
        tables: source → its table in the lake.
    """

    lake: Lake
    registry: Registry
    store: EventStore | None
    tables: Mapping[str, str]


def last_rollback(lake: Lake, model: str) -> Rollback | None:
    """The last rollback of a model, by verdict or by hand; None: nothing was rolled back yet."""
    rollbacks = [each for each in (_of_rollout(lake, model), _of_champion(lake, model)) if each]
    return max(rollbacks, key=lambda each: each.at, default=None)


def gather_incident(sources: IncidentSources, model: str, rollback: Rollback, now: datetime) -> Incident:
    """Gather what is known of a rollback.

    Args:
        sources: where from.
        model: the model's name.
        rollback: what happened.
        now: naive UTC.
    """
    lake, registry, versions = sources.lake, sources.registry, (rollback.version, rollback.stays)
    parts: tuple[tuple[str, Callable[[], Rows]], ...] = (
        ("What serves now", lambda: _list_routes(registry, model)),
        ("Steps of the rollout", lambda: past.list_steps(rollback.steps)),
        ("Units by stage and variant", lambda: _list_counts(sources, model, rollback)),
        ("Failures of the version, with their predictions", lambda: _list_failures(sources, model, rollback)),
        ("What differs between the two versions", lambda: past.list_differences(registry, model, *versions)),
        ("Performance of the two versions", lambda: past.list_performance(lake, model, versions)),
        ("Drift while they were champion", lambda: past.list_drift(lake, model, versions)),
        ("The last alerts and verdicts", lambda: past.list_alerts(lake, model, rollback.at)),
        ("What changed in the 14 days before", lambda: past.list_changes(lake, model, sources.tables, rollback.at)),
    )
    return Incident(model, rollback, now, tuple(_section(title, gather) for title, gather in parts))


def _section(title: str, gather: Callable[[], Rows]) -> IncidentSection:
    """What one source cannot say keeps no other from the page."""
    try:
        return IncidentSection(title, gather())
    except Exception as error:  # noqa: BLE001 - an incident is the moment at which anything may be broken
        return IncidentSection(title, (), f"not known: {error or type(error).__name__}")


def _of_rollout(lake: Lake, model: str) -> Rollback | None:
    steps = ledger(model).history(lake)
    last = next((step for step in reversed(steps) if step.action == "roll_back"), None)
    if last is None:
        return None
    own = tuple(step for step in steps if step.rollout == last.rollout)
    return Rollback(last.rollout, last.at, last.actor, last.reason, last.challenger, last.control, own)


def _of_champion(lake: Lake, model: str) -> Rollback | None:
    rows = [row for row in release.history(lake, model) if row["decision"] == "rolled back"]
    if not rows:
        return None
    last = rows[-1]
    name = f"version {last['previous']}"
    return Rollback(name, last["decided_at"], "a person", last["reason"], last["previous"], last["version"])


def _list_routes(registry: Registry, model: str) -> Rows:
    registered = registry.routes().get(model)
    if registered is None:
        return []
    route = registered.route
    until = "for ever" if route.until is None else str(datetime.fromtimestamp(route.until, UTC).replace(tzinfo=None))
    return [
        {"variant": each.name, "version": each.version, "share": f"{each.share:.0%}", "until": until}
        for each in route.variants
    ]


def _list_counts(sources: IncidentSources, model: str, rollback: Rollback) -> Rows:
    if sources.store is None or not rollback.steps:
        return []
    counts = count_traffic(sources.store, model, rollback.stages)
    return [_count_row(each, variant) for each in counts for variant in sorted(each.exposed)]


def _count_row(counts: TrafficCounts, variant: str) -> dict[str, object]:
    failures = {reason: f"{units.get(variant, 0):,}" for reason, units in sorted(counts.failures.items())}
    words = ", ".join(f"{reason} {units}" for reason, units in failures.items())
    return {
        "stage": counts.experiment,
        "variant": variant,
        "units met here first": f"{counts.first.get(variant, 0):,}",
        "units answered": f"{counts.exposed[variant]:,}",
        "first failures": words or "none",
    }


def _list_failures(sources: IncidentSources, model: str, rollback: Rollback) -> Rows:
    if sources.store is None or not rollback.steps:
        return []
    failures = list_failures(sources.store, model, rollback.stages, CHALLENGER)
    return [
        {
            "at": datetime.fromtimestamp(each.failed_at / 1e6, UTC).replace(tzinfo=None, microsecond=0),
            "kind": each.reason,
            "unit": each.entity,
            "prediction": each.prediction_id or "no answer",
            "lineage": f"/predictions/{each.prediction_id}/lineage" if each.prediction_id else "",
        }
        for each in failures
    ]
