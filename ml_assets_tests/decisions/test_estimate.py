"""Estimated performance: unbiased and with honest intervals where scores are calibrated, and only there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from ml_assets.decisions.estimate import _metrics, estimate_metrics

RNG = np.random.default_rng(11)
SCORES = st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=2, max_size=30)


@given(SCORES, st.randoms(use_true_random=False))
def test_the_rank_sum_is_the_share_of_pairs_in_order(scores: list[float], random: object) -> None:
    p = np.array(scores)
    labels = np.array([random.random() < 0.5 for _ in scores])  # type: ignore[attr-defined]
    area, *_ = _metrics(labels, p, rankdata(p))
    wins = [(a > b) + (a == b) / 2 for a in p[labels] for b in p[~labels]]
    assert area == pytest.approx(np.mean(wins)) if wins else np.isnan(area)


def test_of_calibrated_scores_the_interval_holds_the_realised_metric_as_often_as_it_says() -> None:
    names = ("roc_auc", "brier", "log_loss", "base_rate")
    held = np.zeros(4)
    for trial in range(200):
        p = RNG.beta(1, 4, 400)
        found = estimate_metrics(p, seed=trial, draws=200)
        realised = _metrics(RNG.random(len(p)) < p, p, rankdata(p))
        held += [found[name].low <= value <= found[name].high for name, value in zip(names, realised, strict=True)]
    assert (held / 200 > 0.90).all(), held
    assert (held / 200 < 0.99).all(), held


def test_many_rows_leave_little_doubt() -> None:
    few, many = (estimate_metrics(RNG.beta(1, 4, rows), seed=0, draws=100)["roc_auc"] for rows in (300, 30_000))
    assert many.high - many.low < (few.high - few.low) / 5
    assert many.low <= many.estimate <= many.high


def test_scores_that_are_not_calibrated_deceive_it() -> None:
    p = RNG.beta(1, 4, 20_000)
    overconfident = np.clip(2 * p, 0, 0.999)
    labels = RNG.random(len(p)) < p
    _, brier, _, rate = _metrics(labels, overconfident, rankdata(overconfident))
    found = estimate_metrics(overconfident, seed=0, draws=50)
    assert not found["base_rate"].low <= rate <= found["base_rate"].high
    assert not found["brier"].low <= brier <= found["brier"].high


def test_the_same_seed_gives_the_same_digits() -> None:
    p = RNG.beta(2, 3, 100)
    assert estimate_metrics(p, seed=3, draws=20) == estimate_metrics(p, seed=3, draws=20)


@pytest.mark.parametrize("scores", [[], [0.5, 1.2], [0.5, np.nan], [[0.1, 0.2]]])
def test_what_is_no_probability_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="are not probabilities"):
        estimate_metrics(np.array(scores), seed=0)


def test_rows_that_can_hardly_have_both_labels_have_no_estimate() -> None:
    with pytest.raises(ValueError, match="wait for more rows"):
        estimate_metrics(np.full(20, 1e-6), seed=0)
