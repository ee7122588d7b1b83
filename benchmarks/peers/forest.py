"""Where the servers of the benchmark find the forest: the folder that `BENCHMARK_FOREST` names."""

import os
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


def onnx() -> Any:  # noqa: ANN401 - onnxruntime has no types
    """The same forest in ONNX Runtime, on one thread: one float [n, 1] for each of `NAMES`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(folder() / "columns.onnx", options, providers=["CPUExecutionProvider"])
