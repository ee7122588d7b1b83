"""What the OpenAPI document says of bodies: the types that the hot path decodes, as JSON Schema."""

from typing import Any

import msgspec

from ml_assets.serving.model import Answers
from ml_assets.serving.outcomes import Outcomes

_REFERENCE = "#/components/schemas/{name}"

_FEATURES = {
    "type": "object",
    "description": "Feature → value, as GET /models/{model} lists them; null is missing. The entity may be named too.",
    "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
    "example": {"total_spend": 120.5, "days_since_payment": 3, "plan": "pro"},
}
_ENTITY = {
    "type": "object",
    "additionalProperties": {"type": ["string", "integer"]},
    "minProperties": 1,
    "maxProperties": 1,
    "example": {"customer_id": "c000017"},
}


def schemas() -> dict[str, Any]:
    """The named schemas of the document."""
    _, found = msgspec.json.schema_components([Answers, Outcomes], ref_template=_REFERENCE)
    problem = {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": {"type": "string", "example": "unknown-entity"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "Where in the request", "example": "$.entities[0].customer_id"},
            "value": {"description": "What stood there"},
            "remedy": {"type": "string"},
        },
        "required": ["type", "status", "detail", "remedy"],
    }
    return {**found, "Problem": problem}


def body(schema: Any, *, csv: bool = False) -> dict[str, Any]:  # noqa: ANN401 - JSON Schema
    """A request body."""
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}, "example": "total_spend,plan\n120.5,pro\n"}
    return {"requestBody": {"required": True, "content": content}}


def named(name: str) -> dict[str, str]:
    """A schema by its name."""
    return {"$ref": _REFERENCE.format(name=name)}


def _rows(form: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [form],
        "additionalProperties": False,
        "properties": {form: {"type": "array", "minItems": 1, "items": item}},
    }


PREDICT = {"oneOf": [_rows("entities", _ENTITY), _rows("instances", _FEATURES)]}

_SPLIT = {
    "type": "object",
    "required": ["columns", "data"],
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "data": {"type": "array", "items": {"type": "array", "items": _FEATURES["additionalProperties"]}},
    },
}
INVOCATIONS = {
    "oneOf": [
        {"type": "object", "required": ["dataframe_split"], "properties": {"dataframe_split": _SPLIT}},
        _rows("dataframe_records", _FEATURES),
        _rows("instances", _FEATURES),
    ]
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers that are none."""
    content = {"application/problem+json": {"schema": named("Problem")}}
    return {status: {"description": _MEANS[status], "content": content} for status in statuses}


_MEANS = {
    400: "The body cannot be read",
    401: "No token that this server knows",
    403: "The token is good for something else, or there are no tokens and this is another machine",
    404: "Nothing of that name is here",
    408: "The body did not come",
    413: "Too many rows or bytes",
    422: "A field is not what it has to be; it is named, with its value and the remedy",
    503: "Not now: too busy, or a part does not work; nothing was recorded that was not answered",
}
