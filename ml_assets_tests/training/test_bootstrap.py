from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from ml_assets.decisions.interval import Interval
from ml_assets.errors import TrainingError
from ml_assets.training.bootstrap import ScoredModel, clusters, compared_metrics, paired_intervals
from ml_assets.training.metrics import checked_scores, scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def compare(y: Any, *told: Any, metrics: Any = None, **options: Any) -> dict[str, Interval]:
    mine, theirs, groups = told
    entities = clusters(groups, len(y))
    models = [ScoredModel.of(*checked_scores(y, p), entities) for p in (mine, theirs)]
    return paired_intervals(models, metrics or compared_metrics(), **options)


def paired(metric: str, y: Any, *told: Any, **options: Any) -> Interval:
    return compare(y, *told, metrics=[metric], **options)[metric]


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def sample(seed: int, entities: int = 100, dates: int = 5) -> tuple[Floats, Floats, Floats, Ints]:
    """Labels, two score vectors, entities: an entity keeps its risk and each model's error over the dates."""
    rng = np.random.default_rng(seed)
    risk, one, two = rng.normal(size=(3, entities))
    groups = np.repeat(np.arange(entities), dates)
    y = (rng.random(len(groups)) < sigmoid(1.5 * risk[groups])).astype(np.float64)
    mine, theirs = (sigmoid(1.5 * risk[groups] + error[groups]) for error in (one, 1.3 * two))
    return y, mine, theirs, groups


def covered(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def test_the_estimate_is_the_difference_of_the_metrics() -> None:
    y, mine, theirs, groups = sample(0)
    one, two = scores(y, mine), scores(y, theirs)
    for metric, interval in compare(y, mine, theirs, groups, resamples=50, seed=1).items():
        assert interval.estimate == pytest.approx(one[metric] - two[metric]), metric
        assert interval.low <= interval.high


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 40))
def test_a_draw_scores_like_the_rows_of_the_drawn_entities(seed: int, levels: int) -> None:
    """The weighted metrics against scikit-learn's, with ties."""
    y, mine, theirs, groups = sample(seed, 30, 3)
    mine, theirs = np.round(mine * levels) / levels, np.round(theirs * levels) / levels
    found = compare(y, mine, theirs, groups, resamples=1, seed=seed)
    draw = np.random.default_rng(seed).integers(30, size=30)
    rows = np.concatenate([np.flatnonzero(groups == entity) for entity in draw])
    for metric, of in {
        "roc_auc": roc_auc_score,
        "pr_auc": average_precision_score,
        "log_loss": log_loss,
        "brier": brier_score_loss,
    }.items():
        expected = of(y[rows], mine[rows]) - of(y[rows], theirs[rows])
        assert found[metric].low == found[metric].high == pytest.approx(expected, abs=1e-9), metric
    lifts = [scores(y[rows], p[rows])["lift_at_10"] for p in (mine, theirs)]
    assert found["lift_at_10"].low == pytest.approx(lifts[0] - lifts[1], abs=1e-9)


@pytest.mark.parametrize("metric", compared_metrics())
def test_identical_scores_differ_by_exactly_nothing(metric: str) -> None:
    y, mine, _, groups = sample(0)
    assert paired(metric, y, mine, mine, groups, resamples=100, seed=1) == Interval(0, 0, 0)


@pytest.mark.parametrize("metric", compared_metrics())
def test_the_other_way_round_is_the_negative(metric: str) -> None:
    y, mine, theirs, groups = sample(0)
    one = paired(metric, y, mine, theirs, groups, resamples=100, seed=1)
    two = paired(metric, y, theirs, mine, groups, resamples=100, seed=1)
    assert (one.estimate, one.low, one.high) == pytest.approx((-two.estimate, -two.high, -two.low))


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "lift_at_10"])
def test_a_monotone_transform_of_the_scores_changes_no_ranking(metric: str) -> None:
    y, mine, theirs, groups = sample(0)
    one = paired(metric, y, mine, theirs, groups, resamples=100, seed=1)
    assert paired(metric, y, mine**3, np.sqrt(theirs), groups, resamples=100, seed=1) == one


def test_the_same_seed_gives_the_same_digits_and_another_one_does_not() -> None:
    y, mine, theirs, groups = sample(0)
    one, again, other = (compare(y, mine, theirs, groups, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["roc_auc"] != other["roc_auc"]


def test_the_names_of_entities_do_not_matter() -> None:
    y, mine, theirs, groups = sample(0)
    names = np.char.add("customer-", np.char.zfill(groups.astype(str), 5))
    one, two = (compare(y, mine, theirs, each, resamples=50, seed=1) for each in (groups, names))
    assert one == two


def test_more_confidence_is_a_wider_interval() -> None:
    y, mine, theirs, groups = sample(0)
    narrow, wide = (
        paired("roc_auc", y, mine, theirs, groups, resamples=300, confidence=confidence, seed=1)
        for confidence in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_rows_of_one_entity_are_not_independent() -> None:
    """Every row ten times over is no new evidence: by entity the interval stays, by row it shrinks."""
    y, mine, theirs, groups = sample(0, 200, 1)
    y, mine, theirs = (np.repeat(values, 10) for values in (y, mine, theirs))
    groups = np.repeat(groups, 10)
    by_entity = paired("brier", y, mine, theirs, groups, seed=1)
    by_row = paired("brier", y, mine, theirs, np.arange(len(y)), seed=1)
    ratio = (by_entity.high - by_entity.low) / (by_row.high - by_row.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def coverage(replications: int, resamples: int, entities: int = 80_000) -> dict[str, float]:
    """The share of intervals that hold the difference in a population of five times as many rows."""
    metrics = ("roc_auc", "brier", "log_loss")
    y, mine, theirs, _ = sample(10**6, entities)
    truth = {metric: scores(y, mine)[metric] - scores(y, theirs)[metric] for metric in metrics}
    found = []
    for seed in range(replications):
        y, mine, theirs, groups = sample(seed)
        found.append(compare(y, mine, theirs, groups, metrics=metrics, resamples=resamples, seed=seed))
    return {m: float(np.mean([covered(each[m], truth[m]) for each in found])) for m in metrics}


def test_nine_of_ten_intervals_hold_the_truth() -> None:
    """A smoke test of the slow one below: 95 % of 80 intervals, less four standard errors."""
    for metric, share in coverage(80, 200, 10_000).items():
        assert share > 0.85, metric


@pytest.mark.slow
def test_ninety_five_percent_of_the_intervals_hold_the_truth() -> None:
    """With 100 entities a percentile interval falls a little short (Davison & Hinkley, chapter 5)."""
    for metric, share in coverage(1500, 500).items():
        assert 0.93 < share < 0.97, metric


def test_what_has_no_honest_interval_raises() -> None:
    y, mine, theirs, groups = sample(0)
    with pytest.raises(TrainingError, match="no paired interval for 'auc': compare on one of roc_auc"):
        paired("auc", y, mine, theirs, groups, seed=1)
    with pytest.raises(TrainingError, match="5 entities"):
        paired("brier", y, mine, theirs, groups % 5, seed=1)
    with pytest.raises(TrainingError, match="one entity for each row"):
        paired("brier", y, mine, theirs, groups[1:], seed=1)
    lone = np.zeros(len(y))
    lone[0] = 1
    with pytest.raises(TrainingError, match="draws of entities hold both classes: widen"):
        paired("roc_auc", lone, mine, theirs, groups, resamples=100, seed=1)
