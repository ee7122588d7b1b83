"""A model of several classes is judged by the class that it names and by how sure it is of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ml_assets.decisions.interval import Interval
from ml_assets.errors import TrainingError
from ml_assets.spec.model import ModelSpec
from ml_assets.training.bootstrap import clusters, paired_intervals
from ml_assets.training.frame import Frame
from ml_assets.training.task.multiclass import (
    ClassModel,
    ClassPredictions,
    by_class,
    compared_metrics,
    confusion,
    scores,
)
from ml_assets.training.task.task import Candidate
from ml_assets.training.task.tasks import task_of
from ml_assets_tests.conftest import MODEL

CLASSES = ("lease", "amendment", "addendum", "other")
SEEDS = st.integers(0, 10_000)


def compare(
    y: np.ndarray, mine: ClassPredictions, theirs: ClassPredictions, groups: np.ndarray, *, resamples: int, seed: int
) -> dict[str, Interval]:
    entities = clusters(groups, len(y))
    models = [ClassModel.of(y, named, entities) for named in (mine, theirs)]
    return paired_intervals(models, compared_metrics(), resamples=resamples, seed=seed)


def baseline(y: np.ndarray, rows: int) -> ClassPredictions:
    """The most frequent class, with its share as the confidence."""
    return ClassPredictions.of(np.tile(np.bincount(y) / len(y), (rows, 1)))


def drawn(seed: int, rows: int = 60, classes: int = 4) -> tuple[np.ndarray, ClassPredictions]:
    """Labels that follow the probabilities: calibrated by construction."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(classes, 0.4), rows)
    y = np.array([rng.choice(classes, p=row) for row in table])
    return y, ClassPredictions.of(table)


@given(SEEDS, st.integers(2, 60))
@settings(deadline=None, max_examples=50)
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(seed: int, rows: int) -> None:
    y, named = drawn(seed, rows)
    found = scores(y, named)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, named.code))
    seen = sorted({*y.tolist(), *named.code.tolist()})
    expected = metrics.f1_score(y, named.code, labels=seen, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(expected)
    assert found["base_rate"] == found["accuracy"]


@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_precision_recall_and_confusion_are_those_of_scikit_learn(seed: int) -> None:
    y, named = drawn(seed)
    found = by_class(y, named.code, CLASSES)
    seen = [CLASSES.index(name) for name in found]
    expected = metrics.precision_recall_fscore_support(y, named.code, labels=seen, zero_division=0)
    for nr, name in enumerate(found):
        for key, value in zip(("precision", "recall", "f1", "rows"), expected, strict=True):
            assert found[name][key] == pytest.approx(value[nr])
    table = metrics.confusion_matrix(y, named.code, labels=range(4))
    counts = confusion(y, named.code, CLASSES)
    assert sum(counts.values()) == len(y)
    assert all(counts.get(f"{CLASSES[a]} → {CLASSES[b]}", 0) == table[a, b] for a, b in np.ndindex(4, 4))


def test_confidence_that_is_calibrated_has_a_small_calibration_error() -> None:
    y, named = drawn(1, 20_000)
    found = scores(y, named)
    assert found["calibration_error"] < 0.02
    assert found["mean_score"] == pytest.approx(found["accuracy"], abs=0.02)


def test_a_model_that_is_always_right_has_metrics_too() -> None:
    y = np.arange(40) % 4
    found = scores(y, ClassPredictions(y, np.full(40, 0.9)))
    assert (found["accuracy"], found["macro_f1"]) == (1, 1)
    assert found["calibration_error"] == pytest.approx(0.1)


@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_a_difference_is_the_difference_of_the_metrics_and_turns_its_sign(seed: int) -> None:
    y, mine = drawn(seed)
    theirs = baseline(y, len(y))
    found, turned = (
        compare(y, *pair, np.arange(len(y)), resamples=200, seed=3) for pair in ((mine, theirs), (theirs, mine))
    )
    one, two = scores(y, mine), scores(y, theirs)
    for metric, interval in found.items():
        assert interval.estimate == pytest.approx(one[metric] - two[metric])
        assert interval.low <= interval.high
        assert (turned[metric].low, turned[metric].high) == pytest.approx((-interval.high, -interval.low))


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    """Two models of known accuracy, .8 and .7, on 150 rows: 400 times."""
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 4, 150)
        one, two = (
            ClassPredictions(np.where(rng.random(150) < rate, y, (y + 1) % 4), np.full(150, rate))
            for rate in (0.8, 0.7)
        )
        found = compare(y, one, two, np.arange(150), resamples=300, seed=seed)["accuracy"]
        held += found.low <= 0.1 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_an_evaluation_says_what_each_class_came_to() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.full(4, 0.4), 400)
    y = np.array([rng.choice(4, p=row) for row in p])
    kinds = np.array(["pdf", "scan"])[np.arange(400) % 2]
    rows = Frame(pd.DataFrame(), y, np.arange(400), np.full(400, "2026-01-04", "datetime64[D]"))
    label = MODEL["label"] | {"classes": [*CLASSES]}
    spec = ModelSpec(**MODEL | {"label": label, "serve": {"review_below": 0.6}})
    candidate = Candidate(spec, rows, rows, lambda _: p, slices={"kind": kinds}, resamples=100)
    models = {"candidate": p, "baseline": np.tile(np.bincount(y) / len(y), (400, 1))}
    made = task_of(CLASSES).judge(candidate, models, {})
    assert (made.rows, made.threshold) == (400, 0.6)
    assert made.cost == pytest.approx(1 - made.metrics["accuracy"])
    assert set(made.slices) == {"kind", "class"}
    assert sum(part["rows"] for part in made.slices["class"].values()) == 400
    assert made.intervals["baseline"]["accuracy"].low > 0


@pytest.mark.parametrize("table", [[0.5, 0.5], [[0.5, 1.5]], [[float("nan"), 0.5]]])
def test_what_are_no_probabilities_is_refused(table: list[object]) -> None:
    with pytest.raises(TrainingError, match="probabilities of shape"):
        ClassPredictions.of(table)  # type: ignore[arg-type]
