"""The ledger of rollouts, which is the truth: what servers follow is made from its last row, as often as one likes.

A step is claimed by a record of its number in the same transaction as its row: of several processes that take the same
step one writes it, and the others read what it wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ml_assets.errors import LakeError
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables

Action = Literal["start", "advance", "promote", "hold", "roll_back", "error", "restart", "confirm", "close"]
"""What a step did: a rollout began; on to the next stage; champion; nothing, a measurement; the end; nothing can be
decided; the stage begins anew; the late verdict confirmed the promotion; the rollout ended without one."""

_TURN = "rollout "

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


def last_step(lake: Lake, model: str) -> RolloutStep | None:
    """The step that is in force; None: there never was a rollout."""
    return ledger(model).last(lake)


def open_step(lake: Lake, model: str) -> RolloutStep | None:
    """The last step of the rollout that is running; None: none is."""
    step = last_step(lake, model)
    return step if step is not None and step.is_open else None


def steps_of(lake: Lake, model: str, rollout: str) -> list[RolloutStep]:
    """The steps of one rollout, in order."""
    return [step for step in ledger(model).history(lake) if step.rollout == rollout]


def counted_stages(steps: Sequence[RolloutStep]) -> list[RolloutStep]:
    """The steps with which the stages began whose counts hold: one that began anew takes the place of the last.

    Args:
        steps: of one rollout, in order.
    """
    stages = list[RolloutStep]()
    for step in steps:
        if step.action == "restart" and stages:
            stages[-1] = step
        elif step.action in {"start", "advance"}:
            stages.append(step)
    return stages


def running_stages(lake: Lake, model: str) -> list[str]:
    """The names under which the units of the rollout that is running are counted; empty where none is."""
    step = open_step(lake, model)
    return [] if step is None else [each.experiment for each in counted_stages(steps_of(lake, model, step.rollout))]


def time_after(last: RolloutStep | None, now: datetime) -> datetime:
    """When a step is taken: never earlier than the one before it, for the clocks of machines differ.

    Args:
        last: the step before; None: there is none.
        now: by this machine's clock, naive UTC.
    """
    return now if last is None else max(now, last.at + timedelta(microseconds=1))


def claim(lake: Lake, model: str, row: RolloutStep) -> RolloutStep:
    """Take a step, unless another process has taken it; the row that stands.

    Args:
        lake: where the ledger is.
        model: the model's name.
        row: the step.
    """
    ledger(model).append(lake, row, records={_key(row): 1})
    where = "rollout = $rollout AND step = $step"
    stands = ledger(model).last(lake, where, rollout=row.rollout, step=row.step)
    return stands or row


def claim_start(lake: Lake, model: str, row: RolloutStep, last: RolloutStep | None) -> RolloutStep:
    """Take the first step of a rollout, unless another process has begun one; the first step that stands.

    Two rollouts have different first steps: what both would claim is the place after the last one.

    Args:
        lake: where the ledger is.
        model: the model's name.
        row: the step.
        last: the last step of the rollout before; None: there was none.
    """
    place = f"start after={'nothing' if last is None else _key(last)}"
    try:
        ledger(model).append(lake, row, records={_key(row): 1, place: 1})
    except LakeError:  # another rollout was begun there, or the lake cannot be written
        if lake.record(ModelTables(model).rollout, place) is None:
            raise
    after = datetime.min if last is None else last.at  # noqa: DTZ901 - the lake's times are naive UTC
    starts = [step for step in ledger(model).history(lake) if step.action == "start" and step.at > after]
    return starts[0] if starts else row


def turn_of(rollout: str) -> str:
    """How a rollout is called among the turns of its model.

    >>> turn_of("7-1"), is_of_rollout(turn_of("7-1")), is_of_rollout("experiment price")
    ('rollout 7-1', True, False)
    """
    return f"{_TURN}{rollout}"


def is_of_rollout(holder: str) -> bool:
    """Whether who has the turn is a rollout."""
    return holder.startswith(_TURN)


def _key(row: RolloutStep) -> str:
    return f"rollout={row.rollout} step={row.step}"
