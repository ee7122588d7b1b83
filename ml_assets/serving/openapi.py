"""The OpenAPI document: what FastAPI says of the routes, with the bodies that the hot path decodes by itself."""

from collections.abc import Sequence
from typing import Any

from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.schemas import csv_schema, schema_ref, schemas
from ml_assets.serving.uploads import FILES


def body(name: str, *, table: bool = False) -> dict[str, Any]:
    """A request body by the name of its schema."""
    content: dict[str, Any] = {"application/json": {"schema": schema_ref(name)}}
    if table:
        content["text/csv"] = {"schema": {"type": "string"}}
    return {"requestBody": {"required": True, "content": content}}


def answers(name: str, description: str, *refused: int) -> dict[int | str, dict[str, Any]]:
    """The responses of a route: 200 with the schema of that name, and the error responses that there may be."""
    content = {"application/json": {"schema": schema_ref(name)}}
    return {200: {"description": description, "content": content}, **problems(*refused)}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error responses by their status."""
    content = {_PROBLEM: {"schema": schema_ref("Problem")}}
    return {status: {"description": _MEANS[status], "content": content} for status in statuses}


def complete_document(document: dict[str, Any], models: Sequence[ServedModel], *, open_: bool) -> dict[str, Any]:
    """FastAPI's document, with the schemas of champions; `open_`: no token is asked for."""
    document["components"]["schemas"] = schemas(models)
    names = [model.manifest.model for model in models]
    for path, methods in document["paths"].items():
        for route in methods.values():
            if open_ and "security" in route:
                route["security"].insert(0, {})
            for parameter in route.get("parameters", ()):
                if parameter["name"] == "model" and names:
                    parameter["schema"], parameter["example"] = {"type": "string", "enum": names}, names[0]
            if path.endswith("/predict") and any(model.manifest.documents for model in models):
                route["requestBody"]["content"] |= _FILES
            if path.endswith("/invocations"):
                route["requestBody"]["content"]["text/csv"]["schema"] = csv_schema(models)
            if "requestBody" not in route and _PROBLEM not in route["responses"].get("422", {}).get("content", {}):
                route["responses"].pop("422", None)  # FastAPI's own: a name in a path is always one
    return document


_PROBLEM = "application/problem+json"
_FILE = {"type": "string", "format": "binary", "description": "PDF, PNG, JPEG, TIFF, Word, HTML, e-mail or text"}
_FORM = {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}
_FILES = {"multipart/form-data": {"schema": _FORM}, **{kind: {"schema": _FILE} for kind in FILES}}
"""Bodies that a model of documents takes beside JSON."""

_MEANS = {
    400: "The body cannot be read",
    401: "No token that this server knows",
    403: "The token is good for something else, or there are no tokens and this is another machine",
    404: "Nothing of that name is here",
    409: "The experiment does not run: the detail is its verdict; or the version was released without reasons",
    408: "The body did not come",
    413: "Too many rows or bytes",
    415: "A media type, a charset or a content encoding that is not understood",
    422: "A field is not what it has to be; it is named, with its value and the remedy",
    503: "Not now: too busy, or a part does not work; nothing was recorded that was not answered",
}
