"""`POST /models/{model}/predict`: rows in, answers out, each of them recorded before it is sent."""

import time
from typing import Any

import msgspec

from ml_assets.serving.content import JSON, media_type, read_json_content
from ml_assets.serving.http import VARIANT, Receive
from ml_assets.serving.models.loading import LoadedRoute
from ml_assets.serving.models.model import Answer, Answers, ServedModel
from ml_assets.serving.request import RequestRows
from ml_assets.serving.routes.reasons import add_reasons
from ml_assets.serving.services import Services
from ml_assets.serving.tokens import Scope
from ml_assets.serving.uploads import read_upload, receive_document
from ml_assets.serving.variants.answers import answer_split
from ml_assets.serving.variants.rows import read_inputs

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
    route = services.route(name)
    model = route.default
    scope[VARIANT] = model.variant
    if model.manifest.documents and media_type(scope) not in JSON:
        body, is_file = await receive_document(services, scope, receive)
        rows = await _uploaded(services, model, body) if is_file else model.requests.decode(body)
    else:
        _, body = await read_json_content(scope, receive)
        rows = model.requests.decode(body)
    return _ENCODER.encode(Answers(await answer_rows(services, route, rows, scope, began)))


async def answer_rows(
    services: Services,
    route: LoadedRoute,
    rows: RequestRows,
    scope: Any,  # noqa: ANN401 - of ASGI
    began: int,
) -> list[Answer]:
    """Answer the rows of a request, and record the answers.

    Args:
        services: of the process.
        route: of the model.
        rows: of the request.
        scope: of ASGI, which is told the variant that was asked.
        began: when the request came, nanoseconds since 1970.

    Raises:
        Problem: a store does not answer, an entity is not known, or a document cannot be read.
    """
    split = route.split
    if split is not None and began <= split.last:
        answers = await answer_split(services, split, rows, scope, began)
    else:
        answers = await _answer_by_default(services, route.default, rows, began)
    metrics, name = services.metrics, route.route.model
    for answer in answers:
        version = str(answer.model_version)
        metrics.observe_answer(name, version, answer.variant, answer.score, answer.decision)
        if answer.missing or answer.stale:
            metrics.count_missing(name, version, answer.variant, answer.missing, answer.stale)
    if rows.explained:
        await add_reasons(services, rows, answers)
    return answers


async def _uploaded(services: Services, model: ServedModel, body: bytes) -> RequestRows:
    return (await read_upload(services, body)).ask_reasons(model.requests.reasons)


async def _answer_by_default(services: Services, model: ServedModel, rows: RequestRows, began: int) -> list[Answer]:
    inputs = await read_inputs(services, model, rows, began)
    if model.manifest.documents:  # milliseconds for each, in which nobody else would be answered
        answers, events = await services.lanes.describing.run(
            model.answers, rows.entities, inputs, began, rows.explained
        )
    else:
        answers, events = model.answers(rows.entities, inputs, began, rows.explained)
    await services.recorder.record_predictions(events)
    return answers
