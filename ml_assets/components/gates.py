"""The gates of a release as asset checks, and a warning of features that are too good to be true."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.metadata import check_result, table

if TYPE_CHECKING:
    from ml_assets.decisions.gate import Gate, GateResult
    from ml_assets.training.report import Report

LEAK = "suspected_leak"


def checks(key: dg.AssetKey, gates: "Sequence[Gate]") -> list[dg.AssetCheckSpec]:
    """A blocking check for each gate. The leak is a warning: some labels can be told from one number."""
    specs = [dg.AssetCheckSpec(gate.name, asset=key, blocking=True, description=str(gate)) for gate in gates]
    return [*specs, dg.AssetCheckSpec(LEAK, asset=key, description="No feature alone ranks as if it knew the label")]


def results(report: "Report") -> Iterator[dg.AssetCheckResult]:
    """What a report says of them."""
    yield from map(_check, report.verdict.numbers)
    suspects = [{"feature": name, "roc_auc alone": auc} for name, auc in report.suspects.items()]
    yield check_result(LEAK, passed=not suspects, warning=True, metadata={"features": table(suspects)})


def _check(gate: "GateResult") -> dg.AssetCheckResult:
    numbers = {"limit": gate.limit} | ({} if gate.value is None else {"value": gate.value})
    return check_result(gate.name, passed=gate.passed, description=gate.reason, metadata=numbers)
