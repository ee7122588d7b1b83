"""The next step of a rollout: what is believed, what is breached, what is still lacking, what is proven."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import decisions_simulated as simulated
from ml_assets.decisions.guardrail import Guardrail, GuardrailEvidence, GuardrailStatus, judge_guardrail
from ml_assets.decisions.rates import RateStage
from ml_assets.decisions.rollout import RolloutAction, RolloutEvidence, RolloutPolicy, decide, reachable_sample
from ml_assets.decisions.sample_ratio import SampleCounts

START = datetime(2026, 6, 1, tzinfo=UTC)
LATER = START + timedelta(hours=2)
ERRORS = Guardrail("errors", at_most_worse=0.01)
POLICY = RolloutPolicy(guardrails=(ERRORS,))
TENTH = SampleCounts((9_000, 1_000), (0.9, 0.1))
HALF = SampleCounts((20_000, 20_000), (0.5, 0.5))


def errors(*stages: RateStage) -> dict[str, GuardrailEvidence]:
    return {"errors": GuardrailEvidence((stages,), 0.01)}


QUIET = RolloutEvidence(0, START, (TENTH,), errors(RateStage(100, 10, 0.1)))


def test_a_quiet_stage_advances() -> None:
    verdict = decide(POLICY, QUIET, LATER)
    assert (verdict.action, verdict.reason) == (
        RolloutAction.ADVANCE,
        "1,000 units in 2 h at a share of 10 %: on to 50 %",
    )


def test_a_stage_waits_for_its_units_and_its_time() -> None:
    few = replace(QUIET, exposures=(SampleCounts((4_500, 500), (0.9, 0.1)),))
    verdict = decide(POLICY, few, START + timedelta(minutes=15))
    assert verdict.action is RolloutAction.HOLD
    assert verdict.reason == "500 of 1,000 units seen by the challenger; 45 min left of the bake of 1 h"


def test_where_few_entities_are_known_a_smaller_sample_is_enough_and_is_said() -> None:
    stage = SampleCounts((2_700, 270), (0.9, 0.1))
    few = RolloutEvidence(0, START, (stage,), entities=3_000)
    verdict = decide(RolloutPolicy(), few, START + timedelta(hours=2))
    assert verdict.action is RolloutAction.ADVANCE
    assert verdict.reason == (
        "270 units in 2 h at a share of 10 % (10 % of 3,000 entities are 300, too few for a sample of 1,000): "
        "on to 50 %"
    )
    many = replace(few, entities=20_000)
    assert (
        decide(RolloutPolicy(), many, START + timedelta(hours=2)).reason == "270 of 1,000 units seen by the challenger"
    )
    assert reachable_sample(RolloutPolicy(), replace(few, entities=3)) == 1


def test_a_breach_rolls_back_before_anything_is_waited_for() -> None:
    bad = replace(QUIET, exposures=(SampleCounts((450, 50), (0.9, 0.1)),), guardrails=errors(RateStage(60, 30, 0.1)))
    verdict = decide(POLICY, bad, START + timedelta(minutes=1))
    assert verdict.action is RolloutAction.ROLL_BACK
    assert "30 of 60 units are the challenger's, 6 if it were equal" in verdict.reason


def test_units_that_do_not_follow_the_shares_decide_nothing() -> None:
    lost = replace(
        QUIET, exposures=(SampleCounts((9_000, 600), (0.9, 0.1)),), guardrails=errors(RateStage(60, 30, 0.1))
    )
    verdict = decide(POLICY, lost, LATER)
    assert verdict.action is RolloutAction.ERROR
    assert verdict.reason.startswith("sample-ratio mismatch: 9,000 and 600 units at shares of 90% and 10%")


def test_evidence_that_cannot_be_believed_decides_nothing() -> None:
    verdict = decide(POLICY, replace(QUIET, faults=("the event store cannot be read",)), LATER)
    assert (verdict.action, verdict.reason) == (RolloutAction.ERROR, "the event store cannot be read")


def test_a_metric_that_was_not_measured_is_not_passed() -> None:
    verdict = decide(POLICY, replace(QUIET, guardrails={}), LATER)
    assert (verdict.action, verdict.reason) == (RolloutAction.HOLD, "errors was not measured")


def test_the_last_stage_waits_until_the_margin_is_proven() -> None:
    stages = RateStage(30, 3, 0.1), RateStage(10, 5, 0.5)
    verdict = decide(POLICY, RolloutEvidence(1, START, (TENTH, HALF), errors(*stages)), LATER)
    assert verdict.action is RolloutAction.HOLD
    assert "more units prove it if nothing differs" in verdict.reason
    stages = RateStage(100, 10, 0.1), RateStage(400, 200, 0.5)
    verdict = decide(POLICY, RolloutEvidence(1, START, (TENTH, HALF), errors(*stages)), LATER)
    assert verdict.action is RolloutAction.PROMOTE


def test_the_units_that_are_lacking_prove_the_margin() -> None:
    evidence = GuardrailEvidence(((RateStage(100, 10, 0.1),),), 0.01)
    result = judge_guardrail(ERRORS, evidence, 0.5, 0.05, 0.05)
    assert result.units is not None
    events = round(result.units * 0.01)
    more = GuardrailEvidence(((RateStage(100, 10, 0.1), RateStage(events, round(events / 2), 0.5)),), 0.01)
    assert judge_guardrail(ERRORS, more, 0.5, 0.05, 0.05).status is GuardrailStatus.PROVEN


def test_disagreement_is_told_in_units_that_both_answered() -> None:
    evidence = GuardrailEvidence(((RateStage(500, 60, 0.04),),), 0.04)
    result = judge_guardrail(Guardrail("disagreement", at_most_times=2), evidence, 0.1, 0.05, 0.05)
    assert result.reason == (
        "disagreement: 60 of 500 units are decided differently, at most 4.0% are tolerated; "
        "worse than 2 times what is expected"
    )


@pytest.mark.parametrize("then", [RolloutAction.HOLD, RolloutAction.ROLL_BACK])
def test_patience_ends_as_the_policy_says(then: RolloutAction) -> None:
    few = replace(QUIET, exposures=(SampleCounts((900, 100), (0.9, 0.1)),))
    verdict = decide(replace(POLICY, then=then), few, START + timedelta(days=8))
    assert verdict.action is then
    assert verdict.reason.startswith("nothing proven within 7 d: 100 of 1,000 units")


@pytest.mark.parametrize("stages", [(), (0.5,), (0.5, 0.1, 1.0), (0.0, 1.0), (0.5, 0.5, 1.0)])
def test_stages_that_do_not_ascend_to_one_are_refused(stages: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares above 0 that ascend"):
        RolloutPolicy(stages=stages)


def test_other_mistakes_of_a_policy_are_refused() -> None:
    with pytest.raises(ValueError, match="hold or roll_back"):
        RolloutPolicy(then=RolloutAction.PROMOTE)
    with pytest.raises(ValueError, match="either at_most_worse or at_most_times"):
        Guardrail("errors")
    with pytest.raises(ValueError, match="cannot be the challenger's"):
        RateStage(3, 4, 0.1)
    with pytest.raises(ValueError, match="compares nothing"):
        RateStage(3, 1, 1.0)


def test_simulated_rollouts_end_as_they_should() -> None:
    """Few runs; `python -m benchmarks decisions` measures the rates."""
    assert sum(action == "promote" for action, *_ in simulated.rolled_out(1, 10)) >= 9
    assert {action for action, *_ in simulated.rolled_out(2, 10, errors=0.05)} == {"roll_back"}
    assert {action for action, *_ in simulated.rolled_out(3, 10, slower=2.0)} == {"roll_back"}
    assert {action for action, *_ in simulated.rolled_out(4, 10, disagreement=0.18)} == {"roll_back"}
    assert {(action, look) for action, look, _ in simulated.rolled_out(5, 10, missing=1.0)} == {("roll_back", 1)}


def test_simulated_looks_are_seldom_wrong() -> None:
    wrong = simulated.found_at(1, 60, 60, 1_000, (0.05, 0.05))
    assert sum(look is not None for look in wrong) <= 8  # of 60 at 5 %: more in 1 of 10,000
    assert simulated.ramp(2, 30) <= 0.2
    assert simulated.ramp(2, 30, simulated.z_test) == 1.0
    assert all(simulated.found_at(3, 30, 60, 1_000, (0.05, 0.09)))


def test_a_model_that_never_fails_is_proven_by_its_own_units() -> None:
    """Without an event nothing can be compared: such a rollout would have been held for ever."""
    none = GuardrailEvidence(((RateStage(0, 0, 0.1),),), 1e-5)
    kept = judge_guardrail(Guardrail("errors", at_most_worse=0.005), none, 0.5, 0.0125, 0.05)
    assert kept.status is GuardrailStatus.OPEN
    few, enough = (
        judge_guardrail(
            Guardrail("errors", at_most_worse=0.005), replace(none, challenger_units=units), 0.5, 0.0125, 0.05
        )
        for units in (500, 1_200)
    )
    assert few.status is GuardrailStatus.OPEN
    assert few.units is not None
    assert 1_000 < few.units < 1_400
    assert enough.status is GuardrailStatus.PROVEN


def test_a_failing_challenger_is_not_proven_by_its_own_units() -> None:
    failing = GuardrailEvidence(((RateStage(30, 12, 0.1),),), 0.01, 1_200)
    assert (
        judge_guardrail(Guardrail("errors", at_most_worse=0.005), failing, 0.1, 0.0125, 0.05).status
        is not GuardrailStatus.PROVEN
    )
