"""One guardrail of a rollout: what was counted, whether it is breached, whether its margin is proven."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ml_assets.decisions.rates import (
    RateStage,
    RatioBounds,
    bound_ratio,
    log_e_below,
    log_e_better,
    log_e_slower,
    log_e_worse,
)

DISAGREEMENT = "disagreement"
"""The guardrail that is counted on the same rows, without traffic of the challenger's own."""
_QUANTILES = ("beyond the champion's p50 ", "p95 ", "p99 ")
_MOST_UNITS = 100_000_000
"""Beyond so many units a proof is not in reach."""


class GuardrailStatus(StrEnum):
    """What a guardrail says of the challenger."""

    BREACHED = "breached"
    PROVEN = "proven"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Guardrail:
    """A limit that the challenger has to keep.

    Args:
        metric: `errors`, `missing` (features), `latency` or `disagreement`.
        at_most_worse: of a rate: by how much it may exceed the champion's, as a share of the units. Proven before
            promotion.
        at_most_times: of latency and disagreement: how many times the champion's, or the gate's, is tolerated. It is
            built into what is counted; nothing is proven.
    """

    metric: str
    at_most_worse: float | None = None
    at_most_times: float | None = None

    def __post_init__(self) -> None:
        """Refuse a guardrail without a limit, or with two."""
        if (self.at_most_worse is None) == (self.at_most_times is None):
            message = f"guardrail {self.metric}: give either at_most_worse or at_most_times"
            raise ValueError(message)


@dataclass(frozen=True)
class GuardrailEvidence:
    """Units with a first bad event, by stage.

    Args:
        counts: for each limit of the metric the stages: one for a rate, three (p50, p95, p99) for latency.
        champion_rate: the champion's rate before the rollout, frozen at its start; above 0.
        challenger_units: units that the challenger answered, with and without an event; 0: that was not counted.
    """

    counts: tuple[tuple[RateStage, ...], ...]
    champion_rate: float
    challenger_units: int = 0

    @property
    def events(self) -> int:
        """All first bad events."""
        return sum(stage.events for stages in self.counts for stage in stages)


@dataclass(frozen=True)
class GuardrailResult:
    """What a guardrail says now.

    Args:
        name: the metric.
        status: what follows.
        log_e: the logarithm of the e-value for "the challenger is worse".
        limit: the logarithm of the e-value at which that is a breach.
        ratio: the challenger's rate divided by the champion's, in an interval that holds the truth at all looks with
            probability 1 - proof; None where there are several limits.
        needed: how many times the champion's rate the margin allows; None where nothing has to be proven.
        units: more units that a proof takes if the two do not differ; None where it is not asked for or not in reach.
        reason: in one sentence.
    """

    name: str
    status: GuardrailStatus
    log_e: float
    limit: float
    ratio: RatioBounds | None
    needed: float | None
    units: int | None
    reason: str


def judge_guardrail(
    guardrail: Guardrail, evidence: GuardrailEvidence | None, share: float, alpha: float, proof: float
) -> GuardrailResult:
    """Breached if the harm is evident and not proven to lie within the margin; proven if the margin is.

    Args:
        guardrail: the limit.
        evidence: what was counted; None where it could not be counted.
        share: the challenger's share now, for the number of units that are lacking.
        alpha: of a false breach at any look.
        proof: of a false proof at any look.
    """
    limit = math.log(1 / alpha)
    if evidence is None:
        reason = f"{guardrail.metric} was not measured"
        return GuardrailResult(guardrail.metric, GuardrailStatus.UNKNOWN, 0.0, limit, None, None, None, reason)
    log_e = log_e_slower(evidence.counts) if len(evidence.counts) > 1 else log_e_worse(evidence.counts[0])
    needed = _tolerated_ratio(guardrail, evidence)
    proven = needed is not None and log_e_within(guardrail, evidence, needed) >= math.log(1 / proof)
    status = GuardrailStatus.PROVEN if proven else GuardrailStatus.BREACHED if log_e >= limit else GuardrailStatus.OPEN
    lacking = needed is not None and status is GuardrailStatus.OPEN
    units = _units_to_prove(guardrail, evidence, share, needed, proof) if lacking and needed else None
    ratio = bound_ratio(evidence.counts[0], proof / 2) if len(evidence.counts) == 1 else None
    reason = _sentence(guardrail, evidence, status, ratio, units)
    return GuardrailResult(guardrail.metric, status, log_e, limit, ratio, needed, units, reason)


def _tolerated_ratio(guardrail: Guardrail, evidence: GuardrailEvidence) -> float | None:
    """The margin as a ratio to the champion's rate; None where the limit is built into the counts."""
    if guardrail.at_most_worse is None:
        return None
    return (evidence.champion_rate + guardrail.at_most_worse) / evidence.champion_rate


def log_e_within(guardrail: Guardrail, evidence: GuardrailEvidence, ratio: float) -> float:
    """Evidence that the margin is kept, the mean of two e-values, and so an e-value itself.

    One compares the two variants, and needs events. The other looks at the challenger alone: a rate below the margin is
    worse by less than the margin, whatever the champion's is. Without it nothing were ever proven of a model that does
    not fail.
    """
    log_e = log_e_better(evidence.counts[0], ratio)
    if not evidence.challenger_units or guardrail.at_most_worse is None:
        return log_e
    events = sum(stage.challenger_events for stage in evidence.counts[0])
    alone = log_e_below(events, evidence.challenger_units, guardrail.at_most_worse)
    return float(np.logaddexp(log_e, alone)) - math.log(2)


def _units_to_prove(
    guardrail: Guardrail, evidence: GuardrailEvidence, share: float, ratio: float, proof: float
) -> int | None:
    """More units at this share after which the margin is proven, if the two variants have the same rate.

    Args:
        guardrail: the limit.
        evidence: what was counted.
        share: the challenger's share now.
        ratio: the margin as a ratio of the two rates.
        proof: of a false proof at any look.
    """

    def proves(units: int) -> bool:
        events = round(units * evidence.champion_rate)
        stages = (*evidence.counts[0], RateStage(events, round(events * share), share))
        answered = evidence.challenger_units and evidence.challenger_units + round(units * share)
        more = GuardrailEvidence((stages,), evidence.champion_rate, answered)
        return log_e_within(guardrail, more, ratio) >= math.log(1 / proof)

    high = 1_000
    while not proves(high):
        high *= 2
        if high > _MOST_UNITS:
            return None
    low = high // 2
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _sentence(
    guardrail: Guardrail,
    evidence: GuardrailEvidence,
    status: GuardrailStatus,
    ratio: RatioBounds | None,
    units: int | None,
) -> str:
    """The result in words: what was seen, then what it means."""
    limit = (
        f"{guardrail.at_most_worse:.3%} more than the champion's {evidence.champion_rate:.3%}"
        if guardrail.at_most_worse is not None
        else f"{guardrail.at_most_times:g} times what is expected"
    )
    seen = f"{guardrail.metric}: {_counts(guardrail, evidence.counts)}"
    if ratio is not None and evidence.events and guardrail.metric != DISAGREEMENT:
        seen += f", {ratio.estimate:.2f} times the champion's ({ratio.low:.2f} to {ratio.high:.2f})"
    outcomes = {
        GuardrailStatus.BREACHED: f"worse than {limit}",
        GuardrailStatus.PROVEN: f"proven to be at most {limit}",
        GuardrailStatus.OPEN: f"at most {limit} is neither proven nor refuted",
    }
    lacking = f"; about {units:,} more units prove it if nothing differs" if units else ""
    return f"{seen}; {outcomes[status]}{lacking}"


def _counts(guardrail: Guardrail, counts: Sequence[Sequence[RateStage]]) -> str:
    """The counts in words; of disagreement the events are the units that both answered."""
    if guardrail.metric == DISAGREEMENT:
        units, different = sum(each.events for each in counts[0]), sum(each.challenger_events for each in counts[0])
        return (
            f"{different:,} of {units:,} units are decided differently, at most {counts[0][0].share:.1%} are tolerated"
        )
    limits = _QUANTILES if len(counts) == len(_QUANTILES) else ("",)
    return ", ".join(f"{limit}{_count(stages)}" for limit, stages in zip(limits, counts, strict=True))


def _count(stages: Sequence[RateStage]) -> str:
    """Of the units with an event, those that the challenger had, and those that it would have had if it were equal."""
    events = sum(each.events for each in stages)
    if not events:
        return "no unit was concerned"
    expected = sum(each.events * each.share for each in stages)
    of_challenger = sum(each.challenger_events for each in stages)
    return f"{of_challenger:,} of {events:,} units are the challenger's, {expected:,.0f} if it were equal"
