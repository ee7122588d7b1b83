"""Reasons of real artifacts: read from the graph alone, they add up to the answer, whatever the estimator was."""

# ruff: noqa: N806 - X is scikit-learn's name

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.reasons.contributions import Explainer, Target, explain
from ml_assets.reasons.explainer import build_explainer, read_explainer, write_explainer
from ml_assets.reasons.fidelity import FidelityRows, measure_fidelity
from ml_assets.reasons.sampled import SampledOrders, log_odds, probabilities_of
from ml_assets.training import export
from ml_assets.training.estimator import TermWeights, build
from ml_assets.training.explanations import feature_rows, row_predictor
from ml_assets.training.frame import FeatureColumns
from ml_assets_tests.reasons.brute_force import shapley

COLUMNS = FeatureColumns(("spend", "age", "visits"), ("plan",), ("story",))
ROWS_ONLY = FeatureColumns(COLUMNS.numeric, COLUMNS.categorical)
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def table(n: int, seed: int, classes: int = 2) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)).astype(np.float32), columns=list(COLUMNS.numeric))
    X["spend"] = X["spend"].mask(pd.Series(rng.random(n) < 0.2))
    X["plan"] = pd.Series(rng.choice(["basic", "pro", "plus"], n), dtype="str")
    X.loc[rng.random(n) < 0.1, "plan"] = None
    words = rng.choice(["rent", "lease", "water", "amend", "the"], (n, 6))
    X["story"] = pd.Series([" ".join(row) for row in words], dtype="str")
    score = X["spend"].fillna(1.0) + X["age"] + (X["plan"] == "pro") + (words == "rent").sum(axis=1) - 1
    edges = np.quantile(score, np.arange(1, classes) / classes)
    return X, np.digitize(score + rng.normal(size=n) / 3, edges)


def made(path: str, columns: FeatureColumns, classes: int = 2, **parameters: Any) -> tuple[Explainer, Any, Any]:
    """The explainer of a fitted artifact, its probabilities, and rows that it has not seen."""
    X, y = table(600, 0, classes)
    onnx = export.to_onnx(build(path, parameters, columns, 0, TermWeights(min_rows=1)).fit(X[columns.all], y), columns)
    predict = row_predictor(onnx, columns)
    background = feature_rows(X[columns.all].iloc[:40])
    for row in background:
        row[len(columns.all) - len(columns.text) :] = [""] * len(columns.text)
    players = {name: name for name in columns.all}
    explainer = build_explainer(onnx, columns.all, background, players, predict=predict)
    again = read_explainer(write_explainer(explainer), predict)
    return again, predict, (feature_rows(table(30, 1)[0][columns.all]), background)


@pytest.mark.parametrize(
    ("path", "columns", "classes", "parameters", "method"),
    [
        (BOOSTING, ROWS_ONLY, 2, {"max_iter": 15, "max_leaf_nodes": 6}, "exact"),
        (BOOSTING, ROWS_ONLY, 3, {"max_iter": 5, "max_leaf_nodes": 6}, "exact"),
        ("sklearn.ensemble.GradientBoostingClassifier", ROWS_ONLY, 2, {"n_estimators": 8}, "exact"),
        (LOGISTIC, ROWS_ONLY, 2, {}, "exact"),
        (LOGISTIC, COLUMNS, 2, {}, "exact"),
        (LOGISTIC, COLUMNS, 4, {}, "exact"),
        ("sklearn.ensemble.RandomForestClassifier", ROWS_ONLY, 2, {"n_estimators": 5, "max_depth": 4}, "sampled"),
        (BOOSTING, COLUMNS, 2, {"max_iter": 5}, "sampled"),
    ],
)
def test_base_and_contributions_add_up_to_the_answer(
    path: str, columns: FeatureColumns, classes: int, parameters: dict[str, Any], method: str
) -> None:
    explainer, predict, (rows, _) = made(path, columns, classes, **parameters)
    assert explainer.method == method
    answers = probabilities_of(log_odds(predict(rows)))
    for row, answer in zip(rows[:10], answers, strict=False):
        found = explainer.contributions(row, "one")
        total = found.base + found.parts.sum(axis=0)
        np.testing.assert_allclose(probabilities_of(total[None])[0], answer, atol=1e-6)
        np.testing.assert_array_equal(found.parts, explainer.contributions(row, "one").parts)


def test_a_linear_model_has_the_values_of_all_coalitions() -> None:
    explainer, predict, (rows, background) = made(LOGISTIC, ROWS_ONLY)

    def score(row: Any) -> Any:
        return log_odds(predict([row]))[0]

    places = [[at] for at in range(len(ROWS_ONLY.all))]
    for row in rows[:2]:
        expected = shapley(score, row, background[:40], places)
        np.testing.assert_allclose(explainer.contributions(row, "").parts, expected, atol=1e-5)


def test_sampled_values_come_near_to_exact_ones() -> None:
    explainer, predict, (rows, background) = made(BOOSTING, ROWS_ONLY, max_iter=15, max_leaf_nodes=6)
    sampled = SampledOrders(ROWS_ONLY.all, {name: name for name in ROWS_ONLY.all}, background, predict)
    exact, near = (each.contributions(rows[0], "seed").parts for each in (explainer, sampled))
    assert np.abs(exact - near).max() < 0.35 * np.abs(exact).max()


def test_what_a_text_says_for_a_class_is_its_terms() -> None:
    explainer, _, _ = made(LOGISTIC, COLUMNS)
    found = explainer.contributions([0.0, 0.0, 0.0, "basic", "Rent and rent, the lease"], "")
    reasons = explain(found, Target(sign=1), 10, {"story": "what it says"}).reasons
    assert ("story", "rent", "what it says") in [(each.feature, each.value, each.text) for each in reasons]


@pytest.mark.parametrize(("path", "columns"), [(BOOSTING, ROWS_ONLY), (LOGISTIC, COLUMNS)])
def test_reasons_are_faithful(path: str, columns: FeatureColumns) -> None:
    explainer, predict, (rows, background) = made(path, columns)
    places = {name: [at] for at, name in enumerate(columns.all)}
    given = FidelityRows(
        rows, [Target(sign=0)] * len(rows), background, places,
        frozenset(columns.all.index(name) for name in columns.text),
    )  # fmt: skip
    found = measure_fidelity(explainer, (explainer, explainer), given, lambda some: log_odds(predict(some)), 0)
    assert found.additivity < 1e-5
    assert found.agreement == 1.0
    assert found.effect > max(0, found.random_effect)
