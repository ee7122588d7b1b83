"""JSON Lines as batches of text: one object a line, numbers as they are written."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.sources.content import Content
from ml_assets.sources.decoding import text_lines

if TYPE_CHECKING:
    from ml_assets.sources.files import Arrival
    from ml_assets.sources.text_format import TextFormat

_BATCH = 10_000
_KINDS: dict[type, str] = {str: "string", bool: "boolean", int: "number", float: "number"}
_Object = tuple[tuple[str, Any], ...]


class _Number(str):
    """A number as it is written: within a list it has no quotation marks."""

    __slots__ = ()


def read_jsonl(arrival: "Arrival", text: "TextFormat") -> Content:
    """A file of JSON objects; a key that a line lacks is null in its row, and NaN is null.

    Raises:
        DataError: a line is not an object, or names a key twice.
    """
    kinds, rows = _kinds(arrival, text)
    schema = pa.schema([(key, pa.string()) for key in kinds])
    nested = any("nested" in counts for counts in kinds.values())
    missing = frozenset(text.missing)

    def batches() -> Iterator[pa.RecordBatch]:
        decode = _decoder(_Number if nested else str)
        held: list[dict[str, Any]] = []
        for number, line in text_lines(arrival, text):
            held.append(dict(_decoded(arrival, number, line, decode)))
            if len(held) == _BATCH:
                yield _batch(held, schema, missing)
                held = []
        if held:
            yield _batch(held, schema, missing)

    quoted = frozenset(key for key, counts in kinds.items() if {"string", "nested"} & counts.keys())
    mixed = frozenset(key for key in quoted if {"number", "boolean"} & kinds[key].keys())
    undecided = frozenset(key for key, counts in kinds.items() if not counts)
    return Content(schema, batches, rows, text=True, quoted=quoted, mixed=mixed, undecided=undecided)


def _kinds(arrival: "Arrival", text: "TextFormat") -> tuple[dict[str, Counter[str]], int]:
    """The keys in the order of their first appearance, each with the kinds of its values; and the rows."""
    kinds: dict[str, Counter[str]] = {}
    decode, rows = _decoder(float), 0
    for number, line in text_lines(arrival, text):
        rows += 1
        pairs = _decoded(arrival, number, line, decode)
        if len(dict(pairs)) < len(pairs):
            key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise DataError(f"{arrival.name}: line {number} has the key {key!r} twice: deliver it once")
        for key, value in pairs:
            counts = kinds.setdefault(key, Counter())
            if value is not None and value not in text.missing:
                counts[_KINDS.get(type(value), "nested")] += 1
    return kinds, rows


def _decoder(number: Callable[[str], Any]) -> Callable[[str], Any]:
    """Objects become tuples of pairs, so that a key that stands there twice is seen."""
    return json.JSONDecoder(
        object_pairs_hook=tuple,
        parse_int=number,
        parse_float=number,
        parse_constant=lambda word: None if word == "NaN" else number(word),
    ).decode


def _decoded(arrival: "Arrival", number: int, line: str, decode: Callable[[str], Any]) -> _Object:
    try:
        value = decode(line)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(
            f"{arrival.name}: line {number}, {line[:100]!r}, is not a JSON object ({what}): deliver one object a line"
        ) from None
    if not isinstance(value, tuple):
        raise DataError(
            f"{arrival.name}: line {number}, {line[:100]!r}, is not a JSON object: deliver one object a line"
        )
    return value


def _batch(rows: list[dict[str, Any]], schema: pa.Schema, missing: frozenset[str]) -> pa.RecordBatch:
    columns = [pa.array([_text(row.get(name), missing) for row in rows], pa.string()) for name in schema.names]
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
