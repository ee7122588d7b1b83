"""JSON Lines of any objects: every row is accepted, quarantined, or in a refused file; values are what json reads."""

import json
import math
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import event, given

from ml_assets_tests.ingest.hostile import FEW, NAMES, TIMES, same_text
from ml_assets_tests.ingest.reading import outcome

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["N/A", "007", "2025-01-01", "NaN", ""]),
)
_NESTED = st.recursive(
    _SCALARS,
    lambda parts: st.one_of(st.lists(parts, max_size=2), st.dictionaries(st.text(max_size=2), parts, max_size=2)),
    max_leaves=3,
)
_COLUMNS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=4),
    st.dates().map(str),
    _SCALARS,
    _NESTED,
]


@st.composite
def _objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Objects whose keys hold values of one kind and null, or are not there."""
    names = draw(st.lists(st.one_of(NAMES, NAMES, NAMES, st.text(max_size=2)), max_size=4, unique=True))
    columns = {name: draw(st.sampled_from(_COLUMNS)) for name in names}
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        present = [name for name in names if draw(st.integers(0, 4))]
        values = {name: draw(st.one_of(columns[name], columns[name], st.none())) for name in present}
        rows.append({"at": draw(TIMES), **values})
    return rows


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _same(value: Any, found: Any, kind: pa.DataType) -> bool:
    if found is None or _is_missing(value):
        blank = isinstance(value, str) and kind != pa.string() and not value.strip(" ")
        return found is None and (_is_missing(value) or blank)
    if isinstance(value, str):
        return same_text(value, found, kind)
    if kind == pa.string():
        return _equal(json.loads(found), value)
    return bool(found == value) and isinstance(found, bool) == isinstance(value, bool)


def _equal(one: Any, other: Any) -> bool:
    match one, other:
        case list(), list():
            return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
        case dict(), dict():
            return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if _is_missing(other):
        return one is None
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


@FEW
@given(_objects(), st.booleans(), st.booleans())
def test_json_lines_are_what_python_reads(rows: list[dict[str, Any]], ascii_only: bool, ends: bool) -> None:
    text = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows) + "\n" * ends
    found = outcome("a.jsonl", text.encode("utf-8", "surrogatepass"))
    event(found.refused.partition(": ")[2][:40] or "read")
    if found.schema is None:
        return
    assert sorted([*found.rows, *found.quarantined]) == list(range(1, len(rows) + 1))
    for number, accepted in found.rows.items():
        delivered = rows[number - 1]
        for field in found.schema:
            assert _same(delivered.get(field.name), accepted[field.name], field.type), (delivered, accepted, field)
        assert all(_same(delivered[name], None, pa.null()) for name in delivered.keys() - set(found.schema.names))
    for number, quarantined in found.quarantined.items():
        delivered = rows[number - 1]
        assert all(quarantined[name] == value for name, value in delivered.items() if isinstance(value, str))
