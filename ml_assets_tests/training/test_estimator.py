# ruff: noqa: N803, N806 - X is scikit-learn's name

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ml_assets.errors import TrainingError
from ml_assets.training.estimator import RARE, build
from ml_assets.training.frame import FeatureColumns

BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def forest(**parameters: int) -> RandomForestClassifier:
    return RandomForestClassifier(**parameters)


def a_list() -> list[int]:
    return []


def rows(n: int = 400) -> tuple[pd.DataFrame, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    rng = np.random.default_rng(0)
    amount = rng.normal(size=n).astype(np.float32)
    plan = pd.Series(rng.choice(["basic", "pro", "team"], n), dtype="str")
    label = (rng.random(n) < 1 / (1 + np.exp(-2 * amount - (plan == "pro")))).astype(np.int64)
    amount[::9] = np.nan
    plan.iloc[::11] = None
    return pd.DataFrame({"amount": amount, "plan": plan}), label


def columns(pipeline: Pipeline, X: pd.DataFrame, y: object) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    found: np.ndarray[tuple[int, int], np.dtype[np.float32]] = pipeline[:-1].fit(X, y).transform(X)
    return found


@pytest.mark.parametrize("path", [BOOSTING, FOREST, LOGISTIC])
def test_the_model_sees_float32_only(path: str) -> None:
    X, y = rows()
    assert columns(build(path, {}, FeatureColumns(("amount",), ("plan",)), 0), X, y).dtype == np.float32


@pytest.mark.parametrize("path", [BOOSTING, FOREST])
def test_an_estimator_that_accepts_nan_gets_the_raw_numbers(path: str) -> None:
    X, y = rows()
    seen = columns(build(path, {}, FeatureColumns(("amount",), ("plan",)), 0), X, y)
    np.testing.assert_array_equal(seen[:, 0], X["amount"])


def test_calibration_of_an_estimator_that_accepts_nan_gets_the_raw_numbers_too() -> None:
    X, y = rows()
    nested = {"estimator": {"type": BOOSTING, "max_iter": 5}, "cv": 3}
    pipeline = build("sklearn.calibration.CalibratedClassifierCV", nested, FeatureColumns(("amount",), ("plan",)), 0)
    np.testing.assert_array_equal(columns(pipeline, X, y)[:, 0], X["amount"])


def test_trees_that_refuse_nan_get_the_median_and_no_scaling() -> None:
    X, y = rows()
    seen = columns(build("sklearn.ensemble.GradientBoostingClassifier", {}, FeatureColumns(("amount",), ()), 0), X, y)
    np.testing.assert_array_equal(seen[:, 0], X["amount"].fillna(X["amount"].median()))


def test_others_get_standardised_numbers() -> None:
    X, y = rows()
    pipeline = build(LOGISTIC, {}, FeatureColumns(("amount",), ("plan",)), 0)
    assert abs(columns(pipeline, X, y)[:, 0].mean()) < 1e-6
    assert isinstance(pipeline[0].named_transformers_["numeric"][-1], StandardScaler)


def test_missing_is_a_category_rare_ones_share_a_column_and_a_new_one_counts_as_rare() -> None:
    plan = pd.Series(["a"] * 50 + ["b"] * 40 + [None] * 30 + ["odd"] * (RARE - 1) + ["strange"], dtype="str")
    X, y = pd.DataFrame({"plan": plan}), np.arange(len(plan)) % 2
    seen = columns(pipeline := build(BOOSTING, {}, FeatureColumns((), ("plan",)), 0), X, y)
    assert seen.shape[1] == 4
    new = pipeline[:-1].transform(pd.DataFrame({"plan": pd.Series(["never seen"], dtype="str")}))
    np.testing.assert_array_equal(new[0], seen[-1])
    assert not np.array_equal(seen[100], seen[-1])


def test_the_same_seed_gives_the_same_digits_and_another_one_does_not() -> None:
    X, y = rows()
    one, again, other = (
        build(FOREST, {"n_estimators": 5}, FeatureColumns(("amount",), ("plan",)), s).fit(X, y) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_a_declared_random_state_stays_and_nested_ones_are_seeded() -> None:
    assert build(FOREST, {"random_state": 5}, FeatureColumns(("a",), ()), 1)[-1].random_state == 5
    nested = {"estimator": {"type": FOREST}}
    assert (
        build("sklearn.ensemble.BaggingClassifier", nested, FeatureColumns(("a",), ()), 7)[-1].estimator.random_state
        == 7
    )


def test_a_function_is_the_escape_hatch() -> None:
    pipeline = build(f"{__name__}.forest", {"n_estimators": 3}, FeatureColumns(("a",), ()), 0)
    assert pipeline[-1].n_estimators == 3


def test_parameters_reach_a_nested_estimator() -> None:
    parameters = {"estimator": {"type": LOGISTIC}, "estimator__C": 0.1}
    model = build("sklearn.calibration.CalibratedClassifierCV", parameters, FeatureColumns(("a",), ()), 0)[-1]
    assert isinstance(model, CalibratedClassifierCV)
    assert isinstance(model.estimator, LogisticRegression)
    assert model.estimator.C == 0.1


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("sklearn.ensemble.NoSuchForest", {}, "'sklearn.ensemble.NoSuchForest' cannot be imported"),
        ("no_such_module.Model", {}, "cannot be imported"),
        ("Model", {}, "full path of a class"),
        ("sklearn.ensemble", {}, "is a module"),
        (FOREST, {"n_estimator": 5}, "did you mean 'n_estimators'"),
        (BOOSTING, {"estimator__depth": 5}, "no parameter 'estimator__depth'"),
        ("sklearn.ensemble.RandomForestRegressor", {}, "no classifier with predict_proba"),
        ("sklearn.svm.LinearSVC", {}, "CalibratedClassifierCV"),
        (f"{__name__}.a_list", {}, "gives a list"),
        (f"{__name__}.forest", {"no": 5}, "cannot be made"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_remedy(
    path: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        build(path, parameters, FeatureColumns(("amount",), ()), 0)


def test_no_feature_is_refused() -> None:
    with pytest.raises(TrainingError, match="no feature"):
        build(FOREST, {}, FeatureColumns((), ()), 0)
