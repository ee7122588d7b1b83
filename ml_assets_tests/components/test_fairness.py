"""The checks of a fairness report: one for each metric that judges, and what is not judged neither passes nor fails."""

from typing import Any

import dagster as dg
import pytest

from ml_assets.components.fairness import fairness_checks, fairness_metadata, fairness_results
from ml_assets.decisions.group_equalities import Equality
from ml_assets.decisions.group_rates import Group, GroupComparison, GroupDifference, RateRatio
from ml_assets.decisions.interval import Interval
from ml_assets.spec.fairness import FairnessSpec
from ml_assets.storage.registry import Version
from ml_assets.training.fairness_record import FairnessInputs, FairnessRecord, FairnessReport
from ml_assets_tests.conftest import AS_OF

HOSTILE = "<b>a|b</b>"
SPEC = FairnessSpec(groups=("plan",), metrics=("tpr", "fpr", "calibration"))


def report(spec: FairnessSpec = SPEC) -> FairnessReport:
    group = Group("plan", HOSTILE, 500, 80, judged=True)
    found = {"tpr": (-0.3, 0.1, 0.001), "fpr": (0.0, 0.3, 0.9), "calibration": (0.0, 0.05, 0.9)}
    differences = tuple(
        GroupDifference(group, metric, 0.5 + mean, 0.5, reach / 3, Interval(mean, mean - reach, mean + reach), p)
        for metric, (mean, reach, p) in found.items()
    )
    equal = Equality("plan", HOSTILE, "tpr", 0.3, {"fpr": 0.1})
    comparison = GroupComparison(differences, (RateRatio("plan", 0.7, 0.55),))
    record = FairnessRecord(FairnessInputs("{}", 0.2, 0, (1,)), 3000, 12000, comparison, (equal,))
    version = Version("shop", 3, "run", {"as_of": str(AS_OF)})
    return FairnessReport(version, record, spec.policy, "ab" * 32, b"png")


def test_each_metric_that_judges_is_a_check_of_three_outcomes() -> None:
    key = dg.AssetKey(["shop", "fairness_report"])
    assert [(each.name, each.blocking) for each in fairness_checks(key, SPEC)] == [
        ("tpr", False), ("fpr", False), ("calibration", False),
    ]  # fmt: skip
    results = {each.check_name: each for each in fairness_results(report(), SPEC)}
    assert {name: (each.passed, each.severity.value) for name, each in results.items()} == {
        "tpr": (False, "ERROR"),
        "fpr": (False, "WARN"),  # which blocks nothing, and is not called a pass
        "calibration": (True, "ERROR"),
    }
    assert results["tpr"].metadata["value"].value == pytest.approx(0.3)
    assert "entities would be needed" in str(results["fpr"].description)


def test_text_of_groups_is_shown_as_text() -> None:
    metadata: dict[str, Any] = fairness_metadata(report())
    for name in ("groups", "what_equality_costs"):
        assert HOSTILE not in metadata[name].value
        assert "a\\|b" in metadata[name].value
    assert "55 %" in metadata["four_fifths"].value
    assert metadata["status"] == "failed"
