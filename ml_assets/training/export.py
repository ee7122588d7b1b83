"""A fitted pipeline as ONNX, which answers a row in microseconds and runs no code when it is loaded."""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import TrainingError, list_values
from ml_assets.storage.manifest import FEATURES, MISSING, PROBABILITIES, tensors
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
    """The serialised model: one input per column, in their order; the output `probabilities` is float [n, classes].

    The inputs are called f0, f1, …, and the metadata `FEATURES` says which columns they are.

    Numbers are float tensors [n, 1] with NaN for missing, categories string tensors [n, 1] with `MISSING`, text string
    tensors [n, 1], empty for missing.

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


def session(onnx: bytes, threads: int = 1) -> "InferenceSession":
    """An ONNX Runtime session on the CPU; one thread is fastest for single rows, with equal digits always."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors are raised; warnings are about shapes that nobody can act on
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def feed(model: "InferenceSession", X: "pd.DataFrame") -> "dict[str, NDArray[Any]]":  # noqa: N803 - scikit-learn's name
    """The input tensors [n, 1] of `model` from the columns of `X`.

    Raises:
        TrainingError: a column that the model asks for is absent.
    """
    names, kinds = tensors(model), [tensor.type for tensor in model.get_inputs()]
    absent = sorted(names.keys() - set(X.columns))
    if absent:
        raise TrainingError(
            f"the model asks for {list_values(absent)}, which the rows lack: bring every declared feature"
        )
    return {
        tensor: _tensor(X[name], words="string" in kind)
        for (name, tensor), kind in zip(names.items(), kinds, strict=True)
    }


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


def _tensor(column: "pd.Series[Any]", *, words: bool) -> "NDArray[Any]":
    if words:
        return column.astype(object).where(column.notna(), MISSING).to_numpy(dtype=object).reshape(-1, 1)
    return column.to_numpy(dtype=np.float32, na_value=np.nan).reshape(-1, 1)
