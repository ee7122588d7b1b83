"""What follows where the evidence is doubtful: nothing is decided, a rollback, or a word of warning, as declared."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ml_assets.decisions.doubts import ControlEvidence, Reaction, Reactions, doubt_control
from ml_assets.decisions.rates import RateStage
from ml_assets.decisions.rollout import SHADOW_STAGE, RolloutAction, RolloutEvidence, decide
from ml_assets.decisions.sample_ratio import SampleCounts
from ml_assets_tests.decisions.test_rollout import LATER, POLICY, QUIET, START, errors

LOST = replace(QUIET, exposures=(SampleCounts((9_000, 600), (0.9, 0.1)),), sampled=1_000)
TWICE = replace(QUIET, repeated=3)
SILENT = replace(QUIET, idle=timedelta(hours=25))


@pytest.mark.parametrize(
    ("evidence", "name", "sentence", "action"),
    [
        (LOST, "sample_ratio", "sample-ratio mismatch", RolloutAction.ERROR),
        (TWICE, "multiple_exposures", "both variants answered 3 units of this stage", RolloutAction.ERROR),
        (SILENT, "no_traffic", "no traffic: nobody was exposed for 1 day, 1:00:00", RolloutAction.HOLD),
    ],
)
def test_a_doubt_has_its_reaction(evidence: RolloutEvidence, name: str, sentence: str, action: RolloutAction) -> None:
    held = decide(POLICY, evidence, LATER)
    assert held.action is action
    assert held.reason.startswith(sentence)
    harmful = decide(replace(POLICY, reactions=Reactions(**{name: Reaction.ROLL_BACK})), evidence, LATER)
    assert harmful.action is RolloutAction.ROLL_BACK
    assert harmful.reason.startswith(sentence)
    warned = decide(replace(POLICY, reactions=Reactions(**{name: Reaction.WARN})), evidence, LATER)
    assert warned.action is RolloutAction.ADVANCE
    assert sentence in warned.reason


def test_a_broken_control_decides_nothing_and_a_breach_still_rolls_back() -> None:
    broken = replace(QUIET, control=ControlEvidence(2_000, 100, 0.015))
    verdict = decide(POLICY, broken, LATER)
    assert verdict.action is RolloutAction.ERROR
    assert verdict.reason.startswith("the control is worse than before the rollout: 5.0% of its 2,000 answers")
    worse_still = replace(broken, guardrails=errors(RateStage(60, 30, 0.1)))
    assert decide(POLICY, worse_still, LATER).action is RolloutAction.ROLL_BACK


@pytest.mark.parametrize("control", [None, ControlEvidence(0, 0, 0.01), ControlEvidence(10_000, 110, 0.01)])
def test_a_control_as_before_raises_no_doubt(control: ControlEvidence | None) -> None:
    assert doubt_control(control) is None


def test_a_stage_in_shadow_waits_for_its_time_and_judges_what_needs_no_traffic() -> None:
    policy = replace(POLICY, shadow=timedelta(hours=6))
    unseen = RolloutEvidence(SHADOW_STAGE, START, (), errors(RateStage(60, 30, 0.1)))
    early = decide(policy, unseen, LATER)
    assert (early.action, early.reason) == (RolloutAction.HOLD, "4 h left of the answers in shadow of 6 h")
    late = decide(policy, unseen, START + timedelta(hours=6))
    assert (late.action, late.reason) == (RolloutAction.ADVANCE, "6 h of answers in shadow: on to 10 %")


def test_returning_units_count_for_the_sample_of_a_stage() -> None:
    returning = replace(QUIET, exposures=(SampleCounts((90, 10), (0.9, 0.1)),), sampled=1_000)
    assert decide(POLICY, returning, LATER).action is RolloutAction.ADVANCE
