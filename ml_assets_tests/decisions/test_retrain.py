"""When to retrain: sure at once, suspected before detected, and never for what is not known."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.retrain import (
    Action,
    Policy,
    RetrainEvidence,
    RetrainVerdict,
    counts,
    decide,
    drifted_importance,
)

DAY = date(2026, 6, 7)
WEEK = timedelta(weeks=1)
STANDING = RetrainEvidence(DAY, trained=DAY - 10 * WEEK, rows=1000, evaluated=0.8)
ALL = Policy(
    rows=0.5, drift=0.3, floor=0.7, drop=0.05, estimate=0.05, age=52 * WEEK, every=26 * WEEK, cooldown=4 * WEEK
)
shares = st.floats(0, 1)


def walk(policy: Policy, evidences: list[RetrainEvidence]) -> list[RetrainVerdict]:
    """Verdicts of consecutive as-of dates, each with the counts of the one before."""
    found, before = list[RetrainVerdict](), dict[str, int]()
    for number, evidence in enumerate(evidences):
        told = replace(evidence, as_of=DAY + number * WEEK, before=before)
        found.append(decide(policy, told))
        before = counts(told, found[-1])
    return found


def actions(verdicts: list[RetrainVerdict]) -> list[str]:
    return [verdict.action.value for verdict in verdicts]


def test_without_a_model_there_is_nothing_to_wait_for() -> None:
    verdict = decide(Policy(), RetrainEvidence(DAY, trained=None))
    assert (verdict.action, verdict.reason) == (Action.RETRAIN, "there is no model yet")


def test_a_candidate_that_did_not_ship_is_not_trained_again_at_once() -> None:
    failed = RetrainEvidence(DAY, trained=None, attempted=DAY - WEEK, drifted=1.0, before={"drift": 5})
    assert decide(replace(ALL, after=1), failed).action is Action.WAIT
    assert "cooldown lasts until 2026-06-28" in decide(ALL, failed).reason


def test_what_is_not_known_triggers_nothing() -> None:
    verdict = decide(ALL, RetrainEvidence(DAY, trained=DAY - WEEK))
    assert verdict.action is Action.WAIT
    assert {trigger.name for trigger in verdict.numbers} == {"age", "schedule"}
    assert decide(Policy(), STANDING).reason == "no trigger could be asked"


def test_one_odd_week_retrains_nothing() -> None:
    odd, calm = replace(STANDING, drifted=0.9), replace(STANDING, drifted=0.0)
    assert actions(walk(ALL, [odd, calm, odd, calm])) == ["suspected", "wait", "suspected", "wait"]
    assert actions(walk(ALL, [odd, odd])) == ["suspected", "retrain"]


def test_a_week_without_a_report_neither_confirms_nor_clears_a_suspicion() -> None:
    odd, silent = replace(STANDING, drifted=0.9), STANDING
    assert actions(walk(ALL, [odd, silent, odd])) == ["suspected", "wait", "retrain"]


def test_calendar_and_counts_need_no_second_look() -> None:
    assert decide(ALL, replace(STANDING, new_rows=500)).action is Action.RETRAIN
    assert decide(ALL, replace(STANDING, trained=DAY - 52 * WEEK)).action is Action.RETRAIN
    assert decide(ALL, replace(STANDING, trained=DAY - 26 * WEEK)).reason == (
        "the last training was 182 days ago, limit 182"
    )


@given(st.integers(0, 3), shares, shares)
def test_nothing_retrains_during_the_cooldown(weeks: int, drifted: float, share: float) -> None:
    fresh = replace(
        STANDING, trained=DAY - weeks * WEEK, drifted=drifted, new_rows=int(share * 1000), before={"drift": 3}
    )
    assert decide(ALL, fresh).action is not Action.RETRAIN


@given(shares, shares, st.integers(0, 3))
def test_more_drift_never_speaks_against_a_retraining(one: float, two: float, before: int) -> None:
    less, more = sorted((one, two))
    order = [Action.WAIT, Action.SUSPECTED, Action.RETRAIN]
    first, second = (
        decide(ALL, replace(STANDING, drifted=share, before={"drift": before})).action for share in (less, more)
    )
    assert order.index(first) <= order.index(second)


@given(st.floats(0.3, 1), st.floats(0, 0.3), st.floats(0.3, 1), st.integers(1, 4))
def test_a_metric_is_accused_only_by_the_whole_interval(
    estimate: float, half: float, evaluated: float, after: int
) -> None:
    policy = Policy(drop=0.05, after=after)
    measured = Interval(estimate, estimate - half, estimate + half)
    (trigger,) = decide(policy, replace(STANDING, evaluated=evaluated, measured=measured)).numbers
    assert trigger.fired == (evaluated - (estimate + half) > 0.05)
    mirrored = Interval(-estimate, -estimate - half, -estimate + half)
    (other,) = decide(policy, replace(STANDING, evaluated=-evaluated, measured=mirrored, direction=-1)).numbers
    assert other.fired == trigger.fired
    assert other.value == pytest.approx(trigger.value)


def test_a_reason_holds_the_numbers() -> None:
    bad = replace(STANDING, measured=Interval(0.6, 0.55, 0.65), drifted=0.4)
    verdict = decide(ALL, bad)
    assert verdict.action is Action.SUSPECTED
    assert verdict.reason == (
        "drifted features hold 40% of the importance, limit 30% (1 of 2 in a row); "
        "the measured metric is 0.6 (0.55 to 0.65), limit 0.7 (1 of 2 in a row); "
        "the measured metric is 0.6 (0.55 to 0.65), 0.2 worse than the 0.8 of the evaluation, limit 0.05 "
        "(1 of 2 in a row)"
    )


def test_drift_weighs_what_the_model_leans_on() -> None:
    drifted = {"a": True, "b": False, "noise": True}
    assert drifted_importance(drifted, {"a": 0.1, "b": 0.3, "noise": -0.2}) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="none of 2 features has an importance above 0"):
        drifted_importance({"a": True, "b": False}, {"a": 0.0})


def test_a_policy_that_suspects_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="after 0"):
        Policy(after=0)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_false_alarms_fall_with_the_power_of_the_dates_in_a_row(after: int) -> None:
    """Independent dates of which each is odd with probability p: k in a row begin at a date with (1 - p) p^k."""
    p, dates = 0.2, 20_000
    odd = np.random.default_rng(7).random(dates) < p
    policy, alarms = Policy(drift=0.3, after=after), 0
    before: dict[str, int] = {}
    for day in odd:
        evidence = replace(STANDING, drifted=0.9 if day else 0.0, before=before)
        verdict = decide(policy, evidence)
        before = counts(evidence, verdict)
        alarms += verdict.action is Action.RETRAIN and before["drift"] == after
    expected = (1 - p) * p**after
    assert alarms / dates == pytest.approx(expected, abs=4 * (expected / dates) ** 0.5)
