"""Three outcomes: failed is proven and too large, passed is proven to be small, and between them nobody knows."""

import math

import pytest

from ml_assets.decisions.fairness import (
    FairnessPolicy,
    FairnessStatus,
    decide,
    decide_metric,
    largest_difference,
)
from ml_assets.decisions.group_rates import Group, GroupDifference
from ml_assets.decisions.interval import Interval

POLICY = FairnessPolicy(("tpr", "calibration"), at_most=0.1, level=0.05)


def difference(estimate: float, reach: float, p: float, metric: str = "tpr", name: str = "BR") -> GroupDifference:
    group = Group("country", name, 500, 80, judged=True)
    interval = Interval(estimate, estimate - reach, estimate + reach)
    return GroupDifference(group, metric, 0.6 + estimate, 0.6, reach / 3, interval, p)


def too_small(labelled: int = 12, metric: str = "tpr") -> GroupDifference:
    return GroupDifference(Group("country", "IS", 60, labelled, judged=False), metric, 0.5, 0.6, 0.2)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (difference(-0.25, 0.12, 0.001), FairnessStatus.FAILED),
        (difference(-0.25, 0.30, 0.2), FairnessStatus.NOT_JUDGED),  # large, and chance may have made it
        (difference(-0.08, 0.05, 0.001), FairnessStatus.NOT_JUDGED),  # different, and nobody knows whether by so much
        (difference(-0.03, 0.02, 0.001), FairnessStatus.PASSED),  # different, by less than matters
        (difference(0.01, 0.05, 0.9), FairnessStatus.PASSED),
        (difference(0.01, 0.20, 0.9), FairnessStatus.NOT_JUDGED),
        (too_small(), FairnessStatus.NOT_JUDGED),
    ],
)
def test_an_outcome_needs_a_proof(found: GroupDifference, status: FairnessStatus) -> None:
    verdict = decide(POLICY, [found], 3000)
    assert (verdict.action, verdict.numbers[0].status) == (status, status)
    assert verdict.reason


def test_one_failed_group_fails_and_one_that_is_not_judged_leaves_the_whole_so() -> None:
    good, unsure, bad = (difference(e, r, p) for e, r, p in ((0.0, 0.05, 0.9), (0.0, 0.2, 0.9), (0.3, 0.1, 0.001)))
    assert decide(POLICY, [good, good], 3000).action is FairnessStatus.PASSED
    assert decide(POLICY, [good, unsure], 3000).action is FairnessStatus.NOT_JUDGED
    assert decide(POLICY, [good, unsure, bad], 3000).action is FairnessStatus.FAILED
    assert decide(POLICY, [], 3000).action is FairnessStatus.NOT_JUDGED


def test_what_is_shown_only_judges_nothing() -> None:
    found = [difference(0.0, 0.05, 0.9), difference(0.5, 0.1, 0.001, metric="selection_rate")]
    verdict = decide(POLICY, found, 3000)
    assert verdict.action is FairnessStatus.PASSED
    assert {each.metric for each in verdict.numbers} == {"tpr"}
    assert largest_difference(verdict.numbers) == 0


def test_a_metric_has_its_part_of_the_verdict() -> None:
    found = [difference(0.3, 0.1, 0.001), difference(0.0, 0.05, 0.9, metric="calibration")]
    verdict = decide(POLICY, found, 3000)
    parts = {metric: decide_metric(POLICY, verdict, metric, 3000) for metric in POLICY.metrics}
    assert {name: part.action.value for name, part in parts.items()} == {"tpr": "failed", "calibration": "passed"}
    assert verdict.reason == f"{parts['tpr'].reason}; {parts['calibration'].reason}"


def test_the_number_of_entities_that_would_be_needed_grows_with_the_square_of_the_error() -> None:
    """Of three standard errors and 1.28 more in between, each of .2 / 3, in place of .1: (.2 + .0854)² / .1²."""
    needed = decide(POLICY, [difference(0.0, 0.2, 0.9)], 3000).numbers[0].needed
    assert needed == math.ceil(3000 * ((0.2 + 1.2815515655446004 * 0.2 / 3) / 0.1) ** 2)
    assert decide(POLICY, [difference(0.0, 0.4, 0.9)], 3000).numbers[0].needed == pytest.approx(4 * needed, abs=4)
    assert decide(POLICY, [too_small(12)], 3000).numbers[0].needed == 7500
    assert decide(POLICY, [too_small(0)], 3000).numbers[0].needed is None


def test_a_reason_says_what_was_seen_and_what_is_missing() -> None:
    failed = decide(POLICY, [difference(-0.25, 0.12, 0.001)], 3000).reason
    assert failed == (
        "tpr of country BR is 0.350, of all others 0.600: -0.250 (-0.370 to -0.130), p 0.001, limit ±0.1; "
        "calibration: there is no group"
    )
    unsure = [difference(0.01, 0.2, 0.57), difference(0.0, 0.05, 0.9, name="US"), too_small()]
    only = FairnessPolicy(("tpr",), at_most=0.1, level=0.05)
    assert decide(only, unsure, 3000).reason == (
        "tpr: no group differs (p ≥ 0.57); ±0.1 cannot be shown for 1 of 2 groups: about 25,000 entities would be "
        "needed, there are 3,000; 1 of 3 groups too small to be judged"
    )
    passed = decide(only, [difference(0.0, 0.05, 0.9, name=name) for name in ("US", "BR")], 3000).reason
    assert passed == "tpr: within ±0.1 in all 2 groups"
