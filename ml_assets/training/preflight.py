"""Checks of an estimator before any row is read: that it can be made, and takes its parameters."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml_assets.errors import TrainingError, shorten
from ml_assets.training.frame import FeatureColumns

if TYPE_CHECKING:
    from ml_assets.spec.model import ModelSpec
    from ml_assets.training.definition import ModelDefinition


def require_trainable(folder: "ModelDefinition") -> None:
    """Make the declared estimator once, and with the ends of each range of the search; nothing is fitted.

    Raises:
        TrainingError: the type cannot be imported, a parameter is unknown, or scikit-learn refuses its value.
    """
    for parameters in _combinations(folder.spec):
        _require(folder, parameters)


def _combinations(spec: "ModelSpec") -> Iterator[dict[str, Any]]:
    declared = spec.estimator.parameters
    yield declared
    for name, entry in (spec.search.space if spec.search else {}).items():
        for value in entry.ends:
            yield declared | {name: value}


def _require(folder: "ModelDefinition", parameters: Mapping[str, Any]) -> None:
    from ml_assets.training.estimator import build

    spec, where = folder.spec, f"{folder.name}/defs.yaml: estimator"
    try:
        model = build(spec.estimator.type, parameters, FeatureColumns(("feature",), ()), spec.seed)[-1]
        for part in (model, *model.get_params(deep=True).values()):
            if hasattr(part, "_parameter_constraints"):  # other libraries have none
                part._validate_params()  # noqa: SLF001 - what its fit does first
    except TrainingError as error:
        raise TrainingError(f"{where}: {error}") from error
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{where}: {spec.estimator.type}: {shorten(' '.join(str(error).split()), 300)}") from error
