"""JSON Schemas of requests and answers. Those of a champion's requests come from its decoder: they cannot differ."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ml_assets.events.rows import NAME
from ml_assets.reasons.contributions import MOST
from ml_assets.serving.health import HealthReport, Ready
from ml_assets.serving.models.model import Answer, Answers, Classified, ServedModel
from ml_assets.serving.routes.assignment import UNIT_SCHEMA, Assignment
from ml_assets.serving.routes.invocations import Predictions
from ml_assets.serving.routes.lineage import LineageOfPrediction, LineageOfSearch
from ml_assets.serving.routes.models import Model, Models
from ml_assets.serving.routes.outcomes import Accepted, Outcomes
from ml_assets.serving.routes.reasons import ReasonsOfPrediction
from ml_assets.serving.routes.release import SignedRelease
from ml_assets.serving.routes.search import SearchRequest, SearchResponse

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_TEXT: Schema = {"type": "string"}
_WORDS: Schema = {"type": "array", "items": _TEXT}
_WHOLE: Schema = {"type": "integer"}
_INDEX: Schema = {"type": ["array", "null"]}
_VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
_WHOM = {"prediction_id", "experiment", "unit"}
_NO_NUL = r"^[^\x00]*$"
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def schema_ref(name: str) -> dict[str, str]:
    """A schema by its name."""
    return {"$ref": _REFERENCE.format(name=name)}


def _object(properties: Mapping[str, Schema], required: Sequence[str] | None = None, **more: object) -> Schema:
    """An object of these properties alone, all of them required unless said otherwise."""
    needed = [*properties] if required is None else [*required]
    return {
        "type": "object", "properties": dict(properties), "required": needed, "additionalProperties": False
    } | more  # fmt: skip


def _list(item: Schema, **more: object) -> Schema:
    return {"type": "array", "items": item} | more


def _map(item: Schema, **more: object) -> Schema:
    return {"type": "object", "additionalProperties": item} | more


_REASONS: Schema = {
    "type": ["integer", "null"], "minimum": 0, "maximum": MOST,
    "description": "Reasons of each answer; null or absent: as the model declares",
}  # fmt: skip
_DOCUMENT = _object({"text": {"type": "string", "minLength": 1, "maxLength": 1_000_000}}, title="document")
_FIXED: dict[str, Schema] = {
    "Problem": _object(
        {
            "type": {"type": "string", "example": "unknown-entity"},
            "status": _WHOLE,
            "detail": _TEXT,
            "field": {"type": "string", "description": "Where in the request", "example": "$.entities[0].customer_id"},
            "value": {"description": "What stood there"},
            "remedy": _TEXT,
        },
        ["type", "status", "detail", "remedy"],
        description="RFC 9457",
    ),
    "Lineage": {"anyOf": [schema_ref("LineageOfPrediction"), schema_ref("LineageOfSearch")]},
}  # fmt: skip
_TYPES: list[Any] = [
    Answers, Answer, Assignment, Classified, Outcomes, Accepted, Predictions, SearchRequest, SearchResponse, Models,
    Model, HealthReport, Ready, LineageOfPrediction, LineageOfSearch, ReasonsOfPrediction, SignedRelease,
]  # fmt: skip


def schemas(models: Sequence[ServedModel]) -> dict[str, Schema]:
    """The named schemas, with what each champion is sent."""
    _, components = msgspec.json.schema_components(_TYPES, ref_template=_REFERENCE)
    for schema in components.values():
        if "description" in schema:  # what follows in the docstring are the fields
            schema["description"] = schema["description"].partition("\n\n")[0]
    components["Answers"]["properties"]["predictions"]["items"] = {
        "anyOf": [schema_ref("Answer"), schema_ref("Classified")]
    }
    components["Said"] = _outcome_schema(components["Said"], models)
    bodies = [_body_schemas(model) for model in models] or [(_ANY_PREDICT, _ANY_INVOCATIONS)]
    forms = {"Predict": [predict for predict, _ in bodies], "Invocations": [invocations for _, invocations in bodies]}
    return {
        **components,
        **_FIXED,
        **{name: some[0] if len(some) == 1 else {"anyOf": some} for name, some in forms.items()},
    }


def _outcome_schema(plain: Schema, models: Sequence[ServedModel]) -> Schema:
    """An outcome, of kind `label` what its model predicts, of another kind anything; or one of a unit."""
    names = "|".join(re.escape(model.manifest.model) for model in models) or "[A-Za-z0-9_]+"
    both = {name: schema for name, schema in plain["properties"].items() if name not in _WHOM}
    kind, any_id = both["kind"], {**_TEXT, "maxLength": NAME, "pattern": f"^({names})\\.{_ID}$"}
    other = both | ({"kind": {**kind, "not": {"const": "label"}}} if models else {})
    required = [*plain["required"], *["kind"][: len(models)]]

    def form(properties: Schema, needed: Sequence[str], **more: object) -> Schema:
        return {**plain, "properties": properties, "required": [*needed], **more}

    name, unit = {**_TEXT, "minLength": 1, "maxLength": NAME, "pattern": _NO_NUL}, UNIT_SCHEMA
    whom = {"experiment": name, "unit": unit}
    forms = [form(other | {"prediction_id": any_id}, [*required, "prediction_id"])]
    forms.append(form(both | whom, [*plain["required"], *whom], title="Of a unit of an experiment"))
    for model in models:
        own = {**any_id, "pattern": f"^{re.escape(model.manifest.model)}\\.{_ID}$"}
        truth: Schema = {"enum": [*model.manifest.classes] if model.manifest.classes else [0, 1, False, True]}
        label = both | {"prediction_id": own, "kind": {"const": "label", "default": "label"}, "value": truth}
        forms.append(form(label, [*plain["required"], "prediction_id"], title=f"{model.manifest.model}: label"))
    return {"anyOf": forms}


def csv_schema(models: Sequence[ServedModel]) -> Schema:
    """A table of a champion, as text."""
    patterns = [_table(model) for model in models]
    return {"type": "string"} | ({"pattern": f"^({'|'.join(patterns)})$"} if patterns else {})


def _body_schemas(model: ServedModel) -> tuple[Schema, Schema]:
    """Bodies for `predict` and for `invocations`."""
    manifest, (instance, entity) = model.manifest, model.requests.schemas()
    instance = {**instance, "title": f"{manifest.model}: instance", "example": _example(model)}
    entity = {**entity, "title": f"{manifest.model}: entity", "example": {manifest.entity: "c000017"}}
    for form in (instance, entity):
        name = form["properties"][manifest.entity]
        name["anyOf"] = [{**kind, "pattern": r"^[^\x00]*$"} if "maxLength" in kind else kind for kind in name["anyOf"]]
    kinds = [instance["properties"][column.name] for column in manifest.inputs]
    row = {"type": "array", "prefixItems": kinds, "items": False, "minItems": len(kinds), "maxItems": len(kinds)}
    some = {"minItems": 1, "maxItems": manifest.max_rows}
    split = _object(
        {
            "columns": {"const": [column.name for column in manifest.inputs]},
            "data": _list(row, **some),
            "index": _INDEX,
        },
        ["columns", "data"],
        description="The columns may stand in any order",
    )
    rows_of = {"entities": entity, "instances": instance} | ({"documents": _DOCUMENT} if manifest.documents else {})
    forms = [_object({name: _list(item, **some), "reasons": _REASONS}, [name]) for name, item in rows_of.items()]
    predict = {"oneOf": forms}
    listed = _list(row, description="In the order of the model's features", **some)
    tables = {"dataframe_split": split, "dataframe_records": _list(instance, **some)}
    rows = [(form, rows) for form in ("instances", "inputs") for rows in (_list(instance, **some), listed)]
    bodies = [*tables.items(), *rows]
    return predict, {"oneOf": [_object({name: form}) for name, form in bodies]}


def _example(model: ServedModel) -> dict[str, Any]:
    return {column.name: column.example for column in model.manifest.inputs}


def _table(model: ServedModel) -> str:
    """A pattern of plain tables: names and words with commas or quotes are sent in quotes."""
    cells = [
        "(-?[0-9]{1,9}([.][0-9]{1,9})?)?" if column.kind == "number" else "[A-Za-z0-9 _-]{0,30}"
        for column in model.manifest.inputs
    ]
    head = ",".join(re.escape(column.name).replace("\\ ", " ") for column in model.manifest.inputs)
    return f"{head}(\\n{','.join(cells)}){{1,{model.manifest.max_rows}}}\\n"


# While nothing is loaded: the forms, and whatever a feature may be.
_ROW = _map(_VALUE, description="Feature → value, as GET /models/{model} lists them; null is missing")
_WHO = _map({"type": ["string", "integer"]}, minProperties=1, maxProperties=1, example={"customer_id": "c000017"})
_ANY_PREDICT: Schema = {
    "oneOf": [
        _object({name: _list(item, minItems=1), "reasons": _REASONS}, [name])
        for name, item in (("entities", _WHO), ("instances", _ROW))
    ]
}
_SPLIT = _object({"columns": _WORDS, "data": _list(_list(_VALUE)), "index": _INDEX}, ["columns", "data"])
_ROWS = _list(_ROW, minItems=1)
_FORMS = (("dataframe_split", _SPLIT), ("dataframe_records", _ROWS), ("instances", _ROWS), ("inputs", _ROWS))
_ANY_INVOCATIONS: Schema = {"oneOf": [_object({name: form}) for name, form in _FORMS]}
