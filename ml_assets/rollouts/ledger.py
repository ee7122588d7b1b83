"""The ledger of rollouts, which is the truth: what servers follow is made from its last row, as often as one likes.

A step is claimed by a record of its number in the same transaction as its row: of several processes that take the same
step one writes it, and the others read what it wrote.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables

Action = Literal["start", "advance", "promote", "hold", "roll_back", "error", "restart", "confirm", "close"]
"""What a step did: a rollout began; on to the next stage; champion; nothing, a measurement; the end; nothing can be
decided; the stage begins anew; the late verdict confirmed the promotion; the rollout ended without one."""

OPEN: frozenset[str] = frozenset({"start", "advance", "hold", "error", "restart"})
"""The actions after which a rollout goes on."""


@dataclass(frozen=True)
class RolloutStep:
    """A row of the ledger.

    Args:
        rollout: the challenger's version and the attempt: `7-1`.
        step: counts from 0 within the rollout.
        at: when, naive UTC.
        actor: who: `sensor`, `asset`, or the name of a person.
        action: what it did.
        stage: the number of the stage that is in force from now on, from 0; -1: in shadow only.
        share: of the challenger, from now on.
        reason: in a sentence.
        control: the version of the champion at the start.
        challenger: the version that is rolled out.
        began: the step with which the stage began, by which its exposures are named.
        began_at: when that was, naive UTC.
        salt: by which units are assigned.
        policy: JSON, the declaration as it was when the rollout started.
        baseline: JSON, what the limits were made of, frozen at the start.
        evidence: JSON, what was counted at this step, with each number and its limit.
        store: the identity of the event store in which the stage is counted.
    """

    rollout: str
    step: int
    at: datetime
    actor: str
    action: Action
    stage: int
    share: float
    reason: str
    control: int
    challenger: int
    began: int
    began_at: datetime
    salt: str
    policy: str
    baseline: str
    evidence: str
    store: str

    @property
    def is_open(self) -> bool:
        """The rollout goes on."""
        return self.action in OPEN

    @property
    def experiment(self) -> str:
        """Under which name exposures of the stage are recorded.

        A stage that began anew has another one, so that nothing of before is counted with it.
        """
        return stage_name(self.rollout, self.began)


def stage_name(rollout: str, began: int) -> str:
    """The name of a stage in the event store.

    >>> stage_name("7-1", 3)
    '7-1/3'
    """
    return f"{rollout}/{began}"


def ledger(model: str) -> Ledger[RolloutStep]:
    """A model's rollouts."""
    return Ledger(ModelTables(model).rollout, RolloutStep, ("at", "step"))


def claim(lake: Lake, model: str, row: RolloutStep) -> RolloutStep:
    """Take a step, unless another process has taken it; the row that stands.

    Args:
        lake: where the ledger is.
        model: the model's name.
        row: the step.
    """
    key = f"rollout={row.rollout} step={row.step}"
    ledger(model).append(lake, row, records={key: 1})
    where = "rollout = $rollout AND step = $step"
    stands = ledger(model).last(lake, where, rollout=row.rollout, step=row.step)
    return stands or row
