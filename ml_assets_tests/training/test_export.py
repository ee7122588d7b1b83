"""The export is the model: each estimator that can be exported agrees with scikit-learn on every row."""

# ruff: noqa: N806 - X is scikit-learn's name

import os
import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ml_assets.errors import TrainingError
from ml_assets.storage.artifact_inputs import ArtifactInputs
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.training import export
from ml_assets.training.estimator import TermWeights, build
from ml_assets.training.export import feed, latency, parity, probabilities, score, session, to_onnx
from ml_assets.training.frame import FeatureColumns

NUMERIC = ["plain", "coarse", "large", "adjacent", "gaps", "extreme"]
CATEGORICAL = ["city", "plan"]
COLUMNS = FeatureColumns(tuple(NUMERIC), tuple(CATEGORICAL))
TOLERANCE = 1e-5


def calibrated(path: str, **parameters: object) -> tuple[str, dict[str, object]]:
    nested = {"type": path, **parameters}
    return "sklearn.calibration.CalibratedClassifierCV", {"estimator": nested, "method": "sigmoid", "cv": 3}


ENSEMBLE = "sklearn.ensemble."
BOOSTING = ENSEMBLE + "HistGradientBoostingClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"
ESTIMATORS: list[tuple[str, dict[str, object]]] = [
    (BOOSTING, {"max_iter": 25}),
    (ENSEMBLE + "RandomForestClassifier", {"n_estimators": 15}),
    (ENSEMBLE + "ExtraTreesClassifier", {"n_estimators": 15, "max_depth": 12}),
    (ENSEMBLE + "GradientBoostingClassifier", {"n_estimators": 30}),
    (ENSEMBLE + "BaggingClassifier", {"n_estimators": 3}),
    (ENSEMBLE + "AdaBoostClassifier", {"n_estimators": 10}),
    ("sklearn.tree.DecisionTreeClassifier", {}),
    ("sklearn.tree.ExtraTreeClassifier", {}),
    (LOGISTIC, {}),
    ("sklearn.linear_model.SGDClassifier", {"loss": "log_loss"}),
    calibrated(BOOSTING, max_iter=8),
    calibrated(ENSEMBLE + "RandomForestClassifier", n_estimators=5),
    calibrated(LOGISTIC),
]


def rows(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Numbers where float32 and float64 part ways, gaps, rare and unseen categories, words beyond ASCII."""
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=n).astype(np.float32) for name in NUMERIC}
    numbers["coarse"] = np.round(numbers["coarse"] * 3)
    numbers["large"] = rng.integers(0, 2**24 + 100, n).astype(np.float32)
    numbers["adjacent"] = np.float32(1) + rng.integers(0, 8, n).astype(np.float32) * np.float32(2**-23)
    log_odds = numbers["plain"] + numbers["coarse"] / 3 + (numbers["adjacent"] > 1.0000003)
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    numbers["gaps"][rng.random(n) < 0.3] = np.nan
    numbers["plain"][rng.random(n) < 0.1] = np.nan
    kind = rng.integers(0, 60, n)
    for i, value in enumerate((1e30, -1e30, 1e-42, -0.0)):
        numbers["extreme"][kind == i] = value
    city = pd.Series(rng.choice(["Aachen", "Malmö", "", "São Paulo"], n), dtype="str")
    city[rng.random(n) < 0.1] = None
    city[rng.random(n) < 0.003] = f"village {seed}"
    plan = pd.Series(rng.choice(["basic", "pro"], n), dtype="str")
    return pd.DataFrame(numbers).assign(city=city, plan=plan), y


def fitted(path: str, parameters: dict[str, Any], n: int = 1500) -> Pipeline:
    return build(path, parameters, COLUMNS, 0).fit(*rows(n, 0))


def exported(path: str = LOGISTIC, **parameters: object) -> bytes:
    return to_onnx(fitted(path, parameters), COLUMNS)


@pytest.mark.parametrize(("path", "parameters"), ESTIMATORS, ids=lambda value: str(value).rpartition(".")[2][:40])
def test_every_row_agrees(path: str, parameters: dict[str, Any]) -> None:
    pipeline = fitted(path, parameters)
    assert parity(pipeline, to_onnx(pipeline, COLUMNS), rows(5000, 1)[0]) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(("path", "parameters"), ESTIMATORS, ids=lambda value: str(value).rpartition(".")[2][:40])
def test_every_one_of_300_000_rows_agrees(path: str, parameters: dict[str, Any]) -> None:
    pipeline = fitted(path, parameters, 20_000)
    assert parity(pipeline, to_onnx(pipeline, COLUMNS), rows(300_000, 1)[0]) < TOLERANCE


def test_trees_behind_a_scaler_agree_too() -> None:
    parameters = {
        "estimators": [
            ("trees", build(BOOSTING, {"max_iter": 8}, FeatureColumns(tuple(NUMERIC), ()), 0)[-1]),
            ("line", build(LOGISTIC, {}, FeatureColumns(tuple(NUMERIC), ()), 0)[-1]),
        ]
    }
    pipeline = fitted(ENSEMBLE + "VotingClassifier", {**parameters, "voting": "soft", "flatten_transform": False})
    assert parity(pipeline, to_onnx(pipeline, COLUMNS), rows(5000, 1)[0]) < TOLERANCE


def test_numbers_alone_and_categories_alone_are_exported() -> None:
    X, y = rows(1500, 0)
    for numeric, categorical in ((NUMERIC, []), ([], CATEGORICAL), (["gaps"], ["city"])):
        chosen = FeatureColumns(tuple(numeric), tuple(categorical))
        pipeline = build(BOOSTING, {"max_iter": 5}, chosen, 0).fit(X, y)
        assert parity(pipeline, to_onnx(pipeline, chosen), X) < TOLERANCE


def test_one_input_of_all_numbers_one_per_text_and_plain_probabilities() -> None:
    model = session(exported())
    kinds = [(tensor.type, tensor.shape[1]) for tensor in model.get_inputs()]
    assert kinds == [("tensor(float)", len(NUMERIC)), *[("tensor(string)", 1)] * len(CATEGORICAL)]
    inputs = ArtifactInputs.of_session(model)
    assert list(inputs.places) == COLUMNS.all
    assert [inputs.places[name] for name in NUMERIC] == [(inputs.joined, at) for at in range(len(NUMERIC))]
    (found,) = model.run([PROBABILITIES], feed(model, rows(3, 1)[0]))
    assert (found.shape, found.dtype) == ((3, 2), np.float32)
    onnx.checker.check_model(onnx.load_from_string(exported()))


@pytest.mark.parametrize(
    ("path", "parameters"),
    [(BOOSTING, {"max_iter": 8}), (LOGISTIC, {}), (ENSEMBLE + "RandomForestClassifier", {"n_estimators": 5})],
    ids=lambda value: str(value).rpartition(".")[2][:40],
)
def test_one_tensor_changes_no_bit(path: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts of earlier releases have an input for each number; they run on, through the same function."""
    pipeline, X = fitted(path, parameters), rows(2000, 1)[0]
    joined = to_onnx(pipeline, COLUMNS)
    monkeypatch.setattr(export, "_join_numbers", lambda *_: None)
    apart = session(to_onnx(pipeline, COLUMNS))
    assert [tensor.shape[1] for tensor in apart.get_inputs()] == [1] * len(COLUMNS.all)
    np.testing.assert_array_equal(probabilities(joined, X), probabilities(apart, X))


def test_numbers_that_are_called_as_a_node_and_one_number_alone() -> None:
    X, y = rows(1500, 0)
    for names in (["numbers", "concatenated"], ["numbers"]):
        renamed = X.rename(columns=dict(zip(NUMERIC, names, strict=False)))
        chosen = FeatureColumns(tuple(names), ())
        pipeline = build(LOGISTIC, {}, chosen, 0).fit(renamed, y)
        assert parity(pipeline, to_onnx(pipeline, chosen), renamed) < TOLERANCE


def test_a_missing_category_is_sent_as_its_token() -> None:
    model, X = session(exported()), rows(1, 1)[0]
    absent = X.assign(city=pd.Series([None], dtype="str"))
    assert feed(model, absent)[ArtifactInputs.of_session(model).places["city"].tensor].tolist() == [[MISSING]]
    assert score(model, absent) == score(model, X.assign(city=pd.Series([MISSING], dtype="str")))


def test_a_category_that_is_spelled_like_the_token_is_refused() -> None:
    X, y = rows(1500, 0)
    X["city"] = X["city"].where(X["city"] != "Aachen", MISSING)
    pipeline = build(LOGISTIC, {}, COLUMNS, 0).fit(X, y)
    with pytest.raises(TrainingError, match="stands for missing: rename it"):
        to_onnx(pipeline, COLUMNS)


def test_one_row_scores_like_many_and_the_order_of_columns_does_not_matter() -> None:
    model, X = session(exported(BOOSTING, max_iter=8)), rows(50, 1)[0]
    together = score(model, X)
    assert [score(model, X.iloc[[i]])[0] for i in range(50)] == together.tolist()
    assert score(model, X[X.columns[::-1]]).tolist() == together.tolist()


def test_an_absent_column_is_named() -> None:
    with pytest.raises(TrainingError, match="asks for 'gaps', 'plan', which the rows lack"):
        score(exported(), rows(5, 1)[0].drop(columns=["gaps", "plan"]))


@pytest.mark.parametrize("path", ["sklearn.dummy.DummyClassifier", "sklearn.semi_supervised.LabelSpreading"])
def test_an_estimator_without_an_export_is_named_with_the_remedy(path: str) -> None:
    name = path.rpartition(".")[2]
    with pytest.raises(TrainingError, match=f"{name} cannot be exported to ONNX: .*Choose an estimator"):
        to_onnx(fitted(path, {}, 200), COLUMNS)


def test_categorical_splits_are_refused_rather_than_exported_wrongly() -> None:
    with pytest.raises(TrainingError, match="categorical splits have no ONNX form"):
        exported(BOOSTING, max_iter=3, categorical_features=[1])


def test_latency_is_a_number_of_milliseconds() -> None:
    found = latency(exported(), rows(20, 1)[0], requests=50)
    assert 0 < found["latency_p50_ms"] <= found["latency_p99_ms"]


def test_no_rows_have_neither_parity_nor_latency() -> None:
    pipeline, none = fitted(LOGISTIC, {}), rows(5, 1)[0].iloc[:0]
    onnx_bytes = to_onnx(pipeline, COLUMNS)
    with pytest.raises(TrainingError, match="at least one row"):
        parity(pipeline, onnx_bytes, none)
    with pytest.raises(TrainingError, match="at least one row"):
        latency(onnx_bytes, none)


@pytest.mark.slow
def test_another_process_exports_the_same_bytes() -> None:
    code = f"import hashlib; from {__name__} import *; print(hashlib.sha256(exported(BOOSTING)).hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")  # strings hash differently: what follows the order of a set shows
    }
    assert len(digests) == 1


@pytest.mark.parametrize("sublinear_tf", [True, False])
@pytest.mark.parametrize("use_idf", [True, False])
@pytest.mark.parametrize("norm", ["l2", "l1", None])
def test_the_terms_of_a_text_weigh_the_same(sublinear_tf: bool, use_idf: bool, norm: str | None) -> None:
    rng = np.random.default_rng(3)
    words = np.array(["rent", "lease", "tenant", "amend", "pays", "cam", "share", "the", "of"])
    texts = [" ".join(rng.choice(words, rng.integers(0, 60))) for _ in range(200)]
    X = pd.DataFrame({"story": pd.Series([*texts, "", "rent", "no such word here"], dtype="str")})
    y = np.arange(len(X)) % 3
    pipeline = build(
        "sklearn.linear_model.LogisticRegression", {}, FeatureColumns((), (), ("story",)), 0, TermWeights(ngrams=3)
    )
    pipeline[0].transformers[0][1].set_params(
        weights__sublinear_tf=sublinear_tf, weights__use_idf=use_idf, weights__norm=norm
    )
    pipeline.fit(X, y)
    assert parity(pipeline, to_onnx(pipeline, FeatureColumns((), (), ("story",))), X) < 2e-6
