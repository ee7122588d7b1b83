"""The least that takes and gives the same JSON: Starlette, msgspec, ONNX Runtime; no limits, no lookups, no log."""

from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.forest import NAMES, onnx


class Prediction(msgspec.Struct):
    """What is said of a row."""

    score: float


class Answer(msgspec.Struct):
    """What is said of the rows, in their order."""

    predictions: list[Prediction]


Row = msgspec.defstruct("Row", [(name, float) for name in NAMES])
Rows = msgspec.defstruct("Rows", [("instances", GenericAlias(list, (Row,)))])

_model = onnx()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Rows)
_encoder = msgspec.json.Encoder()


async def predict(request: Request) -> Response:
    """P(label = 1) of each row."""
    rows = [msgspec.structs.astuple(row) for row in _decoder.decode(await request.body()).instances]
    scores = _model(np.array(rows, dtype=np.float32))
    answer = Answer([Prediction(score) for score in scores.tolist()])
    return Response(_encoder.encode(answer), media_type="application/json")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
