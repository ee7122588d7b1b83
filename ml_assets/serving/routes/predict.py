"""`POST /models/{model}/predict`: rows in, answers out, each of them recorded before it is sent."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ml_assets.serving.content import JSON, json_content, media_type
from ml_assets.serving.http import Receive
from ml_assets.serving.models.model import Answer, Answers, ModelInput, ServedModel
from ml_assets.serving.request import RequestRows
from ml_assets.serving.uploads import sent, texts, uploaded
from ml_assets.serving.worker import Worker

_ENCODER = msgspec.json.Encoder()


async def predict(worker: Worker, name: str, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """The answer to a request.

    Raises:
        Problem: it is not answered.
        GoneError: nobody waits for it any more.
    """
    began = time.time_ns()
    worker.guard.require(scope, "predict")
    model = worker.model(name)
    if model.manifest.documents and media_type(scope) not in JSON:
        body, is_file = await sent(worker, scope, receive)
        if is_file:
            rows, seen = await uploaded(worker, model, body)
            return _ENCODER.encode(Answers(await recorded(worker, model, rows, seen, began)))
    else:
        _, body = await json_content(scope, receive)
    rows = model.requests.decode(body)
    return _ENCODER.encode(Answers(await answered(worker, model, rows, began)))


async def answered(worker: Worker, model: ServedModel, rows: RequestRows, began: int) -> list[Answer]:
    """Answers that are recorded.

    Args:
        worker: whose model it is.
        model: that answers.
        rows: of the request.
        began: when it came, nanoseconds since 1970.
    """
    if rows.texts is not None:
        seen = await texts(worker, model, rows.texts)
    elif rows.values is None:
        entities = [entity for entity in rows.entities if entity is not None]
        records = await worker.lookups.read(model.manifest.feature_set, entities, model.manifest.entity)
        seen = model.looked_up(entities, records, began / 1e9)
    else:
        seen = model.seen(rows)
    return await recorded(worker, model, rows, seen, began)


async def recorded(
    worker: Worker, model: ServedModel, rows: RequestRows, seen: Sequence[ModelInput], began: int
) -> list[Answer]:
    """Answers to what the model sees of rows, once they are recorded."""
    if model.manifest.documents:  # milliseconds for each, in which nobody else would be answered
        answers, kept = await worker.lanes.describing.run(model.answers, rows, seen, began)
    else:
        answers, kept = model.answers(rows, seen, began)
    await worker.predicted(kept)
    for answer in answers:
        worker.metrics.predicted(model.manifest.model, model.version, answer.variant, answer.score, answer.decision)
        if answer.missing or answer.stale:
            worker.metrics.lacked(model.manifest.model, model.version, answer.variant, answer.missing, answer.stale)
    return answers
