"""`POST /models/{model}/invocations`: MLflow's scoring protocol, so that an MLflow client works unchanged.

The four forms of MLflow's documentation: `dataframe_split`, `dataframe_records`, `instances` (rows as objects or as
lists in the model's order) and CSV with a header. Absent columns, wrong types and NaN are refused as by `predict`.
"""

import csv
import io
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ml_assets.manifest import Input
from ml_assets.serving.http import Receive, body_of
from ml_assets.serving.model import Classified, Model
from ml_assets.serving.predict import answered
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import malformed
from ml_assets.serving.worker import Worker

_FORMS = ("dataframe_split", "dataframe_records", "instances")


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


async def invocations(worker: Worker, name: str, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """`{"predictions": [P(label = 1), …], "prediction_ids": […]}`; raises as `predict` does.

    Of several classes, a prediction is the most probable one.
    """
    began = time.time_ns()
    worker.guard.require(scope, "predict")
    model = worker.model(name)
    body = await body_of(receive)
    kind = next((value for key, value in scope["headers"] if key == b"content-type"), b"")
    instances = _of_csv(model, body) if kind.split(b";")[0].strip().lower() == b"text/csv" else _of_json(model, body)
    # Once more through the types of the model: what is wrong is refused in the same words.
    rows = model.requests.decode(msgspec.json.encode({"instances": instances}))
    found = await answered(worker, model, rows, began)
    predictions = [one.predicted if isinstance(one, Classified) else one.score for one in found]
    return msgspec.json.encode({"predictions": predictions, "prediction_ids": [one.prediction_id for one in found]})


def _of_json(model: Model, body: bytes) -> Any:  # noqa: ANN401 - the types of the model decide
    found = _parsed(body)
    form = [key for key in _FORMS if isinstance(found, dict) and key in found]
    if len(form) != 1:
        raise Problem(
            422, "rows-missing", "the body has to hold exactly one of dataframe_split, dataframe_records and instances",
            'send {"dataframe_split": {"columns": […], "data": [[…]]}}', field="$",
        )  # fmt: skip
    rows = found[form[0]]
    if form[0] == "dataframe_split":
        return _of_split(rows)
    if form[0] == "instances" and isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
        return _zipped([column.name for column in model.manifest.inputs], rows, "$.instances")
    return rows


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:  # MLflow's client writes NaN, which is no JSON, for a missing value
        return json.loads(body, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(error) from None


def _constant(name: str) -> None:
    """NaN is a missing value, as MLflow reads it; Infinity is none."""
    if name != "NaN":
        raise ValueError(f"{name} is no number that a model knows")


def _of_split(rows: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - checked here
    try:
        split = msgspec.convert(rows, _Split)
    except msgspec.ValidationError as error:
        raise Problem(
            422, "invalid-field", str(error), "send columns and data as pandas' to_dict(orient='split') writes them",
            field="$.dataframe_split",
        ) from None  # fmt: skip
    return _zipped(split.columns, split.data, "$.dataframe_split.data")


def _zipped(columns: Sequence[str], rows: Sequence[Sequence[Any]], field: str) -> list[dict[str, Any]]:
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise Problem(
                422, "invalid-field", f"the row has {len(row)} values, and there are {len(columns)} columns",
                "send a value for each column", field=f"{field}[{number}]",
            )  # fmt: skip
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _of_csv(model: Model, body: bytes) -> list[dict[str, Any]]:
    try:
        lines = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(400, "malformed-csv", str(error), "send UTF-8 CSV with a header", field="$") from None
    if not lines:
        raise Problem(400, "malformed-csv", "the body is empty", "send a header and rows", field="$")
    kinds = {column.name: column for column in model.manifest.inputs}
    head, *rows = lines
    return [
        {name: _cell(kinds.get(name), value, f"$[{number}].{name}") for name, value in row.items()}
        for number, row in enumerate(_zipped(head, rows, "$"))
    ]


def _cell(column: Input | None, value: str, field: str) -> float | str | None:
    """An empty cell and `nan` are missing values, as pandas reads them."""
    if value == "" or column is None or column.kind != "number":
        return value or None
    try:
        found = float(value)
    except ValueError:
        found = math.inf
    if math.isinf(found):
        raise Problem(
            422, "invalid-field", f"Expected a number, got {value!r}", "send a number, or nothing for a missing value",
            field=field, value=value,
        )  # fmt: skip
    return None if math.isnan(found) else found
