"""Retrain or not, as of a date: the evidence of the reports, the decision, and the ledger of every verdict.

A verdict is taken once for the same evidence, however often it is asked for. The ledger is append-only; the last row of
an as-of date is the one in force.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from ml_assets.decisions import retrain
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.retrain import Action, Policy, RetrainEvidence, RetrainVerdict, drifted_importance
from ml_assets.errors import DataError, DeclarationError
from ml_assets.features.store import refresh
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables
from ml_assets.training.dataset import known_until
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import reach
from ml_assets.training.record import record, required
from ml_assets.training.report import REPORT

_LEDGER = pa.schema([
    ("as_of", pa.date32()),
    ("model_version", pa.int64()),
    ("action", pa.string()),
    ("reason", pa.string()),
    ("triggers", pa.string()),
    ("in_a_row", pa.string()),
    ("evidence", pa.int64()),
    ("decided_at", pa.timestamp("us")),
])  # fmt: skip


@dataclass(frozen=True)
class ReportSummary:
    """What the reports of an as-of date say of the champion; None where they cannot tell.

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


def ledger(model: str) -> str:
    """The table of a model's verdicts."""
    return ModelTables(model).retraining_verdict


def decide(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    policy: Policy,
    seen: ReportSummary,
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
        seen: what the reports say.
        as_of: `T`.
        direction: 1 where a larger metric is better, -1 where a smaller one is.
        decided_at: now, naive UTC; it decides nothing.
        workers: as-of dates computed side by side.
    """
    champion, last = registry.champion(folder.name), registry.latest(folder.name)
    found = _evidence(lake, registry, folder, champion, last, seen, as_of, direction, workers)
    verdict, mark = retrain.decide(policy, found), evidence_mark(policy, found)
    with lake.lock(ledger(folder.name)):
        stands = at(lake, folder.name, as_of)
        reused = stands is not None and stands["evidence"] == mark
        if not reused:
            counts = retrain.counts(found, verdict)
            _append(lake, folder.name, as_of, champion, verdict, counts, mark, decided_at)
    return RecordedVerdict(verdict, found, reused)


def latest(lake: Lake, model: str) -> dict[str, Any] | None:
    """The verdict in force of the last as-of date that has one: a row of the ledger."""
    return _last(lake, model, "true")


def at(lake: Lake, model: str, as_of: date) -> dict[str, Any] | None:
    """The verdict in force at an as-of date."""
    return _last(lake, model, f"as_of = DATE '{as_of}'")


def numbers(lake: Lake, model: str, as_of: date) -> dict[str, float]:
    """The verdict in force as numbers, for alerts: 1 or 0 for each action, and each trigger's value."""
    found = at(lake, model, as_of)
    if found is None:
        return {}
    values = {trigger["name"]: trigger["value"] for trigger in json.loads(found["triggers"])}
    detected = [trigger for trigger in json.loads(found["triggers"]) if trigger["in_a_row"] >= trigger["needed"]]
    named = {"drift": "drifted_importance"}
    return {
        **{action.value: float(found["action"] == action.value) for action in Action},
        "detected": float(len(detected)),
        **{named.get(name, f"trigger_{name}"): float(value) for name, value in values.items()},
    }


def history(lake: Lake, model: str, rows: int = 20) -> list[dict[str, Any]]:
    """The last verdicts, the newest first."""
    if lake.version(ledger(model)) is None:
        return []
    found: list[dict[str, Any]] = lake.query(
        "SELECT as_of, model_version, action, reason FROM v ORDER BY as_of DESC, decided_at DESC LIMIT $rows",
        {"rows": rows},
        v=ledger(model),
    ).to_pylist()
    return found


def due(lake: Lake, folder: ModelDefinition, today: date) -> date | None:
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
    ahead = [] if last is None else [day for day in reached if day > last["as_of"]]
    return ahead[0] if ahead else reached[-1]


def _evidence(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    champion: Version | None,
    last: Version | None,
    seen: ReportSummary,
    as_of: date,
    direction: int,
    workers: int,
) -> RetrainEvidence:
    attempted = last.as_of if last and last.as_of <= as_of else None
    if champion is None:
        return RetrainEvidence(as_of, trained=None, attempted=attempted)
    return RetrainEvidence(
        as_of=as_of,
        trained=champion.as_of,
        attempted=attempted,
        rows=int(registry.metrics(champion.run_id)["rows_refit"]),
        new_rows=_new_rows(lake, registry, folder, champion, as_of, workers),
        drifted=_weighed(registry, champion, seen.drifted),
        evaluated=seen.evaluated,
        measured=seen.measured,
        estimated=seen.estimated,
        direction=direction,
        before=_before(lake, folder, champion, as_of),
    )


def _new_rows(
    lake: Lake, registry: Registry, folder: ModelDefinition, champion: Version, as_of: date, workers: int
) -> int:
    """Members of the population at the dates whose labels matured since the champion was fitted."""
    fitted = max(record(registry, champion).split.refit)
    known = known_until(lake, folder, as_of) - folder.spec.label.horizon
    days = [day for day in folder.spec.cadence.dates(known) if day > fitted]
    if not days:
        return 0
    refresh(lake, folder.population, days, workers=workers)
    found = lake.query(
        "SELECT count(*) AS n FROM p WHERE as_of IN (SELECT unnest($days))", {"days": days}, p=folder.population.kept
    )
    return int(found["n"][0].as_py())


def _weighed(registry: Registry, champion: Version, drifted: Mapping[str, bool | None]) -> float | None:
    """The share of the importance that drifted features hold; a feature whose drift is not known did not drift."""
    if not any(drift is not None for drift in drifted.values()):
        return None
    evaluation = json.loads(required(registry, champion, REPORT))["evaluation"]
    importance = {name: found["mean"] for name, found in evaluation["importance"].items()}
    try:
        return drifted_importance({name: bool(drift) for name, drift in drifted.items()}, importance)
    except ValueError:  # a champion that leans on nothing
        return None


def _before(lake: Lake, folder: ModelDefinition, champion: Version, as_of: date) -> dict[str, int]:
    """The counts of the as-of date before; those of another champion are not of this one."""
    previous = _last(lake, folder.name, f"as_of < DATE '{as_of}'")
    if previous is None or previous["model_version"] != champion.number:
        return {}
    return dict(json.loads(previous["in_a_row"]))


def _last(lake: Lake, model: str, where: str) -> dict[str, Any] | None:
    if lake.version(ledger(model)) is None:
        return None
    found: list[dict[str, Any]] = lake.query(
        f"SELECT * FROM v WHERE {where} ORDER BY as_of DESC, decided_at DESC LIMIT 1", v=ledger(model)
    ).to_pylist()
    return found[0] if found else None


def _append(
    lake: Lake,
    model: str,
    as_of: date,
    champion: Version | None,
    verdict: RetrainVerdict,
    counts: dict[str, int],
    mark: int,
    decided_at: datetime,
) -> None:
    row = {
        "as_of": as_of,
        "model_version": champion.number if champion else None,
        "action": Action(verdict.action).value,
        "reason": verdict.reason,
        "triggers": json.dumps([asdict(trigger) for trigger in verdict.numbers]),
        "in_a_row": json.dumps(counts),
        "evidence": mark,
        "decided_at": decided_at,
    }
    lake.append(ledger(model), pa.Table.from_pylist([row], schema=_LEDGER))
