"""The release gate: a stricter limit never lets more through, and every verdict says its numbers."""

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml_assets.decisions.gate import Gate, GateAction, GateEvidence, UnknownMetricError, decide
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import directions

DAY = date(2025, 6, 1)
metrics = st.sampled_from(sorted(directions()))
numbers = st.floats(-2, 2)
limits = st.floats(0, 2)
others = st.sampled_from(["champion", "baseline"])


@st.composite
def differences(draw: st.DrawFn) -> Interval:
    low, estimate, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Interval(estimate, low, high)


def measured(metric: str, value: float = 0.5, **against: Any) -> GateEvidence:
    return GateEvidence({metric: value}, {other: {metric: found} for other, found in against.items()}, DAY)


def ships(gates: list[Gate], evidence: GateEvidence) -> bool:
    return decide(gates, evidence).action is GateAction.SHIP


@given(metrics, numbers, numbers, numbers)
def test_a_stricter_limit_never_lets_more_through(metric: str, value: float, one: float, two: float) -> None:
    low, high = sorted((one, two))
    evidence = measured(metric, value)
    assert ships([Gate(metric, at_least=high)], evidence) <= ships([Gate(metric, at_least=low)], evidence)
    assert ships([Gate(metric, at_most=low)], evidence) <= ships([Gate(metric, at_most=high)], evidence)


@given(metrics, others, differences(), limits, limits, st.booleans())
def test_a_stricter_comparison_never_lets_more_through(
    metric: str, other: str, found: Interval, one: float, two: float, confident: bool
) -> None:
    low, high = sorted((one, two))
    evidence = measured(metric, 0.5, **{other: found})
    worse = [Gate(metric, against=other, at_most_worse=limit, confident=confident) for limit in (low, high)]
    better = [Gate(metric, against=other, at_least_better=limit, confident=confident) for limit in (low, high)]
    assert ships(worse[:1], evidence) <= ships(worse[1:], evidence)
    assert ships(better[1:], evidence) <= ships(better[:1], evidence)
    assert ships(better[:1], evidence) <= ships(worse[:1], evidence)


@given(metrics, others, differences(), limits, st.booleans())
def test_confident_is_never_more_lenient(metric: str, other: str, found: Interval, limit: float, better: bool) -> None:
    field = {"at_least_better" if better else "at_most_worse": limit}
    plain = Gate(metric, against=other, **field)  # type: ignore[arg-type]
    evidence = measured(metric, 0.5, **{other: found})
    assert ships([replace(plain, confident=True)], evidence) <= ships([plain], evidence)


@given(metrics, differences(), st.floats(0.001, 1))
def test_the_direction_of_a_metric_decides_what_worse_is(metric: str, found: Interval, limit: float) -> None:
    assume(found.estimate)
    good = found.estimate * directions()[metric] > 0
    (result,) = decide(
        [Gate(metric, against="baseline", at_most_worse=limit)], measured(metric, baseline=found)
    ).numbers
    assert result.value == pytest.approx(abs(found.estimate) if good else -abs(found.estimate))
    assert result.passed == (good or abs(found.estimate) <= limit)


@given(metrics, st.integers(-400, 400))
def test_a_candidate_older_than_the_champion_never_ships(metric: str, days: int) -> None:
    evidence = replace(measured(metric), champion_as_of=DAY + timedelta(days=days))
    verdict = decide([Gate(metric, at_least=0)], evidence)
    assert (verdict.action is GateAction.SHIP) == (days <= 0)
    assert (verdict.action is GateAction.SHIP) or str(evidence.champion_as_of) in verdict.reason


@pytest.mark.parametrize(
    "gate",
    [
        Gate("roc_auc", at_least=-math.inf),
        Gate("roc_auc", at_least=0.0),
        Gate("roc_auc", at_most=1.0),
        Gate("roc_auc", against="baseline", at_most_worse=2.0),
        Gate("brier", against="baseline", at_most_worse=2.0),
        Gate("roc_auc", against="baseline", at_least_better=0.0, confident=True),
    ],
    ids=lambda gate: gate.name,
)
def test_what_is_no_number_fails(gate: Gate) -> None:
    nothing = Interval(math.nan, math.nan, math.nan)
    assert not ships([gate], measured(gate.metric, math.nan, baseline=nothing))


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate("roc_acu", at_least=0.5), "'roc_acu' was not measured: measured are ['roc_auc']"),
        (Gate("brier", at_most=0.5), "'brier' was not measured"),
        (Gate("brier", against="baseline", at_most_worse=0.1), "'brier' was not measured"),
        (Gate("rows", against="baseline", at_most_worse=0.1), "rows has no better or worse"),
        (Gate("roc_auc", against="rival", at_most_worse=0.1), "'roc_auc' was not measured: measured are []"),
    ],
)
def test_a_metric_that_was_not_measured_is_an_error_and_no_verdict(gate: Gate, words: str) -> None:
    found = Interval(0.0, -0.1, 0.1)
    with pytest.raises(UnknownMetricError) as error:
        decide([gate], measured("roc_auc", baseline=found))
    assert words in str(error.value)


@pytest.mark.parametrize(
    "gate", [Gate("roc_auc"), Gate("roc_auc", at_most=math.nan), Gate("roc_auc", against="baseline")]
)
def test_a_gate_without_a_limit_is_an_error(gate: Gate) -> None:
    with pytest.raises(ValueError, match="one of at_least, at_most, at_most_worse, at_least_better is needed"):
        decide([gate], measured("roc_auc", baseline=Interval(0.0, 0.0, 0.0)))


def test_without_a_champion_its_gates_pass_and_say_so() -> None:
    verdict = decide([Gate("roc_auc", against="champion", at_least_better=0.01, confident=True)], measured("roc_auc"))
    assert (verdict.action, verdict.numbers[0].value) == (GateAction.SHIP, None)
    assert verdict.numbers[0].reason == "there is no other champion to compare roc_auc with"


def test_a_reason_holds_the_numbers_and_names_every_gate_that_failed() -> None:
    gates = [
        Gate("roc_auc", at_least=0.7),
        Gate("roc_auc", against="champion", at_most_worse=0.01),
        Gate("brier", at_most=0.3),
    ]
    difference = {"champion": {"roc_auc": Interval(-0.02, -0.05, 0.01)}}
    verdict = decide(gates, GateEvidence({"roc_auc": 0.6543, "brier": 0.2}, difference, DAY))
    assert verdict.reason == (
        "roc_auc is 0.6543, at least 0.7; roc_auc is -0.0200 against the champion (-0.0500 to +0.0100), limit -0.0100"
    )
    assert [(gate.name, gate.passed, gate.value, gate.limit) for gate in verdict.numbers] == [
        ("roc_auc_at_least", False, 0.6543, 0.7),
        ("roc_auc_against_champion", False, -0.02, -0.01),
        ("brier_at_most", True, 0.2, 0.3),
    ]


def test_a_limit_that_is_met_exactly_passes() -> None:
    gates = [Gate("roc_auc", at_least=0.5), Gate("roc_auc", at_most=0.5)]
    assert decide(gates, measured("roc_auc")).reason == "all 2 gates passed"
    assert decide([], measured("roc_auc")).reason == "no gates are declared"


def test_a_gate_says_its_condition_in_words() -> None:
    gates = (
        Gate("roc_auc", at_least=0.7),
        Gate("roc_auc", against="champion", at_most_worse=0.01),
        Gate("roc_auc", against="baseline", at_least_better=0.0, confident=True),
    )
    assert [str(gate) for gate in gates] == [
        "roc_auc at least 0.7",
        "roc_auc at most 0.01 worse than the champion",
        "roc_auc at least 0.0 better than the baseline, with confidence",
    ]


def test_the_baseline_and_a_suspected_leak_are_named_in_the_reason() -> None:
    difference = {"baseline": {"roc_auc": Interval(0.001, -0.01, 0.012)}}
    evidence = GateEvidence(
        {"roc_auc": 0.99},
        difference,
        DAY,
        descriptions={"baseline": "days in bins"},
        suspects={"days": 0.985, "refund": 0.999},
    )
    (gate,) = decide([Gate("roc_auc", against="baseline", at_least_better=0.01)], evidence).numbers
    assert gate.reason.startswith("roc_auc is +0.0010 against the baseline (days in bins) (-0.0100 to +0.0120)")
    for gates, ship in (([Gate("roc_auc", at_least=0.5)], True), ([Gate("roc_auc", at_least=0.999)], False)):
        verdict = decide(gates, evidence)
        assert (verdict.action is GateAction.SHIP) == ship
        assert verdict.reason.endswith(
            "; suspected leak: refund alone ranks with roc_auc 0.9990 and 1 more: does it know the label?"
        )


def test_a_single_feature_that_is_too_good_can_block() -> None:
    gate = Gate("single_feature_roc_auc", at_most=0.98)
    assert not ships([gate], measured("single_feature_roc_auc", 0.985))
    assert ships([gate], measured("single_feature_roc_auc", 0.84))
