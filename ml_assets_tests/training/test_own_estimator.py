"""An estimator of another library comes in by a function that registers its converter: README.md, "other libraries"."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier

from ml_assets.errors import TrainingError
from ml_assets.training.estimator import build
from ml_assets.training.export import parity, to_onnx
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.preflight import require_trainable
from ml_assets_tests.conftest import Tiny

COLUMNS = FeatureColumns(("spend",), ("plan",))


class Unknown(GradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that skl2onnx has never heard of."""


class Boosted(GradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Another one, with a converter of its own."""


def boosted(**parameters: Any) -> Boosted:
    """What a folder's `estimator.type` names."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.operator_converters.gradient_boosting import convert_sklearn_gradient_boosting_classifier

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
    update_registered_converter(
        Boosted, "LibraryBoosted", calculate_linear_classifier_output_shapes,
        convert_sklearn_gradient_boosting_classifier, options=options,
    )  # fmt: skip
    return Boosted(**parameters)


def rows() -> tuple[pd.DataFrame, "np.ndarray[Any, np.dtype[np.int64]]"]:
    rng = np.random.default_rng(0)
    spend, plan = rng.normal(size=400).astype(np.float32), rng.choice(["basic", "pro"], 400)
    label = (spend + (plan == "pro") + rng.normal(size=400) > 0.5).astype(np.int64)
    return pd.DataFrame({"spend": spend, "plan": plan}), label


def test_a_function_that_registers_a_converter_brings_a_library_in() -> None:
    X, y = rows()  # noqa: N806 - scikit-learn's name
    pipeline = build(f"{__name__}.boosted", {"n_estimators": 20}, COLUMNS, seed=3).fit(X, y)
    assert pipeline[-1].random_state == 3
    assert parity(pipeline, to_onnx(pipeline, COLUMNS), X) < 1e-5


def test_without_a_converter_it_is_refused() -> None:
    X, y = rows()  # noqa: N806 - scikit-learn's name
    pipeline = build(f"{__name__}.Unknown", {"n_estimators": 2}, COLUMNS, seed=0).fit(X, y)
    with pytest.raises(TrainingError, match="Unknown cannot be exported to ONNX"):
        to_onnx(pipeline, COLUMNS)


class Foreign(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of a library that does not declare to scikit-learn what its parameters may be, as LightGBM's."""

    def __init__(self, leaves: int = 3) -> None:
        self.leaves = leaves

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.full((len(X), 2), 0.5)


def test_an_estimator_that_declares_no_constraints_is_taken_and_its_parameters_are_looked_at(tiny: Tiny) -> None:
    require_trainable(tiny.folder(estimator={"type": f"{__name__}.Foreign", "leaves": 7}))
    with pytest.raises(TrainingError, match="no parameter 'leafs': did you mean 'leaves'"):
        require_trainable(tiny.folder(estimator={"type": f"{__name__}.Foreign", "leafs": 7}))
