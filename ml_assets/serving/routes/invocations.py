"""`POST /models/{model}/invocations`: MLflow's scoring protocol, so that an MLflow client works unchanged."""

import time
from typing import Any

import msgspec

from ml_assets.serving import dataframes as tables
from ml_assets.serving.content import CSV, read_json_content
from ml_assets.serving.http import VARIANT, Receive
from ml_assets.serving.models.model import Classified
from ml_assets.serving.routes.predict import answer_rows
from ml_assets.serving.services import Services


class Predictions(msgspec.Struct, forbid_unknown_fields=True):
    """The answers as MLflow's clients read them, with the ids under which they were recorded."""

    predictions: list[float | str]
    prediction_ids: list[str]


async def invocations(services: Services, name: str, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """`{"predictions": [P(label = 1), …], "prediction_ids": […]}`; raises as `predict` does.

    Of several classes, a prediction is the most probable one.

    Args:
        services: of the process.
        name: of the model.
        scope: of ASGI.
        receive: of ASGI.
    """
    began = time.time_ns()
    route = services.route(name)
    model = route.default
    scope[VARIANT] = model.variant
    kind, body = await read_json_content(scope, receive, CSV)
    table = tables.rows_from_csv(model, body) if kind == CSV else tables.rows_from_json(model, body)
    # Through the types of the model: what is wrong is refused in the words of `predict`.
    rows = model.requests.convert(table.rows, table.place)
    answers = await answer_rows(services, route, rows, scope, began)
    predictions: list[float | str] = [one.predicted if isinstance(one, Classified) else one.score for one in answers]
    return msgspec.json.encode(Predictions(predictions, [one.prediction_id for one in answers]))
