"""Secondary metrics of an experiment: each variant beside the control, and which differences stand among them all."""

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.secondary import SecondaryEffect, SecondaryEvidence, judge_secondary
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.rollouts.outcomes import ExperimentUnits, MetricValues
from ml_assets.rollouts.unit_differences import (
    centred_values,
    describe_early,
    describe_scarcity,
    known_until,
    mean_difference,
)
from ml_assets.spec.experiment import UnitMetricSpec

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray


def secondary_effects(
    step: ExperimentStep, units: ExperimentUnits, chosen: "NDArray[np.bool_]", now: "datetime"
) -> tuple[SecondaryEffect, ...]:
    """Every secondary metric of every variant, in the order of the declaration.

    Args:
        step: any row of the experiment's ledger.
        units: as they were read.
        chosen: those that one variant alone has answered, [n].
        now: naive UTC.
    """
    control, *others = step.version_of
    evidence = [
        _evidence(step, metric, units, values, chosen & (units.exposed_at <= known_until(metric, now)), (control, name))
        for metric, values in zip(step.spec.secondary, units.secondary, strict=True)
        for name in others
    ]
    return judge_secondary(evidence, step.spec.level)


def _evidence(
    step: ExperimentStep,
    metric: UnitMetricSpec,
    units: ExperimentUnits,
    values: MetricValues,
    mature: "NDArray[np.bool_]",
    pair: tuple[str, str],
) -> SecondaryEvidence:
    valued = mature & ~np.isnan(values.value)
    masks = {name: valued & (units.variant == name) for name in pair}
    fewest, sample = min(int(mask.sum()) for mask in masks.values()), step.spec.sample
    few = f"{fewest:,} of {sample:,} units in the smaller variant" if fewest < sample else None
    lacking = describe_early(values.outcomes) or few or describe_scarcity(values.value, masks)
    if lacking:
        return SecondaryEvidence(metric.label, pair[1], None, metric.direction, lacking)
    value = centred_values(values.value, valued, metric.cap)
    control, other = (value[mask] for mask in masks.values())
    return SecondaryEvidence(metric.label, pair[1], mean_difference(control, other), metric.direction)
