"""The late verdict: once labels are known, a promotion is confirmed or taken back.

The comparison reads the log and takes seconds, so it is kept in a ledger of its own: whoever measures a rollout, every
few seconds, reads its last rows. It is done while the challenger is on its way, too, for labels that come quickly.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from ml_assets.decisions.means import Moments
from ml_assets.decisions.quality import LateVerdict, PairedLosses, decide_late
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.ledger import Action, RolloutStep, claim, last_step, time_after
from ml_assets.rollouts.paired_losses import compare_losses
from ml_assets.rollouts.routes import shadow_end
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.registry import Registry
from ml_assets.storage.tables import ModelTables
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.rollback import reached_as_of

EVERY = timedelta(hours=1)
"""So often labels are looked for: they come in days."""


@dataclass(frozen=True)
class QualityRow:
    """A row of the ledger of comparisons.

    Args:
        rollout: whose.
        at: when, naive UTC.
        metric: `log_loss`, `brier` or `accuracy`.
        rows: that both versions answered and whose label is known.
        total: of the differences, the challenger's loss minus the champion's.
        squares: of them.
        different: rows of which the difference is not 0.
    """

    rollout: str
    at: datetime
    metric: str
    rows: int
    total: float
    squares: float
    different: int

    @property
    def losses(self) -> PairedLosses:
        """As `decisions` judges them."""
        return PairedLosses(Moments(self.rows, self.total, self.squares), self.different)


def ledger(model: str) -> Ledger[QualityRow]:
    """A model's comparisons."""
    return Ledger(ModelTables(model).rollout_quality, QualityRow, ("at", "metric"))


def read_losses(lake: Lake, model: str, rollout: str) -> Mapping[str, PairedLosses]:
    """What both versions lost on the same rows, by metric, when they were last compared; empty where nothing is known.

    Args:
        lake: where the ledger is.
        model: the model's name.
        rollout: whose.
    """
    last = ledger(model).last(lake, "rollout = $rollout", rollout=rollout)
    if last is None:
        return {}
    rows = ledger(model).history(lake, most=3)  # one of each metric
    return {row.metric: row.losses for row in rows if (row.rollout, row.at) == (rollout, last.at)}


def compare_quality(
    lake: Lake, registry: Registry, folder: ModelDefinition, *, now: datetime, workers: int = 2
) -> Mapping[str, PairedLosses]:
    """Compare the versions of the last rollout by the labels that are known now, and keep it; once an hour.

    Args:
        lake: where the log is.
        registry: where both versions were evaluated.
        folder: the model.
        now: naive UTC.
        workers: as-of dates computed side by side.
    """
    step = last_step(lake, folder.name)
    if step is None or not (step.is_open or step.action == "promote"):
        return {}
    last = ledger(folder.name).last(lake)
    if last is not None and last.rollout == step.rollout and now - last.at < EVERY:
        return read_losses(lake, folder.name, step.rollout)
    as_of = reached_as_of(lake, folder.name, now)
    losses = compare_losses(lake, registry, folder, step, as_of, workers=workers)
    at = now if last is None else max(now, last.at + timedelta(microseconds=1))
    rows = [_row(step.rollout, at, metric, each) for metric, each in sorted(losses.items())]
    if rows:
        ledger(folder.name).append(lake, *rows)
    return losses


def _row(rollout: str, at: datetime, metric: str, losses: PairedLosses) -> QualityRow:
    moments = losses.differences
    return QualityRow(rollout, at, metric, moments.units, moments.total, moments.squares, losses.different)


def late_verdict(lake: Lake, model: str, *, horizon: timedelta, now: datetime) -> LateVerdict | None:
    """What the labels that are known say of the last promotion; None where there is none to judge.

    Args:
        lake: where the ledgers are.
        model: the model's name.
        horizon: of the label: the last shadowed answer's is known so long after it.
        now: naive UTC.
    """
    step = last_step(lake, model)
    if step is None or step.action != "promote":
        return None
    spec = RolloutSpec.model_validate_json(step.policy)
    if not spec.quality:
        return None
    policy, losses = spec.policy, read_losses(lake, model, step.rollout)
    end = shadow_end(step) + horizon
    return decide_late(policy.quality, losses, policy.alpha, policy.proof, end=end, now=now)


def take_late_step(
    lake: Lake, registry: Registry, model: str, *, horizon: timedelta, actor: str, now: datetime
) -> RolloutStep | None:
    """Confirm the last promotion, or take it back, once that is decided; the step, or None where nothing is.

    A champion that was moved since is nobody's to take back: the rollout is closed.

    Args:
        lake: where the ledgers are.
        registry: aliases and routes.
        model: the model's name.
        horizon: of the label.
        actor: who asks.
        now: naive UTC.
    """
    step, verdict = last_step(lake, model), late_verdict(lake, model, horizon=horizon, now=now)
    if step is None or verdict is None:
        return None
    action: Action = verdict.action.value
    if action == "hold":
        return None
    row = replace(
        step, step=step.step + 1, at=time_after(step, now), actor=actor, action=action, reason=verdict.reason,
        share=0.0 if action == "roll_back" else step.share,
        evidence=json.dumps({"guardrails": [asdict(each) for each in verdict.numbers]}),
    )  # fmt: skip
    champion = registry.champion(model)
    if champion is None or champion.number != step.challenger:
        row = replace(row, action="close", reason=f"another version is the champion since; {verdict.reason}")
    stands = claim(lake, model, row)
    apply_step(lake, registry, model, now=now)
    return stands
