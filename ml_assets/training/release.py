"""Releases: a version is published for servers, and promoted; an append-only ledger says who answered when, and why.

`publish` keeps the manifest, `promote` moves the alias, and the ledger follows; `release` is the policy that does both
at once. Killed in between, the next run writes what is missing. An alias that somebody moved by hand is not moved back;
the ledger then says so.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from ml_assets.decisions.gate import GateAction, GateVerdict
from ml_assets.decisions.route import PREVIOUS
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables

Decision = Literal["promoted", "rolled back", "chosen", "moved by hand"]
"""The ways to become champion: by its gates; by `ml-assets rollback`, to an older or a newer one; by an alias."""

_BY_HAND = "the alias was moved by hand"


@dataclass(frozen=True)
class LedgerRelease:
    """A row of the ledger of champions.

    Args:
        as_of: the date of the decision.
        version: the champion.
        run_id: its run; a registry that was lost gives numbers again, but not runs.
        previous: the champion before; None where there was none.
        reason: in a sentence.
        evidence: JSON, the verdict of the gates.
        decided_at: naive UTC.
        decision: how it became champion; None in rows of the first releases of ml_assets.
    """

    as_of: date
    version: int
    run_id: str
    previous: int | None
    reason: str
    evidence: str
    decided_at: datetime
    decision: Decision | None = None


@dataclass(frozen=True)
class ReleaseEntry:
    """The champion after a decision (None: there is none yet), whether this decision made it one, and why."""

    champion: Version | None
    shipped: bool
    reason: str


class Answering(NamedTuple):
    """The version that answers.

    Args:
        version: in the registry.
        since: the as-of date of the decision; None where the alias was moved by hand since the last run.
        decision: how it became the champion.
        reason: of the decision.
    """

    version: int
    since: date | None
    decision: Decision
    reason: str

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        why = "" if self.decision == "moved by hand" else f", {self.reason}"
        return f"version {self.version}{since}: {self.decision}{why}"


def release(
    lake: Lake,
    registry: Registry,
    version: Version,
    verdict: GateVerdict,
    *,
    manifest: bytes,
    as_of: date,
    decided_at: datetime,
) -> ReleaseEntry:
    """Publish a version and make it the champion at once, if its verdict says so.

    A decision is taken once, however often this is called. The manifest is what servers load: it comes before the
    alias, so that none meets a champion without, and a champion whose declaration has changed since gets its new one.
    After a rollback no version of the declaration that was rolled back from is made the champion: only a person knows
    whether what was wrong with it is put right.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        version: that was evaluated.
        verdict: of its gates.
        manifest: the bytes of its manifest.
        as_of: the date of the decision.
        decided_at: now, naive UTC.
    """
    version = publish(registry, version, verdict, manifest)
    return promote(lake, registry, version, verdict, as_of=as_of, decided_at=decided_at)


def publish(registry: Registry, version: Version, verdict: GateVerdict, manifest: bytes) -> Version:
    """Keep the manifest of a version that passed its gates, so that a server can load it; nothing answers with it yet.

    Args:
        registry: where the versions are; the artifact is there since the training.
        version: that was evaluated.
        verdict: of its gates; a version that may not ship stays as it is.
        manifest: the bytes of its manifest; a changed declaration gives a new one.
    """
    return registry.publish(version, manifest) if verdict.action is GateAction.SHIP else version


def promote(
    lake: Lake, registry: Registry, version: Version, verdict: GateVerdict, *, as_of: date, decided_at: datetime
) -> ReleaseEntry:
    """Make a published version the champion: the alias moves, and the ledger follows.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        version: that was published.
        verdict: of its gates; the champion stays where they did not pass.
        as_of: the date of the decision.
        decided_at: now, naive UTC.
    """
    complete(lake, registry, version.model)
    before = registry.champion(version.model)
    if before is not None and before.number == version.number and _decided(lake, version):
        note_manual(lake, before, as_of, decided_at)
        return ReleaseEntry(before, False, f"version {before.number} is the champion already")
    why = obstacle(lake, registry, version, verdict)
    if why is not None:
        if before is None:
            return ReleaseEntry(None, False, f"there is no champion yet: {why}")
        note_manual(lake, before, as_of, decided_at)
        return ReleaseEntry(before, False, f"version {before.number} stays: {why}")
    previous = before.number if before and before.number != version.number else None
    if before and previous:
        registry.promote(before, PREVIOUS)  # first: what is killed here leaves a champion that is its own predecessor
    registry.promote(version)
    row = LedgerRelease(
        as_of, version.number, version.run_id, previous, verdict.reason, _evidence(verdict), decided_at, "promoted"
    )
    append(lake, version.model, row, f"version={version.number} run={version.run_id}")
    return ReleaseEntry(version, True, verdict.reason)


def _evidence(verdict: GateVerdict) -> str:
    """A verdict in the words of the first ledgers."""
    ship = verdict.action is GateAction.SHIP
    return json.dumps({"ship": ship, "reason": verdict.reason, "gates": [asdict(gate) for gate in verdict.numbers]})


def obstacle(lake: Lake, registry: Registry, candidate: Version, verdict: GateVerdict) -> str | None:
    """Why a candidate that is not the champion is not made one; None: nothing keeps it from that.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        candidate: that was evaluated.
        verdict: of its gates.
    """
    if verdict.action is not GateAction.SHIP:
        return verdict.reason
    past, remedy = history(lake, candidate.model), f"`ml-assets rollback {candidate.model} --to {candidate.number} "
    remedy = f"{remedy}--reason …` makes it the champion"
    back = past[-1] if past and past[-1]["decision"] == "rolled back" else None
    if back is not None and _distrusted(registry, candidate, back):
        same = "" if candidate.number == back["previous"] else f", and version {candidate.number} has its declaration"
        return (
            f"version {back['previous']} was rolled back at {back['since']} ({back['reason']}){same}; {remedy}, "
            "another declaration is judged by its gates"
        )
    if _decided(lake, candidate):
        return f"rows and declaration are those of version {candidate.number}, which was champion before; {remedy}"
    return None


def _distrusted(registry: Registry, candidate: Version, back: dict[str, Any]) -> bool:
    """True if a candidate is what was rolled back from, or was declared like it; also where that is not known."""
    if candidate.number == back["previous"]:
        return True
    tags = {version.number: version.tags for version in registry.versions(candidate.model)}
    declared = tags.get(back["previous"], {}).get("declaration")
    return declared is None or declared == candidate.tags.get("declaration")


def explain(lake: Lake, model: str, version: int) -> Answering:
    """The row of the ledger for the version that is the champion."""
    past = history(lake, model)
    if past and past[-1]["version"] == version:
        last = past[-1]
        return Answering(version, last["since"], last["decision"], last["reason"])
    return Answering(version, None, "moved by hand", f"{_BY_HAND} since the last run")


def ledger(model: str) -> Ledger[LedgerRelease]:
    """A model's champions."""
    return Ledger(ModelTables(model).champion, LedgerRelease, ("decided_at",))


def history(lake: Lake, model: str) -> list[dict[str, Any]]:
    """Every champion, in order: who, `previous`, `since`, `until` (None: now), `decision`, `reason`, `decided_at`."""
    rows = ledger(model).history(lake)
    names = ("version", "run_id", "previous", "reason", "decided_at")
    return [
        {name: getattr(row, name) for name in names}
        | {"since": row.as_of, "until": after.as_of if after else None, "decision": _decision(row)}
        for row, after in zip(rows, [*rows[1:], None], strict=False)
    ]


def _decision(row: LedgerRelease) -> Decision:
    """Rows of the first releases of ml_assets did not say it."""
    return row.decision or ("moved by hand" if row.reason == _BY_HAND else "promoted")


def _decided(lake: Lake, version: Version) -> bool:
    """True if it was champion before. A registry that was lost gives numbers again, but not runs."""
    return any(
        (row["version"], row["run_id"]) == (version.number, version.run_id) for row in history(lake, version.model)
    )


def note_manual(lake: Lake, champion: Version, as_of: date, decided_at: datetime) -> None:
    """Write down that somebody moved the alias by hand, where the ledger does not say who is the champion.

    Args:
        lake: where the ledger is.
        champion: of the registry.
        as_of: the date of the decision.
        decided_at: now, naive UTC.
    """
    past = history(lake, champion.model)
    if past and past[-1]["version"] != champion.number:
        key = f"by hand={champion.number} after={past[-1]['decided_at']}"
        row = LedgerRelease(
            as_of, champion.number, champion.run_id, past[-1]["version"], _BY_HAND, "{}", decided_at, "moved by hand"
        )
        append(lake, champion.model, row, key)


def append(lake: Lake, model: str, row: LedgerRelease, key: str) -> None:
    """Write a row of the ledger, once for each `key` of a decision, such as `version=7 run=…`.

    Args:
        lake: where the ledger is.
        model: the model's name.
        row: the decision.
        key: of the decision.
    """
    ledger(model).append(lake, row, records={key: 1})


def complete(lake: Lake, registry: Registry, model: str) -> Version | None:
    """Finish a move of the champion that was announced and then killed; the version that it moved to."""
    intent = registry.intent(model)
    if intent is None:
        return None
    version, previous = registry.version(model, intent["version"]), intent["previous"]
    registry.promote(version)
    row = LedgerRelease(
        date.fromisoformat(intent["as_of"]), version.number, version.run_id, previous, intent["reason"], "{}",
        datetime.fromisoformat(intent["decided_at"]), "rolled back" if version.number < previous else "chosen",
    )  # fmt: skip
    append(lake, model, row, intent.get("key") or f"moved={intent['decided_at']}")
    if (before := champion_before(lake, registry, version)) is None:
        registry.demote(model, PREVIOUS)
    else:
        registry.promote(before, PREVIOUS)
    registry.clear_intent(model)
    return version


def champion_before(lake: Lake, registry: Registry, champion: Version) -> Version | None:
    """The last champion that is another one and was not rolled back from; None: there was none."""
    past = history(lake, champion.model)
    left = {row["previous"] for row in past if row["decision"] == "rolled back"} | {champion.number}
    versions = {version.number: version for version in registry.versions(champion.model)}
    others = (row["version"] for row in reversed(past) if row["version"] not in left)
    return next((versions[number] for number in others if number in versions), None)
