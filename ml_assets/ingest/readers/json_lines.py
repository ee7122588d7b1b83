"""JSON Lines as batches of text: one object a line, numbers as they are written."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.ingest.content import Content, require_names
from ml_assets.ingest.readers.decoding import text_lines

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival
    from ml_assets.spec.text_format import TextFormat

_BATCH = 10_000
_IN_MEMORY = 64 << 20


class _Number(str):
    """A number as it is written: within a list it has no quotation marks."""

    __slots__ = ()


_KINDS: dict[type, str] = {str: "string", bool: "boolean", _Number: "number"}


def read_jsonl(arrival: "Arrival", text: "TextFormat", held: ExitStack) -> Content:
    """A file of JSON objects; a key that a line lacks is null in its row, and NaN is null.

    The lines are taken apart once, into a temporary file of columns.

    Args:
        arrival: the file.
        text: how it is written.
        held: lets go of the temporary file.

    Raises:
        DataError: a line is not an object, or names a key twice.
    """
    spool = held.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the stack closes it
    kinds: dict[str, set[str]] = {}
    rows, places = 0, list[int]()
    for objects in _batches(arrival, text):
        rows += len(objects)
        _note(kinds, objects)
        require_names(arrival.name, list(kinds))
        batch = _columns(arrival, objects, frozenset(text.missing))
        places.append(spool.tell())
        with pa.ipc.new_stream(spool, batch.schema) as stream:
            stream.write(batch)
    schema = pa.schema([(key, pa.string()) for key in kinds])

    def batches() -> Iterator[pa.RecordBatch]:
        for place in places:
            spool.seek(place)
            with pa.ipc.open_stream(spool) as stream:
                yield _widened(stream.read_next_batch(), schema)

    quoted = frozenset(key for key, of_key in kinds.items() if of_key & {"string", "nested"})
    mixed = frozenset(key for key in quoted if kinds[key] & {"number", "boolean"})
    undecided = frozenset(key for key, of_key in kinds.items() if not of_key)
    return Content(schema, batches, rows, text=True, quoted=quoted, mixed=mixed, undecided=undecided)


def _batches(arrival: "Arrival", text: "TextFormat") -> Iterator[list[dict[str, Any]]]:
    objects: list[dict[str, Any]] = []
    for number, line in text_lines(arrival, text):
        objects.append(_decoded(arrival, number, line))
        if len(objects) == _BATCH:
            yield objects
            objects = []
    if objects:
        yield objects


def _note(kinds: dict[str, set[str]], objects: list[dict[str, Any]]) -> None:
    """Add the keys of some objects, in the order of their first appearance, and the kinds of their values."""
    for row in objects:
        for key, value in row.items():
            of_key = kinds.get(key)
            if of_key is None:
                of_key = kinds[key] = set()
            if value is not None:
                of_key.add(_KINDS.get(type(value), "nested"))


# Objects become tuples of pairs, so that a key that stands there twice is seen; numbers stay as they are written.
_decode = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=_Number,
    parse_float=_Number,
    parse_constant=lambda word: None if word == "NaN" else _Number(word),
).decode


def _decoded(arrival: "Arrival", number: int, line: str) -> dict[str, Any]:
    try:
        pairs = _decode(line)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _no_object(arrival, number, line, f" ({what})") from None
    if not isinstance(pairs, tuple):
        raise _no_object(arrival, number, line)
    row = dict(pairs)
    if len(row) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise DataError(f"{arrival.name}: line {number} has the key {key!r} twice: deliver it once")
    return row


def _no_object(arrival: "Arrival", number: int, line: str, why: str = "") -> DataError:
    return DataError(
        f"{arrival.name}: line {number}, {line[:100]!r}, is not a JSON object{why}: deliver one object a line"
    )


def _columns(arrival: "Arrival", rows: list[dict[str, Any]], missing: frozenset[str]) -> pa.RecordBatch:
    names = list(dict.fromkeys(key for row in rows for key in row))
    try:
        columns = [pa.array([_text(row.get(name), missing) for row in rows], pa.string()) for name in names]
    except UnicodeEncodeError as error:
        raise DataError(
            f"{arrival.name}: holds half a character ({error.object[:40]!a}): deliver it as UTF-8"
        ) from None
    return pa.RecordBatch.from_arrays(columns, names=names)


def _widened(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    present = set(batch.schema.names)
    columns = [batch[name] if name in present else pa.nulls(batch.num_rows, pa.string()) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _text(value: Any, missing: frozenset[str]) -> str | None:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return None if value in missing else value
    return None if value is None else _written(value)


def _written(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """A value as compact JSON, its numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, tuple):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_written(part)}" for key, part in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
