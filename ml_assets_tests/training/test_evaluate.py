# ruff: noqa: N806 - X is scikit-learn's name

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml_assets.errors import TrainingError
from ml_assets.training.evaluate import Costs, Evaluation, baseline, evaluate
from ml_assets.training.explain import Importance
from ml_assets.training.metrics import scores

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


def evaluated(seed: int = 0) -> Evaluation:
    X, y, p = sample()
    return evaluate(
        y,
        p,
        np.arange(len(y)) // 4,
        slices={"word": X["word"].to_numpy()},
        costs=Costs(1, 5),
        other={"champion": p**2, "baseline": np.full(len(y), y.mean())},
        seed=seed,
        importance={"signal": Importance(0.3, 0.01)},
        resamples=50,
    )


def test_an_evaluation_holds_what_a_gate_asks_and_is_json() -> None:
    _, y, p = sample()
    found = evaluated()
    assert (found.rows, found.entities) == (1000, 250)
    assert found.metrics == scores(y, p)
    assert found.others["champion"] == scores(y, p**2)
    assert set(found.slices["word"]) == {"x", "y"}
    assert found.intervals["champion"]["roc_auc"].estimate == pytest.approx(0)
    assert found.intervals["baseline"]["roc_auc"].low > 0.2
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == found.as_dict()


def test_the_cost_is_that_of_the_confusion() -> None:
    found = evaluated()
    assert found.cost == (found.confusion["fp"] + 5 * found.confusion["fn"]) / found.rows
    assert sum(found.confusion.values()) == found.rows


def test_the_same_seed_gives_the_same_digits() -> None:
    assert evaluated(3) == evaluated(3)


def test_the_baseline_is_the_best_single_feature_as_a_probability() -> None:
    X, y, _ = sample(2000)
    test, labels, p = sample(2000, 1)
    found = scores(labels, baseline(X, y, test))
    alone = scores(labels, baseline(X[["signal"]], y, test[["signal"]]))
    assert found == alone
    assert scores(labels, p)["roc_auc"] > found["roc_auc"] > 0.75
    assert found["log_loss"] < scores(labels, np.full(len(labels), y.mean()))["log_loss"]


def test_the_baseline_sees_no_test_label_and_one_row_does_not_depend_on_another() -> None:
    X, y, _ = sample()
    test, _, _ = sample(100, 1)
    np.testing.assert_array_equal(baseline(X, y, test)[:10], baseline(X, y, test.iloc[:10]))


def test_the_baseline_of_noise_is_near_the_base_rate() -> None:
    X, y, _ = sample(20_000)
    assert abs(baseline(X[["noise"]], y, X) - y.mean()).max() < 0.05


def test_the_baseline_knows_categories_and_gives_new_ones_the_base_rate() -> None:
    plan = pd.Series(["a", "b"] * 500, dtype="str")
    y = (plan == "a").to_numpy(dtype=np.float64)
    test = pd.DataFrame({"plan": pd.Series(["a", "b", "new", None], dtype="str")})
    found = baseline(pd.DataFrame({"plan": plan}), y, test)
    assert found[0] > 0.95
    assert found[1] < 0.05
    assert found[2] == found[3] == 0.5


def test_a_column_without_any_value_is_no_obstacle() -> None:
    X, y, _ = sample()
    X["empty"] = np.float32(np.nan)
    assert len(baseline(X, y, X)) == len(X)


@pytest.mark.parametrize("labels", [[0.0, 0, 0, 0], [0.0, 1, 0, 0]])
def test_a_baseline_from_too_little_raises(labels: list[float]) -> None:
    X = pd.DataFrame({"a": np.arange(4, dtype=np.float32)})
    with pytest.raises(TrainingError):
        baseline(X, labels, X)
