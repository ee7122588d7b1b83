"""Requests to a model: decoded and checked in one pass, by types that are made from its manifest."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from ml_assets.documents.document import Document
from ml_assets.events.rows import LONG
from ml_assets.reasons.contributions import MOST
from ml_assets.serving.json_body import Decoder
from ml_assets.serving.models.artifact import Value
from ml_assets.serving.problem import Problem
from ml_assets.storage.manifest import Input, Manifest

_OF_TEXT = 5  # reasons of an answer of releases before
_LARGEST = 3.4028234663852886e38  # of float32, which the model computes in
_NUMBER = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | bool | None
_TEXT = Annotated[str, msgspec.Meta(max_length=300)] | None
_DOCUMENT = Annotated[str, msgspec.Meta(max_length=1_000_000)] | None
_ENTITY = Annotated[str, msgspec.Meta(min_length=1, max_length=300)] | int


class Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A document that is sent as text."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000_000)]


SeenRows = dict[str, tuple[str, Sequence[Value]]]
"""Prediction id → the release that answered, and what it saw."""


class RequestRows(msgspec.Struct, gc=False):
    """The rows of one request.

    Args:
        entities: of each row; None where the request names none.
        values: of each row, in the order of the manifest; None: to be read from the online store, or out of documents.
        texts: documents that were sent as text, an entity each.
        documents: that were read from files, an entity each.
        reasons: of each answer.
        explained: what is to be explained of the answers, once they are given; None: no reasons are asked for.
    """

    entities: Sequence[str | None]
    values: Sequence[Sequence[Value]] | None
    texts: Sequence[str] | None = None
    documents: Sequence[Document] | None = None
    reasons: int = 0
    explained: SeenRows | None = None

    def ask_reasons(self, most: int) -> "RequestRows":
        """The same rows, with so many reasons of each answer."""
        self.reasons, self.explained = most, {} if most else None
        return self


class Requests:
    """The requests of one release."""

    def __init__(self, manifest: Manifest) -> None:
        self._entity = manifest.entity
        self._count = len(manifest.inputs)
        row, who, request = _types(manifest)
        self._decoder = _Decoder(request, self._keys, manifest.max_rows)
        self._rows = (row, who)
        self._version, self._model = manifest.version, manifest.model
        self._explained = bool(manifest.reasons or manifest.terms)
        self.reasons = manifest.reasons.always if manifest.reasons else _OF_TEXT if manifest.terms else 0
        """Reasons of an answer for which nobody asked."""

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON Schemas of an instance and of an entity, as the decoder has them."""
        instance, entity = (msgspec.json.schema(each)["$defs"][each.__name__] for each in self._rows)
        return instance, entity

    def decode(self, body: bytes) -> RequestRows:
        """The rows of a body.

        Raises:
            Problem: what is wrong with it, where, and what would be right.
        """
        request = self._decoder.decode(body)
        return self._checked(request).ask_reasons(self._reasons(request.reasons))

    def convert(self, instances: object, place: Callable[[str], str]) -> RequestRows:
        """Rows that were parsed already, as objects.

        Args:
            instances: a list of them.
            place: where in the body a path of theirs is, such as `$.instances[0].n`.

        Raises:
            Problem: as `decode`.
        """
        return self._checked(self._decoder.convert({"instances": instances}, place), place)

    def _checked(self, request: Any, place: Callable[[str], str] = str) -> RequestRows:  # noqa: ANN401 - made from the manifest
        instances, entities, documents = request.instances, request.entities, getattr(request, "documents", None)
        if (instances is None) + (entities is None) + (documents is None) != 2:
            raise Problem(
                422, "rows-missing", "the body has to hold exactly one of entities and instances",
                f'send {{"entities": [{{"{self._entity}": "…"}}]}} or {{"instances": [{{…features…}}]}}', field="$",
            )  # fmt: skip
        if documents is not None:
            texts = [document.text for document in documents]
            return RequestRows([sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts], None, texts)
        if entities is not None:
            return RequestRows(self._names([row.entity for row in entities], "entities", place), None)
        rows = [msgspec.structs.astuple(row) for row in instances]
        names = [row[-1] for row in rows]
        if names.count(None) < len(names):
            names = self._names(names, "instances", place)
        return RequestRows(names, [row[: self._count] for row in rows])

    def _reasons(self, asked: int | None) -> int:
        if asked and not self._explained:
            raise Problem(
                409, "reasons-unavailable", f"version {self._version} was released without reasons",
                f"run `ml-assets run {self._model}`, or leave reasons out", field="$.reasons", value=asked,
            )  # fmt: skip
        return self.reasons if asked is None else asked

    def _names(self, entities: Sequence[str | int | None], form: str, place: Callable[[str], str]) -> list[str | None]:
        names = [None if entity is None else str(entity) for entity in entities]
        for at, name in enumerate(names):
            if name is not None and ("\0" in name or len(name) > LONG):
                raise _no_name(name, place(f"$.{form}[{at}].{self._entity}"))
        return names

    def _keys(self, request: Any) -> int:  # noqa: ANN401 - made from the manifest
        """The number of keys of a body that repeats none and leaves out what is null."""
        more = request.reasons is not None
        if request.instances is not None:
            rows = len(request.instances)
            return 1 + more + rows * (self._count + 1) - [row.entity for row in request.instances].count(None)
        return 1 + more + len(request.entities or getattr(request, "documents", None) or ())


class _Decoder(Decoder[Any]):
    """The bodies of a model, of at most so many rows."""

    def __init__(self, kind: Any, keys: Callable[[Any], int], max_rows: int) -> None:  # noqa: ANN401 - a type
        super().__init__(kind, "GET /models/<model> lists the features and their types; null is missing", keys)
        self._max_rows = max_rows

    def refusal(self, what: str, field: str, place: str, value: object) -> Problem:
        """The error response of `Decoder`, and 413 where there are too many rows.

        Args:
            what: the message of msgspec.
            field: the path of the value in what was converted.
            place: its path in the body.
            value: what stands there.
        """
        if "of length <=" in what and field in {"$.instances", "$.entities", "$.documents"}:
            return Problem(
                413, "too-many-rows", f"{place[2:] or 'the body'} has more than {self._max_rows} rows",
                "send several requests, or raise serve.max_rows in defs.yaml", field=place,
            )  # fmt: skip
        return super().refusal(what, field, place, value)


def _no_name(name: str, field: str) -> Problem:
    why = "a NUL character" if "\0" in name else f"{len(name)} characters, at most {LONG} are kept"
    return Problem(
        422, "invalid-field", f"the name of an entity has {why}", "send the entity's name", field=field, value=name
    )


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
    listed.append(("reasons", Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None, None))
    return row, who, msgspec.defstruct("Request", listed, forbid_unknown_fields=True)


def _kind(column: Input) -> Any:  # noqa: ANN401 - a type
    return {"number": _NUMBER, "text": _TEXT, "document": _DOCUMENT}[column.kind]
