"""A fitted pipeline as ONNX, which answers a row in microseconds and runs no code when it is loaded."""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import TrainingError, list_values
from ml_assets.storage.artifact_inputs import FEATURES, NUMBERS, ArtifactInputs
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.training.converters import converters

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from sklearn.pipeline import Pipeline

    from ml_assets.training.frame import FeatureColumns

_OPSET = {"": 21, "ai.onnx.ml": 3, "com.microsoft": 1}
_ROWS = 100_000  # of one call; a row of text is a row of its whole vocabulary


def to_onnx(pipeline: "Pipeline", columns: "FeatureColumns") -> bytes:
    """The serialised model: one input of all numbers, and one for each text; its output is `probabilities`.

    The input `numbers` is float [n, numbers] with NaN for missing. Categories are string tensors [n, 1] with `MISSING`,
    text string tensors [n, 1], empty for missing, called f29, f30, …. The metadata `FEATURES` names the columns in
    their order. `probabilities` is float [n, classes].

    Args:
        pipeline: a fitted pipeline of `estimator.build`.
        columns: its columns.

    Raises:
        TrainingError: skl2onnx has no faithful conversion of a step.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    numbers = [(name, FloatTensorType([None, 1])) for name in columns.numeric]
    words = [(name, StringTensorType([None, 1])) for name in (*columns.categorical, *columns.text)]
    exact, shapes = converters()
    try:
        model = convert_sklearn(
            pipeline,
            name="model",
            initial_types=[*numbers, *words],
            options={id(pipeline): {"zipmap": False}},
            target_opset=_OPSET,
            custom_conversion_functions=exact,
            custom_shape_calculators=shapes,
        )
    # skl2onnx raises these for what it does not know; which one depends on where it notices.
    except (
        MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError, TypeError, ValueError,
        AttributeError, NameError, KeyError, IndexError,
    ) as error:  # fmt: skip
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise TrainingError(
            f"{type(pipeline[-1]).__name__} cannot be exported to ONNX: {why.rstrip('.')}. Choose an "
            "estimator that skl2onnx converts: HistGradientBoostingClassifier, RandomForestClassifier "
            "or LogisticRegression"
        ) from error
    # skl2onnx lists the operator sets in the order of a set of strings, which differs in every process.
    model.opset_import.sort(key=lambda used: used.domain)
    _name_inputs(model.graph)
    _join_numbers(model.graph, len(columns.numeric))
    entry = model.metadata_props.add()
    entry.key, entry.value = FEATURES, json.dumps(columns.all)
    return bytes(model.SerializeToString(deterministic=True))


def _name_inputs(graph: Any) -> None:  # noqa: ANN401 - an ONNX GraphProto
    """Names of our own: what skl2onnx makes of a column's name need not be one of ONNX, nor tell two columns apart."""
    used = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    prefix = "f"
    while any(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in used):
        prefix += "_"
    names = {tensor.name: f"{prefix}{place}" for place, tensor in enumerate(graph.input)}
    for tensor in graph.input:
        tensor.name = names[tensor.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _join_numbers(graph: Any, count: int) -> None:  # noqa: ANN401 - an ONNX GraphProto
    """One input in place of the first `count`, which are numbers: to read so many tensors took longer than the trees.

    Where a node joins all of them in their order, its readers have the new input; else each becomes a column of that.
    The sums of the model are not touched, so no digit changes.
    """
    from onnx import TensorProto, helper

    if not count:
        return
    used = {name for node in graph.node for name in (*node.input, *node.output)} | {each.name for each in graph.input}
    whole = next(name for name in (NUMBERS + "_" * length for length in range(len(used) + 1)) if name not in used)
    columns = [tensor.name for tensor in graph.input[:count]]
    joining = {"Concat", "FeatureVectorizer"}
    joints = [node for node in graph.node if node.op_type in joining and [*node.input] == columns]
    names = dict.fromkeys((node.output[0] for node in joints), whole) | ({columns[0]: whole} if count == 1 else {})
    nodes = [node for node in graph.node if node not in joints]
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
    read = {name for node in nodes for name in node.input}
    alone = [(at, name) for at, name in enumerate(columns) if name in read]
    for at, name in alone:
        graph.initializer.append(helper.make_tensor(f"{name}_place", TensorProto.INT64, [1], [at]))
    gathers = [helper.make_node("Gather", [whole, f"{name}_place"], [name], axis=1) for _, name in alone]
    rest = [helper.make_tensor_value_info(whole, TensorProto.FLOAT, [None, count]), *graph.input[count:]]
    for field, values in ((graph.input, rest), (graph.node, [*gathers, *nodes])):
        copies = [type(each).FromString(each.SerializeToString()) for each in values]
        del field[:]
        field.extend(copies)


def session(onnx: bytes, threads: int = 1) -> "InferenceSession":
    """An ONNX Runtime session on the CPU; one thread is fastest for single rows, with equal digits always."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors are raised; warnings are about shapes that nobody can act on
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def feed(model: "InferenceSession", X: "pd.DataFrame") -> "dict[str, NDArray[Any]]":  # noqa: N803 - scikit-learn's name
    """The input tensors of `model` from the columns of `X`.

    Raises:
        TrainingError: a column that the model asks for is absent.
    """
    inputs = ArtifactInputs.of_session(model)
    absent = sorted(inputs.places.keys() - set(X.columns))
    if absent:
        raise TrainingError(
            f"the model asks for {list_values(absent)}, which the rows lack: bring every declared feature"
        )
    return inputs.feed(
        {name: _values(X[name], words=place.tensor in inputs.texts) for name, place in inputs.places.items()}
    )


def probabilities(onnx: "bytes | InferenceSession", X: "pd.DataFrame") -> "NDArray[np.float64]":  # noqa: N803 - scikit-learn's name
    """The probability of each class of each row, shape [n, classes]."""
    model = session(onnx) if isinstance(onnx, bytes) else onnx
    parts = [X.iloc[start : start + _ROWS] for start in range(0, len(X), _ROWS)] or [X]
    p = [model.run([PROBABILITIES], feed(model, part))[0] for part in parts]
    return np.concatenate(p).astype(np.float64)


def score(onnx: "bytes | InferenceSession", X: "pd.DataFrame") -> "NDArray[np.float64]":  # noqa: N803 - scikit-learn's name
    """P(label = 1) of each row; of several classes, the probability of the most probable one. Shape [n]."""
    p = probabilities(onnx, X)
    return p[:, 1] if p.shape[1] == 2 else p.max(axis=1)


def parity(pipeline: "Pipeline", onnx: bytes, X: "pd.DataFrame") -> float:  # noqa: N803 - scikit-learn's name
    """The largest absolute difference between the probabilities of pipeline and export, over all rows of `X`.

    Raises:
        TrainingError: there is no row, or one of the two gives something that is no number.
    """
    if not len(X):
        raise TrainingError("parity needs at least one row: pass the test rows")
    gap = np.abs(pipeline.predict_proba(X) - probabilities(onnx, X)).max(axis=1)
    if not np.isfinite(gap).all():
        raise TrainingError(
            f"{int((~np.isfinite(gap)).sum())} of {len(X)} rows have no probability: check the features"
        )
    return float(gap.max())


def latency(onnx: bytes, X: "pd.DataFrame", requests: int = 200) -> dict[str, float]:  # noqa: N803 - scikit-learn's name
    """Milliseconds of one-row calls on one thread: `latency_p50_ms`, `latency_p99_ms`; they vary.

    Raises:
        TrainingError: there is no row.
    """
    if not len(X):
        raise TrainingError("latency needs at least one row: pass the test rows")
    model = session(onnx)
    rows = [feed(model, X.iloc[[i % len(X)]]) for i in range(min(requests, len(X)))]
    model.run([PROBABILITIES], rows[0])
    times = [_milliseconds(model, rows[i % len(rows)]) for i in range(requests)]
    p50, p99 = np.percentile(times, [50, 99])
    return {"latency_p50_ms": float(p50), "latency_p99_ms": float(p99)}


def _milliseconds(model: "InferenceSession", row: "dict[str, NDArray[Any]]") -> float:
    start = time.perf_counter()
    model.run([PROBABILITIES], row)
    return (time.perf_counter() - start) * 1000


def _values(column: "pd.Series[Any]", *, words: bool) -> "NDArray[Any]":
    if words:
        return column.astype(object).where(column.notna(), MISSING).to_numpy(dtype=object)
    return column.to_numpy(dtype=np.float32, na_value=np.nan)
