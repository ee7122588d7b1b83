"""Offers: candidates that passed their gates and wait for their rollout. The newest one only: it is a queue of one."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from ml_assets.decisions.gate import GateVerdict
from ml_assets.errors import TrainingError
from ml_assets.rollouts.ledger import last_step
from ml_assets.rollouts.ledger import ledger as rollouts
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import ReleaseEntry, complete, note_manual, obstacle, publish, release


@dataclass(frozen=True)
class RolloutOffer:
    """A row of the ledger of offers.

    Args:
        version: that is offered.
        run_id: its run.
        as_of: the as-of date of the decision.
        at: when, naive UTC.
        actor: who offers it: `asset`, `experiment <name>`, or the name of a person.
        reason: in a sentence.
        gated: its gates are asked again beside the champion of the day when its turn comes; a person may offer without.
        state: waiting, or refused when its turn came.
    """

    version: int
    run_id: str
    as_of: date
    at: datetime
    actor: str
    reason: str
    gated: bool = True
    state: Literal["waiting", "refused"] = "waiting"


def ledger(model: str) -> Ledger[RolloutOffer]:
    """A model's offers."""
    return Ledger(ModelTables(model).rollout_offers, RolloutOffer, ("at",))


def offer(
    lake: Lake,
    registry: Registry,
    version: Version,
    verdict: GateVerdict,
    *,
    manifest: bytes,
    as_of: date,
    decided_at: datetime,
) -> ReleaseEntry:
    """Publish a candidate and offer it to the rollout, if its verdict says so; the first champion is made at once.

    It takes the place of `training.release.release` where a rollout is declared. A candidate is offered once, however
    often this is called, and a later one takes its place in the queue.

    Args:
        lake: where the ledgers are.
        registry: where the versions are.
        version: that was evaluated.
        verdict: of its gates.
        manifest: the bytes of its manifest.
        as_of: the date of the decision.
        decided_at: now, naive UTC.
    """
    complete(lake, registry, version.model)
    champion = registry.champion(version.model)
    if champion is None or champion.number == version.number:
        return release(lake, registry, version, verdict, manifest=manifest, as_of=as_of, decided_at=decided_at)
    version = publish(registry, version, verdict, manifest)
    note_manual(lake, champion, as_of, decided_at)
    why = obstacle(lake, registry, version, verdict)
    if why is not None:
        return ReleaseEntry(champion, False, f"version {champion.number} stays: {why}")
    stands = offer_version(lake, version, as_of=as_of, at=decided_at, actor="asset", reason=verdict.reason)
    return ReleaseEntry(champion, False, f"version {champion.number} stays: {_fate(lake, version.model, stands)}")


def offer_version(
    lake: Lake, version: Version, *, as_of: date, at: datetime, actor: str, reason: str, gated: bool = True
) -> RolloutOffer:
    """Offer a released version to the rollout, once for each actor; the offer that stands.

    What a person offers without asking its gates is a new offer each time.

    Args:
        lake: where the ledger is.
        version: that was released.
        as_of: the as-of date that the loop has reached.
        at: now, naive UTC.
        actor: `asset`, `experiment <name>`, or the name of a person.
        reason: in a sentence.
        gated: ask its gates again when its turn comes.

    Raises:
        TrainingError: the version was never released.
    """
    if "release" not in version.tags:
        raise TrainingError(f"{version.model} version {version.number} was never released: no server can load it")
    last, step = ledger(version.model).last(lake), last_step(lake, version.model)
    before = [each.at + timedelta(microseconds=1) for each in (last, step) if each is not None]
    at = max(at, *before) if before else at  # the clocks of machines differ
    row = RolloutOffer(version.number, version.run_id, as_of, at, actor, " ".join(reason.split())[:1000], gated)
    key = f"offer of={actor} version={version.number} run={version.run_id}{'' if gated else f' at={at}'}"
    ledger(version.model).append(lake, row, records={key: 1})
    where = "version = $version AND run_id = $run AND actor = $actor"
    return ledger(version.model).last(lake, where, version=row.version, run=row.run_id, actor=actor) or row


def _fate(lake: Lake, model: str, stands: RolloutOffer) -> str:
    """What has become of an offer."""
    mine = 'challenger = $version AND "at" >= $at'
    step = rollouts(model).last(lake, mine, version=stands.version, at=stands.at)
    if step is not None:
        return f"version {stands.version} has its rollout {step.rollout}: {step.action}, {step.reason}"
    return f"version {stands.version} is offered to the rollout: {stands.reason}"


def next_offer(lake: Lake, model: str) -> RolloutOffer | None:
    """The offer whose turn it is; None: the newest one has had its rollout, or was refused."""
    newest = ledger(model).last(lake)
    if newest is None or newest.state == "refused":
        return None
    began = "action = 'start' AND challenger = $version AND \"at\" >= $at"
    return None if rollouts(model).last(lake, began, version=newest.version, at=newest.at) else newest


def refuse_offer(lake: Lake, model: str, refused: RolloutOffer, reason: str) -> None:
    """Say that an offer was refused when its turn came; may be called again.

    Args:
        lake: where the ledger is.
        model: the model's name.
        refused: the offer.
        reason: in a sentence.
    """
    row = replace(refused, at=refused.at + timedelta(microseconds=1), reason=reason, state="refused")
    ledger(model).append(lake, row, records={f"refused={refused.at.isoformat()} version={refused.version}": 1})
