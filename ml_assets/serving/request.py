"""What a client may send to a model: decoded and checked in one pass, by types that are made from the manifest."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from ml_assets.manifest import Input, Manifest
from ml_assets.serving.artifact import Value
from ml_assets.serving.problem import Problem

_LARGEST = 3.4028234663852886e38  # of float32, which the model computes in
_NUMBER = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | bool | None
_TEXT = Annotated[str, msgspec.Meta(max_length=300)] | None
_DOCUMENT = Annotated[str, msgspec.Meta(max_length=1_000_000)] | None
_ENTITY = Annotated[str, msgspec.Meta(min_length=1, max_length=300)] | int
_PATH = re.compile(r" - at `(key in )?(.+)`$")
_LACKING = re.compile(r"missing required field `(.+)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A document that is sent as text."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000_000)]


class Rows:
    """Rows of one request: values in the order of the manifest, and the entity of each, where it is known."""

    __slots__ = ("entities", "texts", "values")

    def __init__(
        self, entities: Sequence[str], values: Sequence[Sequence[Value]] | None, texts: Sequence[str] | None = None
    ) -> None:
        self.entities = entities
        self.values = values
        """None: to be read from the online store, or out of `texts`."""
        self.texts = texts
        """Documents that were sent as text, an entity each."""


class Requests:
    """The requests of one release."""

    def __init__(self, manifest: Manifest) -> None:
        self._entity = manifest.entity
        self._count = len(manifest.inputs)
        self._max_rows = manifest.max_rows
        row, who, request = _types(manifest)
        self._decoder = msgspec.json.Decoder(request)
        self._rows = (row, who)

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON Schemas of an instance and of an entity, as the decoder has them."""
        instance, entity = (msgspec.json.schema(each)["$defs"][each.__name__] for each in self._rows)
        return instance, entity

    def decode(self, body: bytes) -> Rows:
        """The rows of a body.

        Raises:
            Problem: what is wrong with it, where, and what would be right.
        """
        try:
            found = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._refused(body, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise malformed(error) from None
        instances, entities, documents = found.instances, found.entities, getattr(found, "documents", None)
        if sum(form is not None for form in (instances, entities, documents)) != 1:
            raise Problem(
                422, "rows-missing", "the body has to hold exactly one of entities and instances",
                f'send {{"entities": [{{"{self._entity}": "…"}}]}} or {{"instances": [{{…features…}}]}}', field="$",
            )  # fmt: skip
        if documents is not None:
            texts = [document.text for document in documents]
            return Rows([sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts], None, texts)
        if entities is not None:
            return Rows([str(entity.entity) for entity in entities], None)
        rows = [msgspec.structs.astuple(row) for row in instances]
        return Rows(["" if row[-1] is None else str(row[-1]) for row in rows], [row[: self._count] for row in rows])

    def _refused(self, body: bytes, message: str) -> Problem:
        where = _PATH.search(message)
        field = where[2] if where else "$"
        what = _PATH.sub("", message)
        if lacking := _LACKING.search(what):
            field = f"{field}.{lacking[1]}"
        if "of length <=" in what and field in {"$.instances", "$.entities"}:
            return Problem(
                413, "too-many-rows", f"{field[2:]} has more than {self._max_rows} rows",
                "send several requests, or raise serve.max_rows in defs.yaml", field=field,
            )  # fmt: skip
        return Problem(
            422, "invalid-field", what, "GET /models/<model> lists the features and their types; null is missing",
            field=field, value=_value(body, field),
        )  # fmt: skip


def malformed(error: Exception) -> Problem:
    """A body that is no JSON; NaN and Infinity are none."""
    return Problem(400, "malformed-json", str(error), "send UTF-8 JSON; a missing value is null, not NaN", field="$")


def _types(manifest: Manifest) -> tuple[type[msgspec.Struct], type[msgspec.Struct], Any]:
    """Of an instance, of an entity, of a request."""
    # A field of a struct is a Python name; that of a feature need not be.
    fields: list[Any] = [(f"f{i}", _kind(column)) for i, column in enumerate(manifest.inputs)]
    names = {f"f{i}": column.name for i, column in enumerate(manifest.inputs)} | {"entity": manifest.entity}
    row = msgspec.defstruct(
        "Instance", [*fields, ("entity", _ENTITY | None, None)], rename=names, forbid_unknown_fields=True, gc=False
    )
    who = msgspec.defstruct("Entity", [("entity", _ENTITY)], rename=names, forbid_unknown_fields=True, gc=False)
    some = msgspec.Meta(min_length=1, max_length=manifest.max_rows)
    forms: list[tuple[str, Any]] = [("instances", row), ("entities", who)]
    forms += [("documents", Text)] if manifest.documents else []
    listed: list[Any] = [(name, Annotated[list[form], some] | None, None) for name, form in forms]  # type: ignore[valid-type]
    return row, who, msgspec.defstruct("Request", listed, forbid_unknown_fields=True)


def _kind(column: Input) -> Any:  # noqa: ANN401 - a type
    return {"number": _NUMBER, "text": _TEXT, "document": _DOCUMENT}[column.kind]


def _value(body: bytes, field: str) -> object:
    """What stands at a path of a body; nothing where nothing stands there."""
    try:
        found: Any = msgspec.json.decode(body)
        for key, index in _STEP.findall(field):
            found = found[int(index)] if index else found[key]
    except (KeyError, IndexError, TypeError, ValueError, msgspec.MsgspecError):
        return msgspec.UNSET
    return found if not isinstance(found, dict | list) else msgspec.UNSET
