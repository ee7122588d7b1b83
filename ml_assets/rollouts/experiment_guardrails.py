"""Guardrails of an experiment: units with a first failure, of each variant beside the control."""

from collections.abc import Mapping
from dataclasses import dataclass

from ml_assets.decisions.guardrail import GuardrailEvidence, GuardrailResult, GuardrailStatus, judge_guardrail
from ml_assets.decisions.rates import RateStage
from ml_assets.events.exposures import ERROR, MISSING, SLOW, VariantFailure
from ml_assets.monitoring.log.take import table
from ml_assets.rollouts.baseline import RolloutBaseline
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.storage.lake import Lake

Failures = Mapping[str, Mapping[str, int]]
"""Reason → variant → units whose first failure for the reason was that variant's."""

_FIRST = """
    SELECT reason, variant, count(*) AS units FROM (
        SELECT reason, first(variant ORDER BY failed_at, variant) AS variant FROM f
        WHERE experiment = $experiment GROUP BY entity, reason
    ) GROUP BY ALL
"""
_REASONS = {"errors": (ERROR,), "missing": (MISSING,), "latency": SLOW}
_SLOWER = 0.05
_PROOF = 0.05


@dataclass(frozen=True)
class VariantGuardrail:
    """What a guardrail says of a variant."""

    variant: str
    result: GuardrailResult

    @property
    def is_breached(self) -> bool:
        """The harm is evident, and not proven to lie within the margin."""
        return self.result.status is GuardrailStatus.BREACHED


def count_failures(lake: Lake, model: str, experiment: str) -> Failures:
    """Units by their first failure of each kind, as far as the lake has them.

    Args:
        lake: with the log of servers.
        model: the model's folder.
        experiment: its name.
    """
    failures, counts = table(model, VariantFailure), dict[str, dict[str, int]]()
    if lake.version(failures) is None:
        return counts
    for row in lake.query(_FIRST, {"experiment": experiment}, f=failures).to_pylist():
        counts.setdefault(row["reason"], {})[row["variant"]] = row["units"]
    return counts


def judge_variants(step: ExperimentStep, failures: Failures, exposed: Mapping[str, int]) -> list[VariantGuardrail]:
    """Every guardrail of every variant; the probability of a false breach is shared by all of them.

    Args:
        step: any row of the experiment's ledger.
        failures: as they were counted.
        exposed: variant → units.
    """
    spec, (control, *others) = step.spec, step.version_of
    alpha = spec.level / max(1, len(spec.guardrails) * len(others))
    judged = []
    for name in others:
        share = spec.variants[name].share / (spec.variants[name].share + spec.variants[control].share)
        for guardrail in (each.guardrail for each in spec.guardrails):
            evidence = _evidence(step, failures, guardrail.metric, (control, name), share, exposed.get(name, 0))
            judged.append(VariantGuardrail(name, judge_guardrail(guardrail, evidence, share, alpha, _PROOF)))
    return judged


def _evidence(
    step: ExperimentStep, failures: Failures, metric: str, pair: tuple[str, str], share: float, answered: int
) -> GuardrailEvidence | None:
    """Counts of one metric; None where the limits of latency are not known."""
    baseline = RolloutBaseline.from_json(step.baseline)
    if metric == "latency" and not baseline.latency:
        return None
    counts = tuple((_stage(failures.get(reason, {}), pair, share),) for reason in _REASONS[metric])
    rates = {"errors": baseline.error_rate, "missing": baseline.missing_rate, "latency": _SLOWER}
    return GuardrailEvidence(counts, rates[metric], answered)


def _stage(units: Mapping[str, int], pair: tuple[str, str], share: float) -> RateStage:
    control, other = (units.get(name, 0) for name in pair)
    return RateStage(control + other, other, share)
