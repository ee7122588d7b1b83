"""Parquet of any types: every row is accepted, quarantined, or in a refused file; values are what pyarrow reads."""

import io
import math
from datetime import UTC, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import event, given

from ml_assets_tests.ingest.hostile import FEW, NAMES, TEXTS
from ml_assets_tests.ingest.reading import outcome


def _whole(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.one_of(st.integers(0, 100), st.integers(low, high))


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda digits: Decimal(digits).scaleb(-scale, Context(prec=precision)))


# Times are drawn as the numbers that Arrow keeps, so that no calendar limits them.
_INSTANTS = st.one_of(st.integers(-(10**11), 10**11), _whole(64))
_NANOSECONDS = st.integers(-(10**17), 10**17)
_COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), _whole(8)),
    (pa.int64(), _whole(64)),
    (pa.uint32(), _whole(32, signed=False)),
    (pa.uint64(), _whole(64, signed=False)),
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.dictionary(pa.int8(), pa.string()), TEXTS),
    (pa.binary(), st.binary(max_size=3)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.uuid(), st.binary(min_size=16, max_size=16)),
    (pa.date32(), _whole(32)),
    (pa.date64(), st.integers(-(10**6), 10**6).map(lambda day: day * 86_400_000)),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.timestamp("s"), st.integers(-(10**14), 10**14)),  # Parquet keeps them as milliseconds
    (pa.timestamp("ms"), _INSTANTS),
    (pa.timestamp("us"), _INSTANTS),
    (pa.timestamp("ns"), _INSTANTS),
    (pa.timestamp("ns", "Asia/Tokyo"), _NANOSECONDS),
    (pa.timestamp("us", "Europe/Berlin"), st.integers(-(10**15), 10**15)),
    (pa.decimal128(38, 0), _decimals(38, 0)),
    (pa.decimal128(9, 2), _decimals(9, 2)),
    (pa.decimal256(50, 3), _decimals(50, 3)),
    (pa.duration("us"), _whole(64)),
    (pa.null(), st.none()),
    (pa.list_(pa.int16()), st.lists(st.one_of(st.none(), _whole(16)), max_size=3)),
    (pa.list_(pa.timestamp("ns")), st.lists(_NANOSECONDS, max_size=2)),
    (pa.large_list(pa.string()), st.lists(TEXTS, max_size=2)),
    (pa.struct([("a", pa.int8()), ("b", pa.timestamp("us"))]), st.fixed_dictionaries({"a": _whole(8), "b": _INSTANTS})),
    (pa.struct([("a", pa.int8()), ("A", pa.int8())]), st.fixed_dictionaries({"a": _whole(8), "A": st.none()})),
    (
        pa.map_(pa.string(), pa.int64()),
        st.lists(st.tuples(TEXTS, _whole(64)), max_size=2, unique_by=lambda pair: pair[0]),
    ),
]


def _array(kind: pa.DataType, values: list[Any]) -> Any:
    if isinstance(kind, pa.UuidType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, pa.binary(16)))
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return pa.array(values, pa.int32() if kind == pa.date32() else pa.int64()).view(kind)
    return pa.array(values, kind)


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 5))
    names = draw(st.lists(NAMES.filter(lambda name: name.casefold() != "at"), max_size=3, unique=True))
    at = draw(st.lists(st.integers(-(10**15), 10**15), min_size=rows, max_size=rows))
    columns = [pa.array(at, pa.int64()).view(pa.timestamp("us"))]
    for _ in names:
        kind, values = draw(st.sampled_from(_COLUMNS))
        columns.append(_array(kind, draw(st.lists(st.one_of(st.none(), values), min_size=rows, max_size=rows))))
    return pa.table(columns, names=["at", *names])


def _python(value: Any) -> Any:
    """A value of pyarrow as the lake shows it."""
    match value:
        case float() if math.isnan(value):
            return None
        case UUID() | time():
            return str(value)
        case pd.Timestamp():
            utc = value.tz_convert("UTC").tz_localize(None) if value.tzinfo else value
            return utc.floor("us").to_pydatetime(warn=False)
        case datetime() if value.tzinfo:
            return value.astimezone(UTC).replace(tzinfo=None)
        case list():
            return [_python(part) for part in value]
    return value


@FEW
@given(_tables())
def test_parquet_is_what_pyarrow_reads(table: pa.Table) -> None:
    written = io.BytesIO()
    pq.write_table(table, written)
    found = outcome("a.parquet", written.getvalue())
    event("refused" if found.refused else "read")
    assert (found.schema is None) == found.refused.startswith("a.parquet: ")
    if found.schema is None:
        return
    assert sorted([*found.rows, *found.quarantined]) == list(range(1, table.num_rows + 1))
    second = pq.read_table(io.BytesIO(written.getvalue()))
    for number, accepted in found.rows.items():
        for name in found.schema.names:
            kind, value = second.schema.field(name).type, _python(second[name][number - 1].as_py())
            if pa.types.is_time(kind):  # Python knows no nanoseconds
                assert str(accepted[name]).startswith(str(value))
            else:
                assert accepted[name] == value, (name, kind)
