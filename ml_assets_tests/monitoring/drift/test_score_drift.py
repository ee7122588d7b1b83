import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.monitoring.drift.score_drift import EntityScores, change, compare
from ml_assets.spec.drift import DriftSpec


def _scored(mean: float, seed: int, rows: int = 2000) -> EntityScores:
    scores = np.random.default_rng(seed).beta(10 * mean, 10 * (1 - mean), rows)
    return EntityScores(scores, np.arange(rows) + 10_000 * seed)


def test_scores_that_moved_are_told_from_those_that_did_not() -> None:
    still, moved = (compare(_scored(0.3, 1), _scored(mean, 2), 0.5, DriftSpec()) for mean in (0.3, 0.45))
    assert (still.drifted, moved.drifted) == (False, True)
    assert still.mean.low < 0 < still.mean.high
    assert moved.mean.low < 0.15 < moved.mean.high
    assert moved.share is not None
    assert moved.share.low > 0.1
    assert moved.reason == f"psi {moved.psi:.3g} ≥ 0.2"


def test_without_a_threshold_there_is_no_share_and_without_a_limit_no_verdict() -> None:
    found = compare(_scored(0.3, 1), _scored(0.6, 2), None, DriftSpec(scores=None))
    assert (found.share, found.drifted) == (None, None)
    few = compare(_scored(0.3, 1), _scored(0.6, 2, rows=50), None, DriftSpec())
    assert few.drifted is None
    assert few.reason == "too few scores to tell: 50, min_rows is 200"


@pytest.mark.parametrize(("dates", "both"), [(1, False), (5, False), (5, True)])
def test_the_interval_covers_the_truth_however_often_an_entity_comes(dates: int, both: bool) -> None:
    """95 % of 400 intervals, with entities that differ and come back: at several dates, and in both samples."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        traits, others = rng.normal(size=(2, 60))
        before = EntityScores((traits[:, None] + rng.normal(size=(60, dates))).ravel(), np.repeat(np.arange(60), dates))
        now = traits if both else others
        after = EntityScores(now + rng.normal(size=60) + 0.2, np.arange(60) + (0 if both else 1000))
        found = change(before, after)
        covered += found.low <= 0.2 <= found.high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_difference_lies_in_its_interval(before: list[float], after: list[float]) -> None:
    samples = [EntityScores(np.array(scores), np.arange(len(scores))) for scores in (before, after)]
    found = change(samples[0], samples[1])
    assert found.low <= found.difference <= found.high
