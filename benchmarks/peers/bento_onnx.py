"""BentoML with adaptive batching around ONNX Runtime, as it comes: a shorter latency limit answers 503 under load."""

import bentoml
import numpy as np

from benchmarks.peers.forest import onnx


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Forest:
    """One worker, as every side."""

    def __init__(self) -> None:
        self.model = onnx()

    @bentoml.api(batchable=True)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """P(label = 1) of each row."""
        return self.model(rows.astype(np.float32))
