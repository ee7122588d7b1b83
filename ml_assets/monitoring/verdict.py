"""Retrain or not, as of a date: the evidence of the reports, the decision, and the ledger of every verdict.

A verdict is taken once for the same evidence, however often it is asked for. The ledger is append-only; the last row of
an as-of date is the one in force.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Generic

from ml_assets.decisions import retrain
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.retrain import Action, Policy, RetrainEvidence, RetrainVerdict
from ml_assets.errors import DataError, DeclarationError
from ml_assets.features.store import refresh
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import known_until, reach
from ml_assets.training.versions import RegisteredVersions, V, Versions


@dataclass(frozen=True)
class LedgerVerdict:
    """A row of the ledger of verdicts.

    Args:
        as_of: `T`.
        model_version: the champion; None where there was none.
        action: of `Action`.
        reason: in a sentence.
        triggers: JSON, a list of what was asked.
        in_a_row: JSON, trigger → how many dates in a row it fired.
        evidence: of `evidence_mark`.
        decided_at: naive UTC.
    """

    as_of: date
    model_version: int | None
    action: Action
    reason: str
    triggers: str
    in_a_row: str
    evidence: int
    decided_at: datetime


@dataclass(frozen=True)
class ReportSummary:
    """The evidence of the reports of an as-of date on the champion; None where they cannot tell.

    Args:
        drifted: feature → whether it drifted.
        evaluated: the metric of the policy in the champion's evaluation.
        measured: the same on labels that matured since.
        estimated: the same as expected from calibrated scores.
    """

    drifted: Mapping[str, bool | None]
    evaluated: float | None = None
    measured: Interval | None = None
    estimated: Interval | None = None


@dataclass(frozen=True)
class DecisionState(Generic[V]):
    """The state that earlier decisions left to the next one.

    Args:
        champion: the version that answers; None before the first release.
        attempted: the as-of date of the last training, shipped or not.
        before: of `retrain.counts` at the date before; the counts of another champion are not of this one.
    """

    champion: V | None = None
    attempted: date | None = None
    before: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedVerdict:
    """A verdict in the ledger.

    Args:
        verdict: with its triggers; a verdict that stood already is taken again, from the same evidence.
        evidence: what it stands on.
        reused: it stood already.
    """

    verdict: RetrainVerdict
    evidence: RetrainEvidence
    reused: bool

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first; the others of the evidence where they are known."""
        drifted = self.evidence.drifted
        return {
            "verdict": self.verdict.action.value,
            "reason": self.verdict.reason,
            "suspicions": sum(trigger.fired for trigger in self.verdict.numbers),
            "new_rows": self.evidence.new_rows,
            **({} if drifted is None else {"drifted_importance": drifted}),
        }


@dataclass(frozen=True)
class _AsStored:
    """Evidence in the words of the first ledgers, whose marks are hashes of them: classes have been renamed since."""

    evidence: RetrainEvidence

    def __repr__(self) -> str:
        return repr(self.evidence).replace("RetrainEvidence(", "Evidence(", 1).replace("Interval(", "Measured(")


def evidence_mark(policy: Policy, evidence: RetrainEvidence) -> int:
    """The number by which the ledger knows that a verdict was taken on the same evidence by the same policy."""
    return fingerprint_of(policy, _AsStored(evidence))


def ledger(model: str) -> Ledger[LedgerVerdict]:
    """A model's verdicts."""
    return Ledger(ModelTables(model).retraining_verdict, LedgerVerdict, ("as_of", "decided_at"))


def decide(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    policy: Policy,
    summary: ReportSummary,
    as_of: date,
    *,
    direction: int,
    decided_at: datetime,
    workers: int = 2,
) -> RecordedVerdict:
    """Decide at `as_of`, and keep the verdict unless the one that stands there is of the same evidence.

    Args:
        lake: where the ledger is.
        registry: who is champion.
        folder: the model.
        policy: when to retrain.
        summary: what the reports say.
        as_of: `T`.
        direction: 1 where a larger metric is better, -1 where a smaller one is.
        decided_at: now, naive UTC; it decides nothing.
        workers: as-of dates computed side by side.
    """
    champion, last = registry.champion(folder.name), registry.latest(folder.name)
    state = DecisionState(
        champion,
        last.as_of if last and last.as_of <= as_of else None,
        _before(lake, folder.name, champion.number, as_of) if champion else {},
    )
    evidence = collect_evidence(
        RegisteredVersions(lake, registry), state, summary, as_of, direction=direction,
        count_rows=lambda fitted: _count_rows(lake, folder, fitted, as_of, workers),
    )  # fmt: skip
    verdict, mark = retrain.decide(policy, evidence), evidence_mark(policy, evidence)
    with lake.lock(ledger(folder.name).table):
        stands = at(lake, folder.name, as_of)
        reused = stands is not None and stands.evidence == mark
        if not reused:
            row = LedgerVerdict(
                as_of=as_of,
                model_version=champion.number if champion else None,
                action=Action(verdict.action),
                reason=verdict.reason,
                triggers=json.dumps([asdict(trigger) for trigger in verdict.numbers]),
                in_a_row=json.dumps(retrain.counts(evidence, verdict)),
                evidence=mark,
                decided_at=decided_at,
            )
            ledger(folder.name).append(lake, row)
    return RecordedVerdict(verdict, evidence, reused)


def collect_evidence(
    versions: Versions[V],
    state: DecisionState[V],
    summary: ReportSummary,
    as_of: date,
    *,
    direction: int,
    count_rows: Callable[[date], int],
) -> RetrainEvidence:
    """The evidence of a policy at `as_of`: the loop and a replay decide on this.

    Args:
        versions: that keep the champion.
        state: what earlier decisions left.
        summary: what the reports say of the champion.
        as_of: `T`.
        direction: 1 where a larger metric is better, -1 where a smaller one is.
        count_rows: counts the members of the population at the dates after a date whose labels are mature at `T`.
    """
    champion = state.champion
    if champion is None:
        return RetrainEvidence(as_of, trained=None, attempted=state.attempted)
    record = versions.record(champion)
    # A replay measures the importance when it is asked for the first time.
    weighed = any(drifted is not None for drifted in summary.drifted.values())
    return RetrainEvidence(
        as_of=as_of,
        trained=record.as_of,
        attempted=state.attempted,
        rows=versions.rows_fitted(champion),
        new_rows=count_rows(max(record.split.refit)),
        drifted=retrain.drift_weight(summary.drifted, versions.importance(champion)) if weighed else None,
        evaluated=summary.evaluated,
        measured=summary.measured,
        estimated=summary.estimated,
        direction=direction,
        before=state.before,
    )


def latest(lake: Lake, model: str) -> LedgerVerdict | None:
    """The verdict in force of the last as-of date that has one."""
    return ledger(model).last(lake)


def at(lake: Lake, model: str, as_of: date) -> LedgerVerdict | None:
    """The verdict in force at an as-of date."""
    return ledger(model).last(lake, "as_of = $day", day=as_of)


def numbers(lake: Lake, model: str, as_of: date) -> dict[str, float]:
    """The verdict in force as numbers, for alerts: 1 or 0 for each action, and each trigger's value."""
    verdict = at(lake, model, as_of)
    if verdict is None:
        return {}
    triggers = json.loads(verdict.triggers)
    values = {trigger["name"]: trigger["value"] for trigger in triggers}
    detected = [trigger for trigger in triggers if trigger["in_a_row"] >= trigger["needed"]]
    aliases = {"drift": "drifted_importance"}
    return {
        **{action.value: float(verdict.action == action) for action in Action},
        "detected": float(len(detected)),
        **{aliases.get(name, f"trigger_{name}"): float(value) for name, value in values.items()},
    }


def history(lake: Lake, model: str, rows: int = 20) -> list[dict[str, Any]]:
    """The last verdicts, the newest first."""
    columns = ("as_of", "model_version", "action", "reason")
    return [{name: getattr(row, name) for name in columns} for row in reversed(ledger(model).history(lake, rows))]


def next_as_of(lake: Lake, folder: ModelDefinition, today: date) -> date | None:
    """The as-of date that the loop works on: both the calendar and the data have reached it. None before the first.

    A loop that was off for weeks catches up one date after the other, because each verdict counts on the one before. A
    history that has ended leads up to its last date, and no further.
    """
    try:
        until, last_date = known_until(lake, folder, today), reach(lake, folder, today).as_of
    except (DataError, DeclarationError):  # a source has no rows yet, or the calendar begins later
        return None
    reached = folder.spec.cadence.dates(min(until, last_date)) if last_date else []
    if not reached:
        return None
    last = latest(lake, folder.name)
    ahead = [] if last is None else [day for day in reached if day > last.as_of]
    return ahead[0] if ahead else reached[-1]


def _count_rows(lake: Lake, folder: ModelDefinition, fitted: date, as_of: date, workers: int) -> int:
    """Members of the population at the dates after `fitted` whose labels are mature at `as_of`."""
    mature = known_until(lake, folder, as_of) - folder.spec.label.horizon
    days = [day for day in folder.spec.cadence.dates(mature) if day > fitted]
    if not days:
        return 0
    refresh(lake, folder.population, days, workers=workers)
    count = "SELECT count(*) AS n FROM p WHERE as_of IN (SELECT unnest($days))"
    return int(lake.query(count, {"days": days}, p=folder.population.kept)["n"][0].as_py())


def _before(lake: Lake, model: str, champion: int, as_of: date) -> dict[str, int]:
    """The counts of the as-of date before; those of another champion are not of this one."""
    previous = ledger(model).last(lake, "as_of < $day", day=as_of)
    if previous is None or previous.model_version != champion:
        return {}
    return dict(json.loads(previous.in_a_row))
