"""What two versions lose on the same rows confirms a promotion, or takes it back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml_assets.decisions.guardrail import GuardrailStatus
from ml_assets.decisions.means import Moments
from ml_assets.decisions.quality import (
    LateAction,
    PairedLosses,
    QualityGuardrail,
    decide_late,
    judge_quality,
)
from ml_assets.decisions.rollout import RolloutAction, decide
from ml_assets_tests.decisions.test_rollout import LATER, POLICY, QUIET

LIMIT = QualityGuardrail("log_loss", 0.01)
NOW, END = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)


def losses(mean: float, rows: int = 5_000, spread: float = 0.1, seed: int = 1) -> PairedLosses:
    values = np.random.default_rng(seed).normal(0, spread, rows)
    values += mean - values.mean()
    return PairedLosses(Moments(rows, float(values.sum()), float((values**2).sum())), int((values != 0).sum()))


@pytest.mark.parametrize(
    ("evidence", "status", "words"),
    [
        (None, GuardrailStatus.UNKNOWN, "log_loss: 0 of 1,000 rows that both answered have a label"),
        (losses(0.5, 999), GuardrailStatus.UNKNOWN, "log_loss: 999 of 1,000 rows that both answered have a label"),
        (
            replace(losses(0.5), different=49),
            GuardrailStatus.UNKNOWN,
            "log_loss: 5,000 of 1,000 rows that both answered have a label, 49 of 50 of them were judged differently",
        ),
        (losses(0.03), GuardrailStatus.BREACHED, "evidently worse, and not proven to be at most 0.01 worse"),
        (losses(0.0), GuardrailStatus.PROVEN, "proven to be at most 0.01 worse"),
        (losses(-0.05), GuardrailStatus.PROVEN, "proven to be at most 0.01 worse"),
        (losses(0.006, spread=0.3), GuardrailStatus.OPEN, "at most 0.01 worse is neither proven nor refuted"),
        (losses(0.004, 200_000), GuardrailStatus.PROVEN, "proven to be at most 0.01 worse"),
    ],
)
def test_a_limit_of_quality_is_judged(evidence: PairedLosses | None, status: GuardrailStatus, words: str) -> None:
    result = judge_quality(LIMIT, evidence, 0.0125, 0.05)
    assert result.status is status
    assert result.reason.endswith(words)


def late(evidence: PairedLosses | None, now: datetime = NOW) -> LateAction:
    known = {} if evidence is None else {"log_loss": evidence}
    return decide_late([LIMIT], known, 0.0125, 0.05, end=END, now=now).action


def test_a_promotion_is_confirmed_taken_back_or_waited_for() -> None:
    assert late(losses(0.03)) is LateAction.ROLL_BACK
    assert late(losses(0.0)) is LateAction.CONFIRM
    assert late(losses(0.006, spread=0.3)) is LateAction.HOLD
    assert late(None) is LateAction.HOLD


def test_what_is_not_proven_when_all_labels_are_known_is_said() -> None:
    verdict = decide_late([LIMIT], {}, 0.0125, 0.05, end=END, now=END + timedelta(days=1))
    assert verdict.action is LateAction.CLOSE
    assert verdict.reason.startswith("not known, and no more labels will come: log_loss: 0 of 1,000 rows")


def test_a_required_quality_holds_the_last_stage_and_a_breach_rolls_back() -> None:
    wanted = replace(POLICY, stages=(0.1, 1.0), guardrails=(), quality=(replace(LIMIT, required=True),))
    assert decide(wanted, QUIET, LATER).action is RolloutAction.HOLD
    assert decide(replace(wanted, quality=(LIMIT,)), QUIET, LATER).action is RolloutAction.PROMOTE
    assert decide(wanted, replace(QUIET, quality={"log_loss": losses(0.0)}), LATER).action is RolloutAction.PROMOTE
    assert decide(wanted, replace(QUIET, quality={"log_loss": losses(0.05)}), LATER).action is RolloutAction.ROLL_BACK
    assert wanted.alpha == 0.05
    assert replace(POLICY, quality=(LIMIT,)).alpha == 0.025


def test_looks_at_equal_versions_seldom_accuse() -> None:
    """60 looks at 300 equal pairs of versions, level 0.05."""
    rng, accused = np.random.default_rng(7), 0
    for _ in range(300):
        values = rng.normal(0, 0.3, (60, 200)) * (rng.random((60, 200)) < 0.5)
        rows, total, squares, different = 0, 0.0, 0.0, 0
        for batch in values:
            rows, total = rows + len(batch), total + float(batch.sum())
            squares, different = squares + float((batch**2).sum()), different + int((batch != 0).sum())
            result = judge_quality(LIMIT, PairedLosses(Moments(rows, total, squares), different), 0.05, 0.05)
            if result.status is GuardrailStatus.BREACHED:
                accused += 1
                break
    assert accused <= 300 * 0.05 + 3 * (300 * 0.05 * 0.95) ** 0.5
