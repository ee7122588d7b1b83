"""A record is read as it was written, to the bit, or not at all."""

import math
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml_assets.errors import DataError, DeclarationError, OnlineStoreError
from ml_assets.features.online.codec import (
    FORMAT,
    ROWS_AT_ONCE,
    CorruptRecordError,
    KnownLayouts,
    RecordLayout,
    UnknownSchemaError,
    require_entities,
    unpack,
)
from ml_assets.features.online.schema import Column, Kind, OnlineRecord, Schema, Value, schema_of

DAY = date(2025, 3, 2)
TTLS = (("habits", timedelta(days=14)),)
TYPES = {"double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "double": st.floats(),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"])),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def schema(*kinds: Kind) -> Schema:
    return Schema("shop", "customer", tuple(Column(f"v{i}", kind, "habits") for i, kind in enumerate(kinds)), TTLS)


def batch(of: Schema, rows: Sequence[tuple[str, Sequence[Value]]]) -> pa.RecordBatch:
    columns = [pa.array([entity for entity, _ in rows], pa.string())]
    columns += [
        pa.array([values[i] for _, values in rows], TYPES[column.kind], from_pandas=False)
        for i, column in enumerate(of.columns)
    ]
    return pa.record_batch(columns, ["customer", *(column.name for column in of.columns)])


def packed(of: Schema, rows: Sequence[tuple[str, Sequence[Value]]], day: date = DAY) -> list[tuple[str, bytes]]:
    return [pair for part in RecordLayout.of(of).pack([batch(of, rows)], day) for pair in part]


def known(*schemas: Schema) -> KnownLayouts:
    texts = {one.fingerprint: one.to_json() for one in schemas}
    return KnownLayouts(texts.get)


def bits(values: Sequence[Value]) -> list[object]:
    """Values with their type, doubles as bytes: NaN equals itself, and -0.0 is not 0.0."""
    return [struct.pack("<d", value) if isinstance(value, float) else (type(value), value) for value in values]


@st.composite
def records(draw: st.DrawFn) -> tuple[Schema, list[tuple[str, list[Value]]]]:
    made = schema(*draw(st.lists(st.sampled_from(get_args(Kind)), min_size=1, max_size=20)))
    values = st.tuples(*(st.none() | VALUES[column.kind] for column in made.columns)).map(list)
    return made, draw(st.lists(st.tuples(NAMES, values), min_size=1, max_size=5))


@given(records(), st.dates())
def test_every_value_comes_back_to_the_bit(made: tuple[Schema, list[tuple[str, list[Value]]]], day: date) -> None:
    of, rows = made
    found = [unpack(data, entity, known(of)) for entity, data in packed(of, rows, day)]
    assert [(record.entity, record.as_of, record.schema) for record in found] == [
        (entity, day, of) for entity, _ in rows
    ]
    assert [bits(record.values) for record in found] == [bits(values) for _, values in rows]


@given(records(), st.data())
def test_damaged_bytes_are_refused(made: tuple[Schema, list[tuple[str, list[Value]]]], data: st.DataObject) -> None:
    of, rows = made
    entity, whole = packed(of, rows)[0]
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for damaged in (bytes(flipped), cut, whole + b"\0", b""):
        with pytest.raises(CorruptRecordError, match=r"is damaged: .*; write the features again"):
            unpack(damaged, entity, known(of))


@given(st.binary(max_size=200))
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptRecordError):
        unpack(data, "1", known(schema("double")))


@given(NAMES, NAMES)
def test_a_record_of_another_entity_is_refused(one: str, other: str) -> None:
    of = schema("double")
    (_, data) = packed(of, [(one, [1.0])])[0]
    assume(zlib.crc32(one.encode()) != zlib.crc32(other.encode()))
    with pytest.raises(CorruptRecordError, match="checksum"):
        unpack(data, other, known(of))


def test_a_record_that_a_later_release_wrote_is_refused_by_its_format() -> None:
    of = schema("double")
    body = bytes([FORMAT + 1]) + packed(of, [("1", [1.0])])[0][1][1:-4]
    later = body + struct.pack("<I", zlib.crc32(b"1" + body))
    with pytest.raises(CorruptRecordError, match=f"its format is {FORMAT + 1}, and {FORMAT} is known"):
        unpack(later, "1", known(of))


def test_bytes_that_do_not_fit_their_schema_are_refused_though_the_checksum_is_right() -> None:
    of = schema("double", "string")
    whole = packed(of, [("1", [1.0, "a"])])[0][1][:-4]
    for body in (whole[:-1], whole[:20], whole + b"\0", whole[:-1] + b"\xff", whole[:1] + bytes(4) + whole[5:]):
        with pytest.raises(CorruptRecordError, match="'1' is damaged"):
            unpack(body + struct.pack("<I", zlib.crc32(b"1" + body)), "1", known(of))


def test_a_schema_that_is_not_there_or_is_another_is_told() -> None:
    of = schema("double")
    data = packed(of, [("1", [1.0])])[0][1]
    with pytest.raises(UnknownSchemaError, match=f"holds no schema {of.fingerprint:x}"):
        unpack(data, "1", known())
    with pytest.raises(UnknownSchemaError, match="holds another schema"):
        unpack(data, "1", KnownLayouts(lambda _: schema("int64").to_json()))


def test_a_schema_is_loaded_once() -> None:
    of, asked = schema("string"), []

    def load(fingerprint: int) -> str:
        asked.append(fingerprint)
        return of.to_json()

    one = KnownLayouts(load)
    for entity, data in packed(of, [("1", ["a"]), ("2", [None])]):
        unpack(data, entity, one)
    assert asked == [of.fingerprint]


def test_missing_is_not_nan() -> None:
    of = schema("double", "double")
    record = unpack(packed(of, [("1", [None, math.nan])])[0][1], "1", known(of))
    assert record.values[0] is None
    assert math.isnan(float(str(record.values[1])))


def test_other_types_of_arrow_are_widened_where_that_loses_nothing() -> None:
    of = schema("double", "int64", "string", "double")
    rows = pa.record_batch(
        {
            "v3": pa.nulls(1),
            "v2": pa.array(["a"], pa.large_string()),
            "v1": pa.array([7], pa.int16()),
            "v0": pa.array([2**53], pa.int64()),
            "customer": pa.array([12], pa.int32()),
            "as_of": pa.array([DAY]),
        }
    )
    [[(entity, data)]] = RecordLayout.of(of).pack([rows], DAY)
    assert unpack(data, entity, known(of)) == OnlineRecord("12", DAY, (float(2**53), 7, "a", None), of)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array(["1"]), "column 'v0' is string, and the schema says int64"),
        (pa.array([1.0]), "column 'v0' is double, and the schema says int64"),
        (pa.array([True]), "column 'v0' is bool, and the schema says int64"),
        (pa.array([DAY]), "column 'v0' is date32"),
        (pa.array([2**63], pa.uint64()), "column 'v0' does not fit into int64"),
        (None, "no column 'v0'"),
    ],
)
def test_a_column_of_another_type_is_refused(column: pa.Array | None, said: str) -> None:
    rows = {"customer": pa.array(["1"])} | ({} if column is None else {"v0": column})
    with pytest.raises(DataError, match=said):
        list(RecordLayout.of(schema("int64")).pack([pa.record_batch(rows)], DAY))


@pytest.mark.parametrize(
    ("entities", "said"),
    [
        (pa.array([""]), "null or empty"),
        (pa.array([None], pa.int64()), "null or empty"),
        (pa.array([1.0]), "text and integers name an entity"),
    ],
)
def test_an_entity_without_a_name_is_refused(entities: pa.Array, said: str) -> None:
    rows = pa.record_batch({"customer": entities, "v0": pa.array([1.0])})
    with pytest.raises(DataError, match=said):
        list(RecordLayout.of(schema("double")).pack([rows], DAY))


@pytest.mark.parametrize("entity", ["", "\ud800"])
def test_nobody_can_ask_for_an_entity_without_a_name(entity: str) -> None:
    with pytest.raises(DataError, match="entity "):
        require_entities(["a", entity])


def test_rows_are_packed_some_thousand_at_a_time() -> None:
    of = schema("int64")
    rows = batch(of, [(str(i), [i]) for i in range(ROWS_AT_ONCE + 1)])
    assert [len(part) for part in RecordLayout.of(of).pack([rows, rows.slice(0, 0)], DAY)] == [ROWS_AT_ONCE, 1]


def test_the_bytes_of_a_record_stay_what_they_are() -> None:
    """Another process, and another release, reads what stands in the store."""
    of = schema("double", "int64", "bool", "string", "string")
    made = packed(of, [("1", [0.5, -1, True, "é", None])])[0][1].hex()
    code = (
        "from ml_assets_tests.features.online.test_codec import packed, schema\n"
        "of = schema('double', 'int64', 'bool', 'string', 'string')\n"
        "print(packed(of, [('1', [0.5, -1, True, 'é', None])])[0][1].hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == made
    assert made[2 * 13 : -2 * 4] == "10" + struct.pack("<dq?II", 0.5, -1, True, 2, 0).hex() + "é".encode().hex()


FORTNIGHT, WEEK = timedelta(days=14), timedelta(days=7)
SHOP = Schema(
    "shop",
    "customer",
    (Column("n", "int64", "habits"), Column("x", "double", "habits"), Column("t", "string", "notes")),
    (("habits", FORTNIGHT), ("notes", WEEK)),
)


def test_a_schema_is_made_from_rows_and_views() -> None:
    rows = pa.schema(
        {"as_of": pa.date32(), "customer": pa.int64(), "n": pa.int32(), "x": pa.float32(), "b": pa.bool_(),
         "t": pa.large_string()}
    )  # fmt: skip
    views = {"habits": (["n", "x"], FORTNIGHT), "notes": (["b", "t"], WEEK)}
    made = schema_of("shop", "customer", rows, views)
    kinds = [(column.name, column.kind, column.view) for column in made.columns]
    assert kinds == [
        ("n", "int64", "habits"), ("x", "double", "habits"), ("b", "bool", "notes"), ("t", "string", "notes"),
    ]  # fmt: skip
    assert (made.ttls, made.keep) == ((("habits", FORTNIGHT), ("notes", WEEK)), 2 * FORTNIGHT)
    assert Schema.from_json(made.to_json()) == made
    with pytest.raises(DeclarationError, match="'n' is date32"):
        schema_of("shop", "customer", pa.schema({"n": pa.date32()}), views)


def test_another_meaning_is_another_fingerprint() -> None:
    base = SHOP
    others = [
        replace(base, columns=(*base.columns[:2], Column("remark", "string", "notes"))),
        replace(base, model="store"),
        replace(base, columns=base.columns[::-1]),
        replace(base, columns=(Column("n", "double", "habits"), *base.columns[1:])),
        replace(base, ttls=(("habits", WEEK), ("notes", WEEK))),
    ]
    prints = {one.fingerprint for one in (base, *others)}
    assert len(prints) == 1 + len(others)
    assert all(0 <= number < 2**63 for number in prints)
    assert base.fingerprint == 0x7F0AE2A9C0E4AAF8  # the same in every process and release: records name it


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "a:b"}, "letters, digits"),
        ({"columns": ()}, "needs a feature"),
        ({"columns": (Column("v", "bool", "habits"),) * 2}, "two columns 'v'"),
        ({"columns": (Column("customer", "bool", "habits"),)}, "two columns 'customer'"),
        ({"columns": (Column("v", "bool", "other"),)}, "view 'other' has no TTL"),
        ({"columns": (Column("v", "date", "habits"),)}, "'v' is 'date'"),  # type: ignore[arg-type]
        ({"ttls": (("habits", timedelta()), ("notes", WEEK))}, "a TTL above zero"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        replace(SHOP, **changes)


def test_a_schema_is_written_as_it_always_was() -> None:
    columns = (Column("n", "int64", "base"), Column("größe", "string", "hours"))
    ttls = (("base", timedelta(days=7)), ("hours", timedelta(hours=1.5, microseconds=250_000)))
    of = Schema("shop@1a2b3c", "customer", columns, ttls)
    stored = (
        r'{"columns":[["n","int64","base"],["gr\u00f6\u00dfe","string","hours"]],"entity":"customer",'
        '"model":"shop@1a2b3c","ttls":[["base",604800.0],["hours",5400.25]]}'
    )
    assert (of.to_json(), of.fingerprint) == (stored, 2992433226091073044), "records that stand are of this fingerprint"
    assert Schema.from_json(stored) == of


@pytest.mark.parametrize("text", ["", "[]", '{"model": "shop"}', '{"model":"a:b","entity":"e","columns":[],"ttls":[]}'])
def test_a_text_that_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(OnlineStoreError, match="a schema that cannot be read"):
        Schema.from_json(text)
