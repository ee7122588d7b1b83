import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from ml_assets.errors import TrainingError
from ml_assets.training.metrics import (
    by_slice,
    calibration,
    calibration_error,
    confusion,
    curves,
    lift,
    scores,
    threshold,
)

Floats = NDArray[np.float64]


def sample(n: int = 2000, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 3, n), 2)  # rounded: scores repeat
    return (rng.random(n) < p).astype(np.float64), p


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Floats]:
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60))
    y = np.array([0.0, 1.0, *(float(label) for label, _ in rows)])
    return y, np.array([0.5, 0.5, *(score / 20 for _, score in rows)])


def test_scikit_learn_agrees() -> None:
    y, p = sample()
    found = scores(y, p)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(y, p))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p))
    assert (found["rows"], found["base_rate"], found["mean_score"]) == (2000, y.mean(), p.mean())


@settings(max_examples=30, deadline=None)  # each example calls scikit-learn a dozen times
@given(scored())
def test_the_order_of_rows_does_not_matter(rows: tuple[Floats, Floats]) -> None:
    y, p = rows
    other = np.random.default_rng(0).permutation(len(y))
    assert scores(y, p) == pytest.approx(scores(y[other], p[other]))


@settings(max_examples=30, deadline=None)  # each example calls scikit-learn a dozen times
@given(scored())
def test_every_metric_is_in_its_range(rows: tuple[Floats, Floats]) -> None:
    found = scores(*rows)
    assert all(0 <= found[name] <= 1 for name in ("roc_auc", "pr_auc", "brier", "calibration_error"))
    assert 0 <= found["lift_at_10"] <= 1 / found["base_rate"] + 1e-9


def test_a_constant_score_ranks_like_chance() -> None:
    y, _ = sample()
    found = scores(y, np.full(len(y), y.mean()))
    assert found["roc_auc"] == 0.5
    assert found["lift_at_10"] == pytest.approx(1)
    assert found["calibration_error"] == pytest.approx(0)


def test_lift_counts_positives_in_the_top_decile() -> None:
    y = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0] * 2)
    p = np.arange(20)[::-1] / 20
    assert lift(y, p) == pytest.approx((1 / 4) / 0.1)


def test_calibration_error_is_near_zero_for_true_probabilities_and_the_shift_for_shifted_ones() -> None:
    y, p = sample(100_000)
    assert calibration_error(y, p) < 0.01
    assert calibration_error(y, np.clip(p + 0.1, 0, 1)) == pytest.approx(0.1, abs=0.01)


def test_calibration_bins_hold_all_rows_in_about_equal_numbers() -> None:
    y, p = sample(100_000)
    found = calibration(y, p)
    assert found.rows.sum() == 100_000
    assert (np.diff(found.mean) > 0).all()
    assert found.rows.min() > 5_000


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([1, 1], [0.5, 0.6], "all 2 rows have label 1"),
        ([0, 0], [0.5, 0.6], "all 2 rows have label 0"),
        ([], [], "no rows"),
        ([0, 1], [0.5], "one score for each label"),
        ([0, 1], [0.5, np.nan], "1 scores are no probabilities, such as nan"),
        ([0, 1], [0.5, 1.5], "such as 1.5"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1"),
        ([0, np.nan], [0.5, 0.5], "neither 0 nor 1"),
    ],
)
def test_what_has_no_metric_raises(y: list[float], p: list[float], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        scores(y, p)


@given(scored(), st.floats(0.1, 10), st.floats(0.1, 10))
def test_no_other_threshold_is_cheaper(rows: tuple[Floats, Floats], cost_fp: float, cost_fn: float) -> None:
    y, p = rows

    def cost(cut: float) -> float:
        counts = confusion(y, p, cut)
        return cost_fp * counts["fp"] + cost_fn * counts["fn"]

    best = cost(threshold(y, p, cost_fp, cost_fn))
    assert all(best <= cost(cut) + 1e-9 for cut in [*p, 1.1])


def test_a_dearer_false_negative_lowers_the_threshold() -> None:
    y, p = sample()
    assert threshold(y, p, 1, 10) < threshold(y, p, 1, 1) < threshold(y, p, 10, 1)
    with pytest.raises(TrainingError, match="both must be above 0"):
        threshold(y, p, 0, 1)


def test_confusion_counts_every_row_once() -> None:
    counts = confusion([1, 1, 0, 0, 0], [0.9, 0.1, 0.5, 0.4, 0.1], 0.5)
    assert counts == {"tp": 1, "fp": 1, "fn": 1, "tn": 2}


def test_slices_have_their_own_metrics_and_small_ones_are_counted() -> None:
    y, p = sample(1000)
    values = np.array(["a"] * 500 + ["b"] * 450 + ["c"] * 30 + [None] * 20, dtype=object)
    found = by_slice(y, p, values, min_rows=100)
    assert found["a"] == scores(y[:500], p[:500])
    assert list(found) == ["a", "b", "(smaller slices)"]
    assert found["(smaller slices)"] == {"rows": 50}
    assert "(missing)" in by_slice(y, p, values, min_rows=10)


def test_a_slice_of_one_class_has_no_ranking() -> None:
    found = by_slice([0, 0, 1, 0], [0.1, 0.3, 0.9, 0.8], [1, 1, 2, 2], min_rows=1)
    assert found["1"] == {"base_rate": 0, "mean_score": pytest.approx(0.2), "rows": 2}
    assert found["2"]["roc_auc"] == 1


def test_curves_run_from_corner_to_corner_and_enclose_the_auc() -> None:
    y, p = sample()
    found = curves(y, p)
    assert (found.fpr[0], found.tpr[0], found.fpr[-1], found.tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(found.tpr, found.fpr) == pytest.approx(found.roc_auc, abs=1e-3)
    assert len(curves(*sample(10_000, 1), points=50).fpr) <= 50
    assert (np.diff(found.share) > 0).all()
