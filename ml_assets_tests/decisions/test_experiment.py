"""How an A/B test ends: when a winner may be named, and when nothing may be."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import decisions_simulated as simulated
from ml_assets.decisions.experiment import ExperimentAction, ExperimentEvidence, ExperimentPolicy, decide
from ml_assets.decisions.means import Difference
from ml_assets.decisions.sample_ratio import SampleCounts

START = datetime(2026, 6, 1, tzinfo=UTC)
UNITS = SampleCounts((5_000, 5_000), (0.5, 0.5))
CLEAR, OPEN = Difference(0.03, 0.004, 10_000), Difference(0.005, 0.004, 10_000)


def after(days: float, difference: Difference = CLEAR, units: SampleCounts = UNITS, **policy: float) -> tuple[str, str]:
    evidence = ExperimentEvidence(START, units, {"b": difference})
    verdict = decide(ExperimentPolicy(**policy), evidence, START + timedelta(days=days))  # type: ignore[arg-type]
    return verdict.action.value, verdict.reason


def test_a_clear_difference_wins_after_the_minimum() -> None:
    assert after(6) == ("continue", "1 d left of the minimum of 7 d")
    action, reason = after(7)
    assert (action, reason[:18]) == ("winner", "b is better: +0.03")


def test_a_winner_needs_its_units() -> None:
    action, reason = after(8, units=SampleCounts((480, 520), (0.5, 0.5)))
    assert (action, reason) == ("continue", "480 of 1,000 units in the smallest variant")


def test_where_less_is_better_a_larger_mean_loses() -> None:
    action, reason = after(14, direction=-1)
    assert action == "none"
    assert reason.startswith("b is worse")


def test_an_open_difference_goes_on_and_ends_without_a_winner() -> None:
    assert after(13, OPEN)[0] == "continue"
    assert after(14, OPEN)[0] == "none"


def test_the_last_day_sees_what_the_sequence_did_not() -> None:
    modest = Difference(0.01, 0.004, 10_000)
    assert after(13.9, modest)[0] == "continue"
    assert after(14, modest)[0] == "winner"


def test_the_units_that_an_effect_takes_are_said() -> None:
    _, reason = after(10, OPEN, detect=0.01)
    assert "units a variant find +0.01" in reason


def test_units_that_do_not_follow_the_shares_block_a_winner() -> None:
    action, reason = after(8, units=SampleCounts((5_000, 4_300), (0.5, 0.5)))
    assert action == "error"
    assert reason.startswith("sample-ratio mismatch: 5,000 and 4,300 units")


def test_evidence_without_a_value_waits() -> None:
    evidence = ExperimentEvidence(START, UNITS)
    assert decide(ExperimentPolicy(), evidence, START + timedelta(days=8)).reason == "no value has come yet"
    ended = decide(ExperimentPolicy(), evidence, START + timedelta(days=14))
    assert ended.action is ExperimentAction.NONE


@pytest.mark.parametrize(("rates", "most"), [((0.1, 0.1), 6), ((0.1, 0.125), 30)])
def test_simulated_tests_end_as_they_should(rates: tuple[float, float], most: int) -> None:
    ended = simulated.tested(1, 30, rates)
    winners = sum(action == "winner" for action, _ in ended)
    assert winners <= most if rates[0] == rates[1] else winners >= 28
    assert sum(holds for _, holds in ended) >= 25
