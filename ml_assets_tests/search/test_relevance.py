"""Measures of a ranking, against scikit-learn's and by what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from ml_assets.errors import DataError
from ml_assets.search.relevance import METRICS, RelevanceEvaluation, interval, ndcg, recall, reciprocal_rank

NAMES = [f"d{number}" for number in range(12)]
GRADES = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), min_size=1)
RANKINGS = st.permutations(NAMES)


@given(RANKINGS, GRADES, st.integers(1, 12))
def test_ndcg_is_scikit_learns_with_exponential_gain(ranked: list[str], grades: dict[str, int], k: int) -> None:
    truth = [2 ** grades.get(name, 0) - 1 for name in NAMES]
    scores = [-ranked.index(name) for name in NAMES]
    assert ndcg(ranked, grades, k) == pytest.approx(ndcg_score([truth], [scores], k=k))


@given(RANKINGS, GRADES, st.integers(1, 12))
def test_every_measure_is_between_zero_and_one_and_best_for_the_ideal(
    ranked: list[str], grades: dict[str, int], k: int
) -> None:
    ideal = sorted(NAMES, key=lambda name: -grades.get(name, 0))
    for metric in METRICS.values():
        assert 0 <= metric(ranked, grades, k) <= metric(ideal, grades, k) == pytest.approx(1)


@given(RANKINGS, GRADES, st.integers(1, 12), st.integers(0, 10))
def test_moving_a_better_document_up_never_hurts(ranked: list[str], grades: dict[str, int], k: int, place: int) -> None:
    swapped = [*ranked]
    if grades.get(ranked[place + 1], 0) > grades.get(ranked[place], 0):
        swapped[place], swapped[place + 1] = ranked[place + 1], ranked[place]
    for metric in METRICS.values():
        assert metric(swapped, grades, k) >= metric(ranked, grades, k) - 1e-12


@given(RANKINGS, GRADES)
def test_recall_never_falls_with_k_where_there_is_room(ranked: list[str], grades: dict[str, int]) -> None:
    found = [recall(ranked, grades, k) * min(k, len(grades)) for k in range(1, 13)]
    assert found == sorted(found)


def test_known_values() -> None:
    grades = {"a": 3, "b": 1}
    assert ndcg(["b", "a"], grades) == pytest.approx((1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3)))
    assert reciprocal_rank(["b", "x", "a"], grades) == pytest.approx(1 / 3)
    assert reciprocal_rank(["b"], grades) == 0
    assert recall(["b", "x"], grades, 2) == 0.5
    assert ndcg([], grades) == recall([], grades) == 0


@pytest.mark.parametrize(
    ("ranked", "grades", "k", "said"),
    [(["a"], {}, 1, "at least one"), (["a"], {"a": 0}, 1, "grade"), (["a"], {"a": 1}, 0, "k is 0"),
     (["a", "a"], {"a": 1}, 1, "twice")],
)  # fmt: skip
def test_what_means_nothing_is_refused(ranked: list[str], grades: dict[str, int], k: int, said: str) -> None:
    for metric in METRICS.values():
        with pytest.raises(DataError, match=said):
            metric(ranked, grades, k)


def test_an_interval_holds_the_mean_and_narrows_with_queries() -> None:
    rng = np.random.default_rng(0)
    few, many = interval(rng.random(40), seed=1), interval(rng.random(4000), seed=1)
    assert few.low < few.estimate < few.high
    assert many.high - many.low < (few.high - few.low) / 5
    assert interval(np.full(40, 0.5)).low == 0.5
    with pytest.raises(DataError, match="at least 10"):
        interval(rng.random(9))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    held = [interval(rng.random(60), resamples=400, seed=n) for n in range(300)]
    assert 0.91 <= np.mean([found.low <= 0.5 <= found.high for found in held]) <= 0.98


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(3)
    hard = rng.random(100)
    one = RelevanceEvaluation("hybrid", ("",) * 100, {"ndcg": hard + 0.01})
    other = RelevanceEvaluation("bm25", ("",) * 100, {"ndcg": hard})
    found = one.minus(other, "ndcg")
    assert (found.low, found.high) == pytest.approx((0.01, 0.01))
    with pytest.raises(DataError, match="same"):
        one.minus(RelevanceEvaluation("bm25", ("",) * 99, {"ndcg": hard[:99]}), "ndcg")
