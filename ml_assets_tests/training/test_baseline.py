"""The best single feature: chosen on later dates than it was fitted on, as it is beside bins, and named."""

# ruff: noqa: N806, N803 - X is scikit-learn's name

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml_assets.errors import TrainingError
from ml_assets.training.baseline import baseline
from ml_assets.training.frame import Frame
from ml_assets.training.metrics import scores
from ml_assets_tests.training.task.test_binary import sample


def frame(X: pd.DataFrame, y: Any, dates: int = 4) -> Frame:
    """Rows in the order of their dates."""
    labels, day = np.asarray(y, np.int64), np.datetime64("2025-01-05")
    days = np.sort(day + 7 * (np.arange(len(labels)) % dates))
    return Frame(X, labels, np.arange(len(labels)), days)


def test_it_is_the_best_feature_as_a_probability_and_is_named() -> None:
    X, y, _ = sample(2000)
    test, labels, p = sample(2000, 1)
    found, said = baseline(frame(X, y), test)
    measured = scores(labels, said)
    assert (found.feature, str(found)) == ("signal", "signal as it is")
    assert scores(labels, p)["roc_auc"] > measured["roc_auc"] > 0.75
    assert measured["log_loss"] < scores(labels, np.full(len(labels), y.mean()))["log_loss"]
    assert found.suspects == {}


def test_as_it_is_ranks_like_the_number_itself_where_bins_lose_the_order() -> None:
    """Ten bins of a heavy tail flatter the model that is compared with them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = (rng.random(4000) < 1 / (1 + np.exp(-4 * x))).astype(np.float64)
    X = pd.DataFrame({"x": np.exp(3 * x).astype(np.float32)})
    found, said = baseline(frame(X[:2000], y[:2000]), X[2000:])
    assert found.form == "as it is"
    assert roc_auc_score(y[2000:], said) == pytest.approx(roc_auc_score(y[2000:], x[2000:]), abs=1e-3)


def test_bins_are_chosen_where_the_middle_is_riskier_than_both_ends() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000).astype(np.float32)
    found, said = baseline(frame(pd.DataFrame({"x": x}), np.abs(x) < 0.7), pd.DataFrame({"x": x}))
    assert found.form == "in bins"
    assert roc_auc_score(np.abs(x) < 0.7, said) > 0.9


def test_a_rule_that_held_on_the_earlier_dates_only_is_not_chosen() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000).astype(np.float64)
    early = np.arange(2000) < 1000
    past = np.where(early, y, rng.random(2000))
    steady = y + rng.normal(size=2000)
    X = pd.DataFrame({"past": past, "steady": steady}, dtype=np.float32)
    assert baseline(frame(X, y), X)[0].feature == "steady"


@pytest.mark.parametrize("knows", ["number", "missing", "word", "inverse"])
def test_a_feature_that_knows_the_label_is_suspected_by_name(knows: str) -> None:
    X, y, _ = sample(2000)
    rng = np.random.default_rng(1)
    leak: dict[str, Any] = {
        "number": (y + rng.normal(scale=0.1, size=2000)).astype(np.float32),
        "inverse": (-y + rng.normal(scale=0.1, size=2000)).astype(np.float32),
        "missing": np.where(y == 1, np.nan, 1).astype(np.float32),
        "word": pd.Series(np.where(y == 1, "gone", "here"), dtype="str"),
    }
    found, _ = baseline(frame(X.assign(leak=leak[knows]), y), X.assign(leak=leak[knows]))
    assert list(found.suspects) == ["leak"]
    assert found.suspects["leak"] == found.roc_auc > 0.98


def test_it_sees_no_test_label_and_one_row_does_not_depend_on_another() -> None:
    X, y, _ = sample()
    test, _, _ = sample(100, 1)
    np.testing.assert_array_equal(baseline(frame(X, y), test)[1][:10], baseline(frame(X, y), test.iloc[:10])[1])


def test_the_baseline_of_noise_is_near_the_base_rate() -> None:
    X, y, _ = sample(20_000)
    assert abs(baseline(frame(X[["noise"]], y), X)[1] - y.mean()).max() < 0.05


def test_new_and_missing_categories_have_the_base_rate() -> None:
    plan = pd.Series(["a", "b"] * 500, dtype="str")
    test = pd.DataFrame({"plan": pd.Series(["a", "b", "new", None], dtype="str")})
    _, said = baseline(frame(pd.DataFrame({"plan": plan}), plan == "a"), test)
    assert said[0] > 0.95
    assert said[1] < 0.05
    assert said[2] == said[3] == 0.5


@pytest.mark.parametrize("values", [[np.nan], [1.0], [np.nan, 1.0], [np.inf, 0.0, -np.inf]])
def test_a_column_without_values_or_order_is_no_obstacle(values: list[float]) -> None:
    X, y, _ = sample()
    X["odd"] = np.resize(np.asarray(values, np.float32), len(X))
    with np.errstate(all="raise"):
        _, said = baseline(frame(X, y), X)
        _, alone = baseline(frame(X[["odd"]], y), X)
    assert ((said > 0) & (said < 1) & (alone > 0) & (alone < 1)).all()


def test_one_date_is_halved_by_label() -> None:
    X, y, _ = sample()
    assert baseline(frame(X, y, dates=1), X)[0].feature == "signal"


@pytest.mark.parametrize("labels", [[0.0, 0, 0, 0], [0.0, 1, 0, 0]])
def test_too_few_rows_of_a_label_are_refused(labels: list[float]) -> None:
    X = pd.DataFrame({"a": np.arange(4, dtype=np.float32)})
    with pytest.raises(TrainingError):
        baseline(frame(X, labels), X)
