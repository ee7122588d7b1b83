# ruff: noqa: N803, N806 - X is scikit-learn's name

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml_assets.errors import TrainingError
from ml_assets.training.explain import importance

Floats = NDArray[np.float64]


def sample(n: int = 3000) -> tuple[pd.DataFrame, Floats]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 3)).astype(np.float32), columns=["strong", "weak", "unused"])
    X["plan"] = pd.Series(rng.choice(["a", "b"], n), dtype="str")
    return X, (rng.random(n) < predict(X)).astype(np.float64)


def predict(X: pd.DataFrame) -> Floats:
    return np.asarray(1 / (1 + np.exp(-2 * X["strong"] - 0.8 * X["weak"] - 0.7 * (X["plan"] == "a"))), dtype=np.float64)


def test_what_the_model_leans_on_comes_first_and_what_it_ignores_is_exactly_zero() -> None:
    found = importance(predict, *sample(), seed=0)
    assert list(found) == ["strong", "weak", "plan", "unused"]
    assert (found["unused"].mean, found["unused"].std) == (0, 0)
    assert found["strong"].mean > 0.2


def test_the_same_seed_gives_the_same_digits_and_other_features_do_not_change_them() -> None:
    X, y = sample()
    one = importance(predict, X, y, seed=1)
    assert importance(predict, X, y, seed=1) == one
    more = importance(predict, X[["unused", "plan", "weak", "strong"]].assign(new=np.float32(1)), y, seed=1)
    assert {name: more[name] for name in one} == one
    assert importance(predict, X, y, seed=2)["strong"] != one["strong"]


def test_at_most_so_many_rows_are_scored_and_none_is_changed() -> None:
    X, y = sample()
    before, seen = X.copy(), []

    def watched(rows: pd.DataFrame) -> Floats:
        seen.append(len(rows))
        return predict(rows)

    importance(watched, X, y, repeats=2, seed=0, max_rows=500)
    assert seen == [500] * (1 + 2 * X.shape[1])
    pd.testing.assert_frame_equal(X, before)


def test_what_measures_nothing_raises() -> None:
    X, y = sample(100)
    with pytest.raises(TrainingError, match="0 repeats"):
        importance(predict, X, y, 0, seed=0)
    with pytest.raises(TrainingError, match="100 rows and 99 labels"):
        importance(predict, X, y[1:], seed=0)
    with pytest.raises(TrainingError, match="have label 1"):
        importance(predict, X, np.ones(100), seed=0)
