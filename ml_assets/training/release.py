"""The champion: the alias moves, and an append-only ledger says which version answered from when to when and why.

The manifest is published, the alias moves, and the ledger follows: killed in between, the next run writes what is
missing. An alias that somebody moved by hand is not moved back; the ledger then says so.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from ml_assets.decisions.gate import Verdict
from ml_assets.lake import Lake
from ml_assets.registry import Registry, Version

_LEDGER = pa.schema([
    ("as_of", pa.date32()),
    ("version", pa.int64()),
    ("run_id", pa.string()),
    ("previous", pa.int64()),
    ("reason", pa.string()),
    ("evidence", pa.string()),
    ("decided_at", pa.timestamp("us")),
])  # fmt: skip


@dataclass(frozen=True)
class Released:
    """The champion after a decision (None: there is none yet), whether this decision made it one, and why."""

    champion: Version | None
    shipped: bool
    reason: str


def release(
    lake: Lake,
    registry: Registry,
    version: Version,
    verdict: Verdict,
    *,
    manifest: bytes,
    as_of: date,
    decided_at: datetime,
) -> Released:
    """Make a version the champion if its verdict says so; a decision is taken once, however often this is called.

    The manifest is what servers load. It comes before the alias, so that none meets a champion without; a
    champion whose declaration has changed since gets its new one.
    """
    table, key = ledger(version.model), f"version={version.number}"
    before = registry.champion(version.model)
    if verdict.ship:
        version = registry.publish(version, manifest)
    if lake.record(table, key) is not None or not verdict.ship:
        if before is None:
            return Released(None, False, f"there is no champion yet: {verdict.reason}")
        _note_manual(lake, before, as_of, decided_at)
        standing = "is the champion already" if before.number == version.number else f"stays: {verdict.reason}"
        return Released(before, False, f"version {before.number} {standing}")
    registry.promote(version)
    previous = before.number if before and before.number != version.number else None
    _append(lake, version, previous, verdict.reason, json.dumps(asdict(verdict)), as_of, decided_at, key)
    return Released(version, True, verdict.reason)


def ledger(model: str) -> str:
    """The table of a model's champions."""
    return f"{model}/champion"


def history(lake: Lake, model: str) -> list[dict[str, Any]]:
    """Every champion: `version`, `since`, `until` (None = now), `reason`, in order."""
    if lake.version(ledger(model)) is None:
        return []
    found: list[dict[str, Any]] = lake.query(
        "SELECT version, as_of AS since, lead(as_of) OVER (ORDER BY decided_at) AS until, reason, decided_at "
        "FROM c ORDER BY decided_at",
        c=ledger(model),
    ).to_pylist()
    return found


def _note_manual(lake: Lake, champion: Version, as_of: date, decided_at: datetime) -> None:
    past = history(lake, champion.model)
    if past and past[-1]["version"] != champion.number:
        key = f"by hand={champion.number} after={past[-1]['decided_at']}"
        _append(lake, champion, past[-1]["version"], "the alias was moved by hand", "{}", as_of, decided_at, key)


def _append(
    lake: Lake,
    version: Version,
    previous: int | None,
    reason: str,
    evidence: str,
    as_of: date,
    decided_at: datetime,
    key: str,
) -> None:
    row = {
        "as_of": as_of,
        "version": version.number,
        "run_id": version.run_id,
        "previous": previous,
        "reason": reason,
        "evidence": evidence,
        "decided_at": decided_at,
    }
    lake.append(ledger(version.model), pa.Table.from_pylist([row], schema=_LEDGER), records={key: 1})
