"""Doubts about the evidence of a rollout: what says that the counts are not what they seem, and what follows then."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ml_assets.decisions.rates import log_e_above
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch
from ml_assets.decisions.time_span import write_span

_LEVEL = 0.01
"""Of the sample-ratio test, and of the test of the control."""
BROKEN = "the assignment or the log is broken"
"""The end of a sentence after which no count of the stage is believed again: a stage that begins anew is."""
_LOADING, _ASKED = timedelta(hours=1), 100
"""After so long and so many requests a challenger that servers can load, and whose features are online, was asked."""
_SILENCE = timedelta(hours=24)
"""Without a new unit for so long a model has no traffic."""


class Reaction(StrEnum):
    """What follows where the evidence is doubtful."""

    HOLD = "hold"
    ROLL_BACK = "roll_back"
    WARN = "warn"


@dataclass(frozen=True)
class Reactions:
    """The reaction to each doubt.

    Args:
        sample_ratio: the variants do not get their shares.
        no_traffic: no unit was exposed for 24 h.
        multiple_exposures: both variants answered a unit within a stage.
    """

    sample_ratio: Reaction = Reaction.HOLD
    no_traffic: Reaction = Reaction.HOLD
    multiple_exposures: Reaction = Reaction.HOLD


@dataclass(frozen=True)
class ControlEvidence:
    """The champion's answers since the stage began.

    Args:
        requests: that it answered, whatever the answer.
        errors: those that were its fault.
        expected: the share of errors that is still as before: its own of before the rollout, and the margin.
    """

    requests: int
    errors: int
    expected: float


@dataclass(frozen=True)
class EvidenceDoubt:
    """A doubt in a sentence, and the reaction that is declared for it."""

    reaction: Reaction
    reason: str


def doubt_assignment(reactions: Reactions, exposures: Sequence[SampleCounts], repeated: int) -> list[EvidenceDoubt]:
    """The doubts about assignment and log: under one of them no count may be believed.

    Args:
        reactions: as declared.
        exposures: units at their first exposure, by stage.
        repeated: units of this stage that both variants answered.
    """
    doubts = []
    log_e = log_e_mismatch(exposures)
    if log_e >= math.log(1 / _LEVEL):
        doubts.append(EvidenceDoubt(reactions.sample_ratio, _mismatch(exposures[-1], log_e)))
    if repeated:
        sentence = f"both variants answered {repeated:,} units of this stage: {BROKEN}"
        doubts.append(EvidenceDoubt(reactions.multiple_exposures, sentence))
    return doubts


def _mismatch(last: SampleCounts, log_e: float) -> str:
    return (
        f"sample-ratio mismatch: {' and '.join(f'{units:,}' for units in last.units)} units at shares of "
        f"{' and '.join(f'{share:.0%}' for share in last.shares)} (e-value {math.exp(min(log_e, 700)):.3g}): "
        f"{BROKEN}"
    )


def doubt_traffic(reactions: Reactions, idle: timedelta) -> list[EvidenceDoubt]:
    """The doubt that anybody asks.

    Args:
        reactions: as declared.
        idle: time since the last unit was exposed, or since the stage began.
    """
    if idle < _SILENCE:
        return []
    return [EvidenceDoubt(reactions.no_traffic, f"no traffic: nobody was exposed for {str(idle).partition('.')[0]}")]


def doubt_control(control: ControlEvidence | None) -> str | None:
    """Say that the champion itself is worse than it was before the rollout; None: nothing speaks for that.

    A challenger that is no worse than a broken champion has proven nothing, and one that is to repair it must not be
    rolled back for that: a person decides. The test takes requests as independent, which errors seldom are, so what
    is expected holds the whole margin.

    >>> doubt_control(ControlEvidence(1_000, 80, 0.01))
    'the control is worse than before the rollout: 8.0% of its 1,000 answers are errors, 1.0% are still as before'
    """
    if control is None or not 0 < control.expected < 1:
        return None
    if log_e_above(control.errors, control.requests, control.expected) < math.log(1 / _LEVEL):
        return None
    return (
        f"the control is worse than before the rollout: {control.errors / control.requests:.1%} of its "
        f"{control.requests:,} answers are errors, {control.expected:.1%} are still as before"
    )


def doubt_split(control: ControlEvidence | None, exposed: int | None, passed: timedelta) -> str | None:
    """Say that servers answer and split nothing; None: nothing speaks for that.

    Args:
        control: the champion's answers since the stage began; None: not known.
        exposed: units of the stage, of both variants; None: not known.
        passed: since the stage began.

    >>> doubt_split(ControlEvidence(250, 0, 0.01), 0, timedelta(hours=2))
    'no server can ask it: in 2 h the champion has answered 250 requests, and no unit was assigned'
    """
    if control is None or exposed is None or exposed or control.requests < _ASKED:
        return None
    if not _LOADING <= passed <= _SILENCE:  # later on, rows of a stage may have been deleted as old
        return None
    return (
        f"no server can ask it: in {write_span(passed)} the champion has answered {control.requests:,} "
        "requests, and no unit was assigned"
    )
