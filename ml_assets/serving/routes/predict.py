"""`POST /models/{model}/predict`: rows in, answers out, each of them recorded before it is sent."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ml_assets.serving.content import JSON, media_type, read_json_content
from ml_assets.serving.http import VARIANT, Receive
from ml_assets.serving.models.model import Answer, Answers, ModelInput, ServedModel
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services
from ml_assets.serving.tokens import Scope
from ml_assets.serving.uploads import inputs_from_texts, read_upload, receive_document

SCOPE: Scope = "predict"
"""The scope that a token needs, whether a request comes through FastAPI or past it."""

_ENCODER = msgspec.json.Encoder()


async def predict(services: Services, name: str, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """The answer to a request that was let in.

    Args:
        services: of the process.
        name: of the model.
        scope: of ASGI.
        receive: of ASGI.

    Raises:
        Problem: it is not answered.
        GoneError: nobody waits for it any more.
    """
    began = time.time_ns()
    model = services.model(name)
    scope[VARIANT] = model.variant
    if model.manifest.documents and media_type(scope) not in JSON:
        body, is_file = await receive_document(services, scope, receive)
        if is_file:
            rows, inputs = await read_upload(services, model, body)
            return _ENCODER.encode(Answers(await answer_inputs(services, model, rows, inputs, began)))
    else:
        _, body = await read_json_content(scope, receive)
    rows = model.requests.decode(body)
    return _ENCODER.encode(Answers(await answer_rows(services, model, rows, began)))


async def answer_rows(services: Services, model: ServedModel, rows: RequestRows, began: int) -> list[Answer]:
    """Answer the rows of a request, and record the answers.

    Args:
        services: of the process.
        model: that answers.
        rows: of the request.
        began: when it came, nanoseconds since 1970.

    Raises:
        Problem: a store does not answer, or an entity is not known.
    """
    if rows.texts is not None:
        inputs = await inputs_from_texts(services, model, rows.texts)
    elif rows.values is None:
        entities = [entity for entity in rows.entities if entity is not None]
        records = await services.lookups.read(model.manifest.feature_set, entities, model.manifest.entity)
        inputs = model.inputs_from_records(entities, records, began / 1e9)
    else:
        inputs = [ModelInput(values) for values in rows.values]
    return await answer_inputs(services, model, rows, inputs, began)


async def answer_inputs(
    services: Services, model: ServedModel, rows: RequestRows, inputs: Sequence[ModelInput], began: int
) -> list[Answer]:
    """Answer what the model sees of rows, and record the answers.

    Args:
        services: of the process.
        model: that answers.
        rows: of the request.
        inputs: what the model sees of each row.
        began: when the request came, nanoseconds since 1970.
    """
    if model.manifest.documents:  # milliseconds for each, in which nobody else would be answered
        answers, events = await services.lanes.describing.run(model.answers, rows, inputs, began)
    else:
        answers, events = model.answers(rows, inputs, began)
    await services.recorder.record_predictions(events)
    metrics, name, version = services.metrics, model.manifest.model, model.version
    for answer in answers:
        metrics.observe_answer(name, version, answer.variant, answer.score, answer.decision)
        if answer.missing or answer.stale:
            metrics.count_missing(name, version, answer.variant, answer.missing, answer.stale)
    return answers
