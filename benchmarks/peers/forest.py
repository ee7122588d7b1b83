"""Where the servers of the benchmark find the forest: the folder that `BENCHMARK_FOREST` names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = (
    "events", "events_14d", "orders", "tickets", "kinds", "total_amount", "average_amount", "largest_amount",
    "days_since_event", "days_since_first",
)  # fmt: skip


def folder() -> Path:
    """Holds `forest.joblib` and `columns.onnx`."""
    return Path(os.environ["BENCHMARK_FOREST"])


def sklearn() -> Any:  # noqa: ANN401 - one environment lacks the other's types
    """The forest of scikit-learn, fitted on an array with the columns of `NAMES`."""
    import joblib

    return joblib.load(folder() / "forest.joblib")


def onnx() -> Callable[[Any], Any]:
    """The same forest in ONNX Runtime, on one thread: float32 rows with the columns of `NAMES` → P(label = 1) of each.

    The artifact has one input [n, 1] a feature, in their order, or one for all of them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder() / "columns.onnx", options, providers=["CPUExecutionProvider"])
    inputs = [each.name for each in session.get_inputs()]

    def score(rows: Any) -> Any:  # noqa: ANN401 - one environment lacks the other's types
        columns = [rows] if len(inputs) == 1 else rows.T.reshape(len(inputs), len(rows), 1)
        (probabilities,) = session.run(["probabilities"], dict(zip(inputs, columns, strict=True)))
        return probabilities[:, 1]

    return score
