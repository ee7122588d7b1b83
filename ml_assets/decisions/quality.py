"""Quality of two versions on the same rows, once labels are known: what each lost on them, and what follows.

Each row gives one difference of losses, so what is hard about a row, and whatever moves with time, cancels out: a
broken feature is proven worse after 1,500 labelled rows, where two arms of their own would take 60,000.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ml_assets.decisions.guardrail import GuardrailResult, GuardrailStatus
from ml_assets.decisions.means import Difference, Moments, sequence_bounds, sequence_p_value
from ml_assets.decisions.verdict import Verdict

FEWEST_PAIRS = 1_000
"""Of fewer rows the interval of a mean does not hold."""
_FEWEST_DIFFERENT = 50
"""Nor where fewer rows than that were judged differently."""


@dataclass(frozen=True)
class QualityGuardrail:
    """A limit of quality that the challenger has to keep.

    Args:
        metric: `log_loss`, `brier` or `accuracy`.
        at_most_worse: how much worse it may be than the champion's, in units of the metric.
        required: it is proven before promotion; labels may take months.
    """

    metric: str
    at_most_worse: float
    required: bool = False


@dataclass(frozen=True)
class PairedLosses:
    """Rows that both versions answered and whose label is known.

    Args:
        differences: the challenger's loss minus the champion's: how many rows, their sum, their sum of squares.
        different: rows of which the difference is not 0.
    """

    differences: Moments
    different: int


def judge_quality(
    guardrail: QualityGuardrail, evidence: PairedLosses | None, alpha: float, proof: float
) -> GuardrailResult:
    """Breached if the harm is evident and not proven to lie within the margin; proven if the margin is.

    By the confidence sequence of `means`: it may be asked as often as one likes.

    Args:
        guardrail: the limit.
        evidence: what was counted; None where nothing was.
        alpha: of a false breach at any look.
        proof: of a false proof at any look.
    """
    limit, rows = math.log(1 / alpha), evidence.differences.units if evidence else 0
    if evidence is None or rows < FEWEST_PAIRS or evidence.different < _FEWEST_DIFFERENT:
        reason = _too_few(guardrail, evidence)
        return GuardrailResult(guardrail.metric, GuardrailStatus.UNKNOWN, 0.0, limit, None, None, None, reason)
    difference = mean_difference(evidence.differences)
    log_e = -math.log(max(sequence_p_value(difference, alpha), 1e-300)) if difference.estimate > 0 else 0.0
    bounds = sequence_bounds(difference, proof)
    proven = bounds.high <= guardrail.at_most_worse
    status = GuardrailStatus.PROVEN if proven else GuardrailStatus.BREACHED if log_e >= limit else GuardrailStatus.OPEN
    most = f"at most {guardrail.at_most_worse:g} worse"
    outcomes = {
        GuardrailStatus.BREACHED: f"evidently worse, and not proven to be {most}",
        GuardrailStatus.PROVEN: f"proven to be {most}",
        GuardrailStatus.OPEN: f"{most} is neither proven nor refuted",
    }
    seen = f"{difference.estimate:+.4f} ({bounds.low:+.4f} to {bounds.high:+.4f}) on {rows:,} rows with a label"
    reason = f"{guardrail.metric}: a loss of {seen} against the champion; {outcomes[status]}"
    return GuardrailResult(guardrail.metric, status, log_e, limit, None, None, None, reason)


def mean_difference(moments: Moments) -> Difference:
    """The mean of paired differences with its standard error.

    >>> round(mean_difference(Moments(units=4, total=2.0, squares=2.0)).error, 6)
    0.288675
    """
    variance = max(0.0, moments.deviations) / max(1, moments.units - 1)
    return Difference(moments.mean, math.sqrt(variance / moments.units), moments.units)


def _too_few(guardrail: QualityGuardrail, evidence: PairedLosses | None) -> str:
    rows = evidence.differences.units if evidence else 0
    seen = f"{guardrail.metric}: {rows:,} of {FEWEST_PAIRS:,} rows that both answered have a label"
    if evidence is None or rows < FEWEST_PAIRS:
        return seen
    return f"{seen}, {evidence.different} of {_FEWEST_DIFFERENT} of them were judged differently"


class LateAction(StrEnum):
    """What follows for a champion that was promoted before its labels were known."""

    CONFIRM = "confirm"
    ROLL_BACK = "roll_back"
    HOLD = "hold"
    CLOSE = "close"


LateVerdict = Verdict[LateAction, GuardrailResult]
"""Its numbers are the limits of quality."""


def decide_late(
    guardrails: Sequence[QualityGuardrail],
    losses: Mapping[str, PairedLosses],
    alpha: float,
    proof: float,
    *,
    end: datetime,
    now: datetime,
) -> LateVerdict:
    """Confirm a promotion, take it back, wait for labels, or say in the end that nothing is known.

    Args:
        guardrails: the limits.
        losses: metric → what was counted; without an entry nothing was.
        alpha: of a false rollback by each limit.
        proof: of a false confirmation by each limit.
        end: when the last labels are known; what is not proven then stays unknown for ever.
        now: in the same time.

    >>> limits, end = [QualityGuardrail("log_loss", 0.01)], datetime(2026, 9, 1)
    >>> decide_late(limits, {}, 0.01, 0.05, end=end, now=datetime(2026, 6, 2)).reason
    'log_loss: 0 of 1,000 rows that both answered have a label'
    """
    results = tuple(judge_quality(each, losses.get(each.metric), alpha, proof) for each in guardrails)
    if breached := [each.reason for each in results if each.status is GuardrailStatus.BREACHED]:
        return Verdict(LateAction.ROLL_BACK, "; ".join(breached), results)
    reasons = "; ".join(each.reason for each in results)
    if results and all(each.status is GuardrailStatus.PROVEN for each in results):
        return Verdict(LateAction.CONFIRM, reasons, results)
    if now < end:
        return Verdict(LateAction.HOLD, reasons, results)
    return Verdict(LateAction.CLOSE, f"not known, and no more labels will come: {reasons}", results)
