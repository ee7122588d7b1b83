# ruff: noqa: N806 - X is scikit-learn's name

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml_assets.spec.model import ModelSpec
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.explain import Importance
from ml_assets.training.frame import Frame
from ml_assets.training.metrics import scores
from ml_assets.training.task.task import Candidate
from ml_assets.training.task.tasks import task_of
from ml_assets_tests.conftest import MODEL

Floats = NDArray[np.float64]


def sample(n: int = 1000, seed: int = 0) -> tuple[pd.DataFrame, Floats, Floats]:
    rng = np.random.default_rng(seed)
    signal, noise = rng.normal(size=(2, n)).astype(np.float32)
    p = np.asarray(1 / (1 + np.exp(-2.0 * signal)), dtype=np.float64)
    signal[::10] = np.nan
    word = pd.Series(rng.choice(["x", "y"], n), dtype="str")
    return (
        pd.DataFrame({"noise": noise, "signal": signal, "word": word}),
        (rng.random(n) < p).astype(np.float64),
        p,
    )


def two(p: Floats) -> Floats:
    return np.stack([1 - p, p], axis=1)


def evaluated(seed: int = 0) -> Evaluation:
    X, y, p = sample()
    rows = Frame(X, y.astype(np.int64), np.arange(len(y)) // 4, np.full(len(y), "2026-01-04", "datetime64[D]"))
    spec = ModelSpec(**MODEL | {"costs": {"false_positive": 1, "false_negative": 5}, "seed": seed})
    words = {"word": X["word"].to_numpy()}
    candidate = Candidate(spec, rows, rows, lambda _: two(p), slices=words, resamples=50)
    models = {"candidate": two(p), "champion": two(p**2), "baseline": two(np.full(len(y), y.mean()))}
    return task_of(()).judge(candidate, models, {"signal": Importance(0.3, 0.01)})


def test_an_evaluation_holds_what_a_gate_asks_and_is_json() -> None:
    _, y, p = sample()
    found = evaluated()
    assert (found.rows, found.entities) == (1000, 250)
    assert found.metrics == scores(y, p)
    assert found.others["champion"] == scores(y, p**2)
    assert set(found.slices["word"]) == {"x", "y"}
    assert found.intervals["champion"]["roc_auc"].estimate == pytest.approx(0)
    assert found.intervals["baseline"]["roc_auc"].low > 0.2
    assert json.loads(json.dumps(asdict(found), allow_nan=False)) == asdict(found)


def test_the_cost_is_that_of_the_confusion() -> None:
    found = evaluated()
    assert found.cost == (found.confusion["fp"] + 5 * found.confusion["fn"]) / found.rows
    assert sum(found.confusion.values()) == found.rows


def test_the_same_seed_gives_the_same_digits() -> None:
    assert evaluated(3) == evaluated(3)
