"""Converters to ONNX where those of skl2onnx 1.20 differ from scikit-learn 1.9.

Its forests forget where a missing value goes, its boosting rounds float64 thresholds to the nearest float32
rather than down, its scaler multiplies where scikit-learn divides, its one-hot encoder knows neither
missing nor rare categories, and its sublinear term frequency is ln(1 + tf), not 1 + ln(tf). `test_export.py`
proves each against scikit-learn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.storage.manifest import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

Attributes = dict[str, Any]
Table = tuple[dict[str, int], int, int]  # category → number, the number of any other, how many columns
Repair = Callable[[Any, Attributes], Attributes]


def converters() -> tuple[dict[type, Any], dict[type, Any]]:
    """Custom conversion functions and shape calculators of `skl2onnx.convert_sklearn`, by estimator class."""
    from sklearn import ensemble, tree
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    forests = (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier)
    trees = (tree.DecisionTreeClassifier, tree.ExtraTreeClassifier)
    functions: dict[type, Any] = {
        **{kind: _repaired(kind, _keep_missing) for kind in (*forests, *trees)},
        ensemble.HistGradientBoostingClassifier: _repaired(ensemble.HistGradientBoostingClassifier, _round_down),
        StandardScaler: _scale,
        OneHotEncoder: _encode,
        TfidfTransformer: _weigh,
    }
    return functions, {OneHotEncoder: _encoded_shape}


def _repaired(kind: type, repair: Repair) -> Callable[..., None]:
    """The converter of skl2onnx, with the attributes of each tree node that it adds repaired first."""
    from skl2onnx import _supported_operators
    from skl2onnx.common._registration import get_converter

    convert = get_converter(_supported_operators.sklearn_operator_name_map[kind])

    def convert_repaired(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx has no types
        convert(scope, operator, _Repairing(container, operator.raw_operator, repair))

    return convert_repaired


@dataclass(frozen=True)
class _Repairing:
    """A container of skl2onnx whose tree nodes pass through `repair`."""

    container: Any
    model: Any
    repair: Repair

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the container has
        return getattr(self.container, name)

    def add_node(self, op_type: str, *where: Any, **attributes: Any) -> None:  # noqa: ANN401 - passed on
        if op_type.startswith("TreeEnsemble"):
            attributes |= self.repair(self.model, attributes)
        self.container.add_node(op_type, *where, **attributes)


def _keep_missing(model: Any, attributes: Attributes) -> Attributes:  # noqa: ANN401 - a forest or a tree
    """Send a missing value where scikit-learn sends it."""
    trees = [each.tree_ for each in getattr(model, "estimators_", [model])]
    left = np.concatenate([tree.missing_go_to_left * (tree.children_left >= 0) for tree in trees])
    return _missing(model, left, attributes)


def _round_down(model: Any, attributes: Attributes) -> Attributes:  # noqa: ANN401 - a HistGradientBoostingClassifier
    """The largest float32 below a float64 threshold: `x <= t` then means the same for every float32 `x`."""
    nodes = np.concatenate([tree.nodes for stage in model._predictors for tree in stage])  # noqa: SLF001 - nowhere public
    if nodes["is_categorical"].any():
        raise TrainingError("HistGradientBoostingClassifier: categorical splits have no ONNX form; leave them one-hot")
    values = np.where(nodes["is_leaf"], np.float32(0), _floor(nodes["num_threshold"]))
    return _missing(model, nodes["missing_go_to_left"], attributes) | {"nodes_values": values}


def _missing(model: object, left: "NDArray[Any]", attributes: Attributes) -> Attributes:
    exported = len(attributes["nodes_nodeids"])
    if len(left) != exported:
        raise TrainingError(
            f"{type(model).__name__} has {len(left)} tree nodes, its export {exported}: this skl2onnx "
            "numbers them otherwise; install the version that uv.lock names"
        )
    # Plain ints: what skl2onnx collects, uint8 mixed with bool, is refused by some builds of protobuf.
    return {"nodes_missing_value_tracks_true": (left != 0).astype(int).tolist()}


def _floor(thresholds: "NDArray[np.float64]") -> "NDArray[np.float32]":
    with np.errstate(over="ignore"):  # beyond float32 it becomes inf, and then steps down to the largest number
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _scale(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx has no types
    """Subtract and divide in float32, as scikit-learn does: a tree behind it sees the very same numbers."""
    from skl2onnx.operator_converters.common import concatenate_variables

    scaler, current = operator.raw_operator, concatenate_variables(scope, operator.inputs, container)
    for step, by in (("Sub", scaler.mean_), ("Div", scaler.scale_)):
        if by is not None:
            after = scope.get_unique_variable_name("scaled")
            container.add_node(step, [current, _constant(scope, container, by.astype(np.float32))], [after])
            current = after
    container.add_node("Identity", [current], [operator.outputs[0].full_name])


def _encode(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx has no types
    """Each category to its number, and each number to its 0/1 column; one beyond the last gets none."""
    tables = _tables(operator.raw_operator)
    columns = [_encoded(scope, container, _input(scope, operator, container, i), t) for i, t in enumerate(tables)]
    container.add_node("Concat", columns, [operator.outputs[0].full_name], axis=1)


def _encoded(scope: Any, container: Any, column: str, table: Table) -> str:  # noqa: ANN401 - no types
    number, spread, flat = (scope.get_unique_variable_name(name) for name in ("category", "spread", "onehot"))
    keys, other, width = table
    container.add_node(
        "LabelEncoder", [column], [number], op_domain="ai.onnx.ml", op_version=2,
        keys_strings=list(keys), values_int64s=list(keys.values()), default_int64=other,
    )  # fmt: skip
    container.add_node(
        "OneHotEncoder", [number], [spread], op_domain="ai.onnx.ml", cats_int64s=list(range(width)), zeros=1
    )
    container.add_node("Reshape", [spread, _constant(scope, container, np.array([-1, width]))], [flat])
    return str(flat)


def _input(scope: Any, operator: Any, container: Any, index: int) -> str:  # noqa: ANN401 - skl2onnx has no types
    if len(operator.inputs) > 1:
        return str(operator.inputs[index].full_name)
    column = scope.get_unique_variable_name("column")
    place = _constant(scope, container, np.array([index]))
    container.add_node("Gather", [operator.inputs[0].full_name, place], [column], axis=1)
    return str(column)


def _constant(scope: Any, container: Any, values: "NDArray[Any]") -> str:  # noqa: ANN401 - skl2onnx has no types
    from onnx import TensorProto

    name = scope.get_unique_variable_name("constant")
    kind = TensorProto.FLOAT if values.dtype == np.float32 else TensorProto.INT64
    container.add_initializer(name, kind, list(values.shape), values.tolist())
    return str(name)


def _tables(encoder: Any) -> list[Table]:  # noqa: ANN401 - a OneHotEncoder
    """For each column: category → number, the number of any other one, and how many columns it becomes."""
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    return [_table(_words(all_), _words(few)) for all_, few in zip(encoder.categories_, rare, strict=True)]


def _table(known: list[str], rare: list[str]) -> Table:
    if len(set(known)) < len(known):
        raise TrainingError(
            f"a category is spelled {MISSING!r}, which stands for missing: rename it in the feature view"
        )
    frequent = [word for word in known if word not in set(rare)]
    keys = {word: i for i, word in enumerate(frequent)} | dict.fromkeys(rare, len(frequent))
    return keys, len(frequent), len(frequent) + bool(rare)


def _words(categories: Sequence[object] | None) -> list[str]:
    return [word if isinstance(word, str) else MISSING for word in (() if categories is None else categories)]


def _encoded_shape(operator: Any) -> None:  # noqa: ANN401 - skl2onnx has no types
    from skl2onnx.common.data_types import FloatTensorType

    width = sum(width for _, _, width in _tables(operator.raw_operator))
    operator.outputs[0].type = FloatTensorType([operator.inputs[0].get_first_dimension(), width])


def _weigh(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx has no types
    """Counts of terms as scikit-learn weighs them: dampened, times idf, and the whole of length one."""
    from skl2onnx.common._apply_operation import apply_normalizer

    weigher, current = operator.raw_operator, str(operator.inputs[0].full_name)
    if weigher.sublinear_tf:  # 1 + ln(tf), and 0 where there is none: counts are whole numbers
        one = _constant(scope, container, np.ones(1, np.float32))
        most, least, log, dampened = (scope.get_unique_variable_name(name) for name in ("most", "least", "log", "damp"))
        container.add_node("Max", [current, one], [most])
        container.add_node("Min", [current, one], [least])
        container.add_node("Log", [most], [log])
        container.add_node("Add", [log, least], [dampened])
        current = dampened
    if weigher.use_idf:
        weighted = scope.get_unique_variable_name("weighted")
        container.add_node("Mul", [current, _constant(scope, container, weigher.idf_.astype(np.float32))], [weighted])
        current = weighted
    if weigher.norm:
        unit = scope.get_unique_variable_name("unit")
        apply_normalizer(scope, current, unit, container, norm=weigher.norm.upper(), use_float=True)
        current = unit
    container.add_node("Identity", [current], [operator.outputs[0].full_name])
