"""An estimator that cannot be made is refused before any row is read."""

from typing import Any

import pytest

from ml_assets.errors import TrainingError
from ml_assets.training.preflight import require_trainable
from ml_assets_tests.conftest import Tiny

LOGISTIC = "sklearn.linear_model.LogisticRegression"
CALIBRATED = "sklearn.calibration.CalibratedClassifierCV"
FOREST = "sklearn.ensemble.RandomForestClassifier"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"estimator": {"type": LOGISTIC, "c": 1}}, "LogisticRegression has no parameter 'c': did you mean 'C'"),
        ({"estimator": {"type": LOGISTIC, "C": -1}}, "'C' parameter of LogisticRegression must be"),
        ({"estimator": {"type": "sklearn.linear_model.LogisticRegresion"}}, "cannot be imported"),
        ({"estimator": {"type": "sklearn.linear_model.LinearRegression"}}, "LinearRegression"),
        ({"search": {"max_depht": {"low": 1, "high": 3}}}, "no parameter 'max_depht'"),
        ({"search": {"C": {"low": -1.0, "high": 3.0}}}, "'C' parameter .* Got -1.0"),
        ({"search": {"solver": {"choices": ["lbfgs", "newton"]}}}, "'solver' parameter .* Got 'newton'"),
        (
            {
                "estimator": {
                    "type": CALIBRATED,
                    "estimator": {"type": FOREST, "n": 1},
                }
            },
            "RandomForestClassifier has no parameter 'n'",
        ),
        (
            {
                "estimator": {
                    "type": CALIBRATED,
                    "estimator": {"type": FOREST, "max_depth": 0},
                }
            },
            "'max_depth' parameter of RandomForestClassifier",
        ),
    ],
)
def test_a_wrong_type_parameter_or_value_is_named_with_its_file(tiny: Tiny, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=rf"shop/defs\.yaml: estimator: .*{said}") as refused:
        require_trainable(tiny.folder(**changes))
    assert len(str(refused.value)) < 500


def test_what_can_be_fitted_passes(tiny: Tiny) -> None:
    require_trainable(tiny.folder(search={"trials": 2, "C": {"low": 0.1, "high": 10.0, "log": True}}))
