"""FastAPI and pydantic around ONNX Runtime, as written by hand."""

import numpy as np
from fastapi import FastAPI

from benchmarks.peers.body import Prediction, Request, Response
from benchmarks.peers.forest import NAMES, onnx

app = FastAPI()
model = onnx()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """P(label = 1) of each row."""
    rows = np.array([[getattr(row, name) for name in NAMES] for row in request.instances], dtype=np.float32)
    return Response(predictions=[Prediction(score=score) for score in model(rows)])
