"""The measurement of an experiment: its units are counted and compared, faults are named, and the policy decides."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.experiment import ExperimentAction, ExperimentEvidence, decide, describe_mismatch
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.means import Batch, Difference, Moments, fixed_interval, stratified_difference
from ml_assets.decisions.paired_moments import PairedMoments, adjusted_difference
from ml_assets.decisions.sample_ratio import SampleCounts
from ml_assets.errors import list_values
from ml_assets.rollouts.experiment_guardrails import Failures, VariantGuardrail, judge_variants
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.rollouts.experiment_report import ExperimentReport, VariantCounts
from ml_assets.rollouts.experiment_secondary import secondary_effects
from ml_assets.rollouts.outcomes import CLOCK, LABEL, ExperimentUnits
from ml_assets.rollouts.unit_differences import (
    FEWEST,
    centred_values,
    describe_early,
    describe_scarcity,
    known_until,
    mean_difference,
)
from ml_assets.spec.experiment import SCORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRAYED = 0.1
"""The share of answers by another version from which on the difference is too far from that of the variants."""
_DAY_LEVEL = 0.05
_DAYS = 28


def make_report(
    step: ExperimentStep,
    units: ExperimentUnits,
    now: datetime,
    failures: Failures | None = None,
    remarks: Sequence[str] = (),
) -> ExperimentReport:
    """Count, compare and decide. A variant that breaks a guardrail ends the experiment, unless nothing is believed.

    Args:
        step: any row of the experiment's ledger.
        units: as they were read.
        now: naive UTC.
        failures: of units, where guardrails are declared.
        remarks: what else a reader has to know.
    """
    names, spec = [*step.version_of], step.spec
    chosen = np.isin(units.variant, names) & (units.variants == 1)
    mature = chosen & (units.exposed_at <= known_until(spec.primary, now))
    valued = mature & ~np.isnan(units.value)
    shares = tuple(arm.share for arm in spec.variants.values())
    exposed = SampleCounts(_count(units.variant[chosen], names), shares)
    differences, lacking = _differences(step, units, valued)
    evidence = ExperimentEvidence(
        step.started,
        SampleCounts(_count(units.variant[mature], names), shares),
        differences,
        tuple(_faults(step, units, exposed, now)),
        tuple(lacking),
    )
    verdict = decide(spec.policy, evidence, now)
    judged = tuple(judge_variants(step, failures or {}, dict(zip(names, exposed.units, strict=True))))
    action, reason = _protect(verdict.action, verdict.reason, judged)
    return ExperimentReport(
        now, action, reason, _variants(step, units, exposed, valued), verdict.numbers, evidence.faults,
        (*_notes(step, units, int(mature.sum() - valued.sum())), *remarks), _by_day(step, units, mature), judged,
        secondary_effects(step, units, chosen, now),
    )  # fmt: skip


def _variants(
    step: ExperimentStep, units: ExperimentUnits, exposed: SampleCounts, valued: "NDArray[np.bool_]"
) -> tuple[VariantCounts, ...]:
    """What was counted of each variant, the control first."""
    names, masks = step.version_of.items(), (valued & (units.variant == name) for name in step.version_of)
    return tuple(
        VariantCounts(name, version, share, count, int(mask.sum()), _mean(units.value[mask]))
        for (name, version), share, count, mask in zip(names, exposed.shares, exposed.units, masks, strict=True)
    )


def _protect(action: ExperimentAction, reason: str, judged: Sequence[VariantGuardrail]) -> tuple[ExperimentAction, str]:
    """What follows where a variant breaks a guardrail."""
    breaches = [f"{each.variant} breaks a guardrail: {each.result.reason}" for each in judged if each.is_breached]
    if not breaches or action is ExperimentAction.ERROR:
        return action, reason
    return ExperimentAction.NONE, "; ".join(breaches)


def _count(variants: "NDArray[np.str_]", names: Sequence[str]) -> tuple[int, ...]:
    return tuple(int((variants == name).sum()) for name in names)


def _mean(values: "NDArray[np.float64]") -> float | None:
    return float(values.mean()) if len(values) else None


def _faults(step: ExperimentStep, units: ExperimentUnits, exposed: SampleCounts, now: datetime) -> list[str]:
    """Why what was counted cannot be believed."""
    counts, faults = units.outcomes, []
    unknown = sorted({*units.variant.tolist()} - {*step.version_of})
    if unknown:
        faults.append(f"units were answered by {list_values(unknown)}, which the experiment does not have")
    if several := int((units.variants > 1).sum()):
        faults.append(f"{several:,} units were answered by more than one variant: their assignment has changed")
    early = int((units.exposed_at < np.datetime64(step.started - CLOCK)).sum())
    late = int((units.exposed_at > np.datetime64(now + CLOCK)).sum())
    if early or late or counts.ahead:
        which = [(early, "exposures before the start"), (late, "exposures"), (counts.ahead, "outcomes")]
        parts = [
            f"{count:,} {what}{'' if what.endswith('start') else ' in the future'}" for count, what in which if count
        ]
        faults.append(f"the clock of a server is off: {' and '.join(parts)}")
    if units.strayed > _STRAYED:
        faults.append(f"{_describe_strayed(units.strayed)}: is one of them not told of it?")
    if early_outcomes := describe_early(counts):
        faults.append(early_outcomes)
    if mismatch := describe_mismatch(exposed):
        faults.append(mismatch)
    return faults


def _describe_strayed(share: float) -> str:
    return f"{share:.1%} of the answers to units of other variants came from servers that do not follow the experiment"


def _notes(step: ExperimentStep, units: ExperimentUnits, without: int) -> list[str]:
    """What was left out, and why."""
    counts, notes = units.outcomes, []
    if 0 < units.strayed <= _STRAYED:
        notes.append(f"{_describe_strayed(units.strayed)}: the difference of the variants is a little larger")
    if before := counts.early + counts.unexposed:
        notes.append(f"{before:,} outcomes came before the exposure, or of units that never were: left out")
    if counts.repeated:
        notes.append(f"{counts.repeated:,} outcomes were said again of the same answer: the last one counts, once")
    if counts.late:
        notes.append(f"{counts.late:,} outcomes were told when their unit was counted already: they count from then on")
    if counts.words:
        notes.append(f"{counts.words:,} outcomes are not numbers: left out")
    if without and step.spec.primary.metric in {LABEL, SCORE}:
        notes.append(f"{without:,} units have no {step.spec.primary.metric}: left out")
    return notes


def _differences(
    step: ExperimentStep, units: ExperimentUnits, valued: "NDArray[np.bool_]"
) -> tuple[dict[str, Difference], list[str]]:
    """Variant → its mean minus the control's; and what those that are not there wait for."""
    control, *others = step.version_of
    differences, lacking = {}, []
    masks = {name: valued & (units.variant == name) for name in step.version_of}
    for name in others:
        if scarce := describe_scarcity(units.value, {each: masks[each] for each in (control, name)}):
            lacking.append(scarce)
        else:
            differences[name] = _difference(step, units, valued, control, name)
    return differences, lacking


def _difference(
    step: ExperimentStep, units: ExperimentUnits, valued: "NDArray[np.bool_]", control: str, name: str
) -> Difference:
    metric = step.spec.primary
    value = centred_values(units.value, valued, metric.cap)
    pair = [valued & (units.variant == each) for each in (control, name)]
    if metric.cuped and not np.isnan(units.covariate[valued]).all():
        covariate = units.covariate - np.nanmean(units.covariate[valued])
        x = np.nan_to_num(covariate)  # who has none is taken for an average one: nothing is explained there
        return adjusted_difference(*(_paired(value[mask], x[mask]) for mask in pair))
    return mean_difference(*(value[mask] for mask in pair))


def _paired(y: "NDArray[np.float64]", x: "NDArray[np.float64]") -> PairedMoments:
    return PairedMoments(len(y), float(y.sum()), float(y @ y), float(x.sum()), float(x @ x), float(x @ y))


def _by_day(
    step: ExperimentStep, units: ExperimentUnits, mature: "NDArray[np.bool_]"
) -> dict[str, tuple[Interval, ...]]:
    """The difference by day since the exposure: an effect that wears off was novelty."""
    control, *others = step.version_of
    counts = {name: int((mature & (units.variant == name)).sum()) for name in step.version_of}
    variant, day, value = units.by_day
    days = min(_DAYS, max(1, step.spec.primary.window // timedelta(days=1)))
    if not len(value) or min(counts.values()) < FEWEST:
        return {}

    def moments(name: str, number: int) -> Moments:
        values = value[(variant == name) & (day == number)]
        return Moments(counts[name], float(values.sum()), float(values @ values))

    def effect(name: str, number: int) -> Interval:
        batch = Batch(moments(control, number), moments(name, number))
        return fixed_interval(stratified_difference([batch]), _DAY_LEVEL)

    return {name: tuple(effect(name, number) for number in range(days)) for name in others}
