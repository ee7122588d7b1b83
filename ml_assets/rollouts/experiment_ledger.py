"""The ledger of an experiment, which is the truth: what it is, each measurement, and how it ended.

An experiment runs once. Its first row holds the declaration as it was then, by which it is measured to its end; steps
are claimed as those of rollouts are.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables

ExperimentStepAction = Literal["start", "continue", "error", "winner", "none", "stop"]
"""What a step did: it began; a measurement; one not to be believed; the end: with a winner, without one, by hand."""

_OPEN: frozenset[str] = frozenset({"start", "continue", "error"})


@dataclass(frozen=True)
class ExperimentStep:
    """A row of the ledger.

    Args:
        experiment: its name.
        step: counts from 0.
        at: when, naive UTC.
        actor: who: `asset`, or the name of a person.
        action: what it did.
        reason: in a sentence.
        winner: the variant that won; None: none has.
        started: when it began, naive UTC.
        versions: JSON, variant → version, the control first.
        salt: by which units are assigned.
        declaration: JSON, as it was at the start.
        evidence: JSON, an `ExperimentReport`: what was counted at this step.
        baseline: JSON, a `RolloutBaseline`: how the champion answered before, where guardrails are declared.
    """

    experiment: str
    step: int
    at: datetime
    actor: str
    action: ExperimentStepAction
    reason: str
    winner: str | None
    started: datetime
    versions: str
    salt: str
    declaration: str
    evidence: str
    baseline: str = "null"

    @property
    def is_open(self) -> bool:
        """The experiment goes on."""
        return self.action in _OPEN

    @property
    def spec(self) -> ExperimentSpec:
        """The declaration as it was at the start."""
        return ExperimentSpec.model_validate_json(self.declaration)

    @property
    def version_of(self) -> dict[str, int]:
        """Variant → version, the control first."""
        return msgspec.json.decode(self.versions, type=dict[str, int])

    @property
    def control(self) -> int:
        """The version of the control."""
        return next(iter(self.version_of.values()))

    @property
    def ends(self) -> datetime:
        """The last day: when it is decided at the latest, naive UTC."""
        return self.started + self.spec.duration


def ledger(model: str, experiment: str) -> Ledger[ExperimentStep]:
    """The steps of an experiment."""
    return Ledger(ModelTables(model).experiment(experiment), ExperimentStep, ("step",))


def claim(lake: Lake, model: str, row: ExperimentStep) -> ExperimentStep:
    """Take a step, unless another process has taken it; the row that stands.

    Args:
        lake: where the ledger is.
        model: the model's name.
        row: the step.
    """
    steps = ledger(model, row.experiment)
    steps.append(lake, row, records={f"step={row.step}": 1})
    return steps.last(lake, "step = $step", step=row.step) or row
