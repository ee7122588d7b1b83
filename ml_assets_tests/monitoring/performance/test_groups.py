"""The numbers of one group of scored rows: values with intervals, drops, and reasons where there is no number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.estimate import estimate_metrics
from ml_assets.decisions.interval import Interval
from ml_assets.monitoring.performance.baseline import Evaluated, LabelledScores
from ml_assets.monitoring.performance.groups import (
    SMALLER,
    MetricGroup,
    MetricRow,
    estimate,
    measure,
    measure_slice,
    parts,
)
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.training.bootstrap import intervals
from ml_assets_tests.conftest import AS_OF

SPEC = PerformanceSpec(min_rows=20, resamples=100)
GROUP = MetricGroup(AS_OF, AS_OF, False, 1)


def drawn(rng: np.random.Generator, rows: int) -> LabelledScores:
    """Rows whose scores are the probabilities of their labels."""
    p = rng.beta(1, 3, rows)
    return LabelledScores((rng.random(rows) < p).astype(np.float64), p, np.arange(rows))


def measured(rows: LabelledScores, before: Evaluated) -> dict[str, MetricRow]:
    return {row.metric: row for row in measure(GROUP, rows, before, SPEC)}


def test_one_class_has_a_rate_and_no_ranking() -> None:
    p = np.linspace(0.1, 0.4, 50)
    found = measured(LabelledScores(np.zeros(50), p, np.arange(50)), Evaluated())
    assert found["base_rate"].value == 0
    assert found["mean_score"].value == pytest.approx(0.25)
    for metric in ("roc_auc", "pr_auc", "log_loss", "brier", "calibration_error", "lift_at_10"):
        assert (found[metric].value, found[metric].reason) == (None, "all 50 rows have label 0")


def test_scores_that_hardly_give_both_labels_are_not_estimated() -> None:
    found = estimate(GROUP, np.full(50, 1e-7), Evaluated(), SPEC)
    assert all(row.value is None and "hardly give both labels" in (row.reason or "") for row in found)


def test_few_entities_have_a_value_and_no_interval() -> None:
    rows = drawn(np.random.default_rng(0), 60)
    auc = measured(LabelledScores(rows.y, rows.p, rows.entity % 5), Evaluated())["roc_auc"]
    assert auc.value is not None
    assert (auc.low, auc.high) == (None, None)
    assert "no interval: 5 entities" in (auc.reason or "")


def test_the_order_of_rows_changes_nothing_but_the_last_digits() -> None:
    rows, order = drawn(np.random.default_rng(3), 500), np.random.default_rng(4).permutation(500)
    shuffled = LabelledScores(rows.y[order], rows.p[order], rows.entity[order])
    one, other = (measured(each, Evaluated(threshold=0.3)) for each in (rows, shuffled))
    for metric, row in one.items():
        for name in ("value", "low", "high"):
            numbers = (getattr(row, name), getattr(other[metric], name))
            assert numbers == (None, None) or numbers[0] == pytest.approx(numbers[1], rel=1e-9), metric


def test_a_drop_is_positive_where_it_is_worse_and_both_samples_are_in_doubt() -> None:
    known = {"roc_auc": Interval(0.9, 0.88, 0.92), "brier": Interval(0.2, 0.19, 0.21)}
    before = Evaluated({"roc_auc": 0.9, "brier": 0.2, "accuracy": 0.99, "base_rate": 0.3}, known, threshold=0.5)
    found = measured(drawn(np.random.default_rng(0), 2000), before)
    assert found["roc_auc"].drop == pytest.approx(0.9 - (found["roc_auc"].value or 0))
    assert found["brier"].drop == pytest.approx((found["brier"].value or 0) - 0.2)
    for metric, worse in (("roc_auc", True), ("brier", False)):
        row = found[metric]
        assert row.drop is not None
        assert row.drop_low is not None
        assert row.drop_high is not None
        assert (row.drop > 0) == worse
        assert row.drop_low < row.drop < row.drop_high
        assert row.drop_high - row.drop_low > (row.high or 0) - (row.low or 0)
    assert (found["accuracy"].drop or 0) > 0
    assert found["accuracy"].drop_low is None  # the evaluation's own doubt is not known here
    assert (found["base_rate"].evaluated, found["base_rate"].drop) == (0.3, None)


def test_the_interval_of_no_drop_holds_nothing_as_often_as_it_says() -> None:
    """Evaluation and report are two samples of one law: the true drop is zero."""
    rng, missed = np.random.default_rng(5), 0
    for seed in range(200):
        samples = [drawn(rng, 200) for _ in range(2)]
        known, now = (
            intervals(rows.y, rows.p, rows.entity, metrics=["brier"], resamples=200, seed=seed)["brier"]
            for rows in samples
        )
        drop = Evaluated({"brier": known.estimate}, {"brier": known}).drop("brier", now.estimate, now)
        assert drop is not None
        missed += not (drop.low or 0) <= 0 <= (drop.high or 0)
    assert 2 <= missed <= 20


def test_small_slices_are_counted_together() -> None:
    words = ["many"] * 150 + [None] * 30 + ["few"] * 12 + ["fewer"] * 8
    group, rows = MetricGroup(AS_OF, AS_OF, True, 1, "kind"), drawn(np.random.default_rng(1), 200)
    found = [row for row in measure_slice(group, words, rows, Evaluated(), SPEC) if row.metric == "roc_auc"]
    shown = [("(missing)", 30), ("many", 150), ("(smaller slices)", 20)]
    assert [(row.slice_value, row.rows) for row in found] == shown
    assert found[-1].value is None


@given(st.lists(st.sampled_from(["a", "b", "c", "", None]), min_size=1, max_size=60), st.integers(1, 20))
def test_every_row_is_in_exactly_one_part_of_a_slice(words: list[str | None], min_rows: int) -> None:
    found = parts(words, min_rows)
    assert (np.sum(list(found.values()), axis=0) == 1).all()
    for value, chosen in found.items():
        assert value == SMALLER or {words[i] or value for i in np.flatnonzero(chosen)} == {value}
        assert value == SMALLER or chosen.sum() >= min_rows


def test_means_have_the_intervals_of_their_rows() -> None:
    """The accuracy of calibrated decisions: 95 % of the intervals hold the true one."""
    rng, held = np.random.default_rng(7), 0
    for seed in range(200):
        rows = drawn(rng, 200)
        right = ((rows.p >= 0.3) == rows.y).astype(np.float64)
        found = intervals(rows.y, rows.p, rows.entity, metrics=[], means={"accuracy": right}, resamples=200, seed=seed)
        truth = 0.73285  # the integral over Beta(1, 3) of 1 - p below 0.3 and of p above
        held += found["accuracy"].low <= truth <= found["accuracy"].high
        assert found["accuracy"].estimate == pytest.approx(right.mean())
    assert 178 <= held <= 199


def test_the_expected_accuracy_is_that_of_drawn_labels() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(1, 3, 20_000)
    found = estimate_metrics(p, seed=0, draws=100, threshold=0.3)["accuracy"]
    realised = float(np.mean((rng.random(len(p)) < p) == (p >= 0.3)))
    assert found.low <= found.estimate <= found.high
    assert found.estimate == pytest.approx(realised, abs=0.01)
    assert (
        estimate_metrics(p, seed=0, draws=100)["roc_auc"]
        == estimate_metrics(p, seed=0, draws=100, threshold=0.3)["roc_auc"]
    )
