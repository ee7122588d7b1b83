"""The checks of `<folder>/rollout`: the sample ratio, each guardrail, each quality, and whether somebody watches."""

import math
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.metadata import check_result

if TYPE_CHECKING:
    from ml_assets.decisions.guardrail import GuardrailResult
    from ml_assets.rollouts.report import RolloutReport
    from ml_assets.spec.rollout import RolloutSpec

SAMPLE_RATIO, SUPERVISED = "sample_ratio", "supervised"

_MISMATCH = 100.0
"""The e-value of the sample-ratio test at which nothing is believed any more."""


def rollout_checks(key: dg.AssetKey, spec: "RolloutSpec") -> list[dg.AssetCheckSpec]:
    """What is checked of each measurement.

    Args:
        key: of the asset.
        spec: as declared.
    """
    described = {
        SAMPLE_RATIO: "The variants get their shares: else assignment or log is broken, and nothing is decided",
        SUPERVISED: "Somebody has looked ever since the stage began: else the champion answers everything",
        **{name: f"The challenger is not evidently worse: {name}" for name in _judged(spec)},
    }
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in described.items()]


def no_rollout(key: dg.AssetKey, spec: "RolloutSpec", reason: str) -> Result:
    """A model without a rollout, and why: nothing can be wrong with it.

    Args:
        key: of the asset.
        spec: as declared.
        reason: in a sentence.
    """
    results = [check_result(each.name, passed=True, description=reason) for each in rollout_checks(key, spec)]
    return Result(metadata={"now": reason}, check_results=results)


def check_rollout(report: "RolloutReport", spec: "RolloutSpec") -> list[dg.AssetCheckResult]:
    """What the last measurement says.

    Args:
        report: of the ledger.
        spec: as declared now; a rollout that is running keeps what it began with.
    """
    results = {each.name: each for each in report.results}
    return [_sample_ratio(report), _supervised(report), *(_judge(name, results.get(name)) for name in _judged(spec))]


def _judged(spec: "RolloutSpec") -> list[str]:
    return [*(each.metric for each in spec.guardrails), *(each.metric for each in spec.quality)]


def _sample_ratio(report: "RolloutReport") -> dg.AssetCheckResult:
    log_e = report.log_e_mismatch
    return check_result(
        SAMPLE_RATIO,
        passed=log_e < math.log(_MISMATCH),
        description=f"e-value {math.exp(min(log_e, 700)):.3g} of {_MISMATCH:g}, over {len(report.stages)} stages",
        metadata={"log_e": log_e, "limit": math.log(_MISMATCH)},
    )


def _supervised(report: "RolloutReport") -> dg.AssetCheckResult:
    lease = f"the champion answers everything once nobody has looked for {report.spec.lease}"
    return check_result(SUPERVISED, passed=report.unwatched is None, description=report.unwatched or lease)


def _judge(name: str, result: "GuardrailResult | None") -> dg.AssetCheckResult:
    if result is None:
        return check_result(name, passed=True, description="nothing was measured of it yet")
    return check_result(
        name,
        passed=result.status.value != "breached",
        description=result.reason,
        metadata={"log_e": result.log_e, "limit": result.limit, "status": result.status.value},
    )
