"""Values reach their table as they are, or the file is refused by name and column."""

import io
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.ingest.content import COLUMNS
from ml_assets_tests.ingest.conftest import Inbox
from ml_assets_tests.ingest.reading import Outcome, outcome

_AT = datetime(2025, 1, 1)  # noqa: DTZ001 - stored naive
_BIG = 2**53


def _parquet(column: Any, **how: Any) -> Outcome:
    written = io.BytesIO()
    at = pa.array([_AT] * len(column), pa.timestamp("us"))
    pq.write_table(pa.table({"at": at, "x": column}), written, **how)
    return outcome("a.parquet", written.getvalue())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([_BIG, _BIG + 1, None, -(2**63)], pa.int64()), [_BIG, _BIG + 1, None, -(2**63)]),
        (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
        (pa.array([Decimal(10**37 + 1), None], pa.decimal128(38, 0)), [Decimal(10**37 + 1), None]),
        (pa.array([Decimal("1.50")], pa.decimal256(9, 2)), [Decimal("1.50")]),
        (pa.array([1.5, float("nan"), None]), [1.5, None, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([-1], pa.timestamp("ns")), [datetime(1969, 12, 31, 23, 59, 59, 999999)]),  # noqa: DTZ001
        (pa.array([253402300799], pa.timestamp("s")), [datetime(9999, 12, 31, 23, 59, 59)]),  # noqa: DTZ001
        (pa.array([b"\x00\xff"], pa.binary(2)), [b"\x00\xff"]),
        (pa.array([[1, None], None], pa.large_list(pa.int8())), [[1, None], None]),
    ],
)
def test_values_of_parquet_are_kept(column: Any, values: list[Any]) -> None:
    found = _parquet(column)
    assert [row["x"] for row in found.rows.values()] == values, found.refused


def test_times_of_spark_are_read_in_every_year() -> None:
    """INT96 in nanoseconds, as pyarrow reads it by default, wraps 9999 to 1816."""
    times = [datetime(9999, 12, 31), datetime(1600, 1, 1), datetime(1, 1, 1)]  # noqa: DTZ001 - stored naive
    found = _parquet(pa.array(times, pa.timestamp("us")), use_deprecated_int96_timestamps=True)
    assert [row["x"] for row in found.rows.values()] == times


def test_a_uuid_is_its_text() -> None:
    ids = [UUID(int=7), None, UUID(int=2**128 - 1)]
    stored = pa.array([each and each.bytes for each in ids], pa.binary(16))
    found = _parquet(pa.ExtensionArray.from_storage(pa.uuid(), stored))
    assert [row["x"] for row in found.rows.values()] == [each and str(each) for each in ids]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([timedelta(1)], pa.duration("us")), "the lake has no type for duration[us]: deliver it as a number"),
        (pa.array([Decimal(10**50)], pa.decimal256(60, 0)), "with at most 38 digits, or as text"),
        (pa.array([2**64 - 1], pa.uint64()), "more than int64 can hold"),
        (pa.array([10**14], pa.timestamp("s")), "more than timestamp[us] can hold"),
        (pa.array([{"at": 1}], pa.struct([("at", pa.timestamp("ns"))])), "can hold"),
        (pa.array([[2**62]], pa.list_(pa.timestamp("us"))), "outside the years 1 to 9999"),
        (pa.array([{"a": 1, "A": 2}], pa.struct([("a", pa.int8()), ("A", pa.int8())])), "has no type for struct"),
    ],
)
def test_what_the_lake_cannot_hold_is_refused_by_file_and_column(column: Any, said: str) -> None:
    refused = _parquet(column).refused
    assert refused.startswith("a.parquet: column x: ")
    assert said in refused


def test_a_time_outside_the_calendar_costs_its_row_only() -> None:
    found = _parquet(pa.array([0, 2**60, -(2**60)], pa.timestamp("us")))
    assert list(found.rows) == [1]
    assert all("is not a timestamp" in reason for reason in found.reasons.values())


@pytest.mark.parametrize("number", [-(2**63), -(2**63) + 1, -(2**63) + 2, 2**63 - 2, 2**63 - 1])
@pytest.mark.parametrize("text_before", [False, True], ids=["first file", "table of text"])
def test_a_time_that_duckdb_cannot_show_costs_its_row_only(inbox: Inbox, number: int, *, text_before: bool) -> None:
    """DuckDB ends over such a number, and with it the connection on which all other files are read."""
    at = pa.array([_AT, _AT], pa.timestamp("us"))
    if text_before:
        rows = pa.table({"at": at, "x": ["a", "b"]})
        pq.write_table(rows, inbox.folder / "orders" / "a.parquet")
    pq.write_table(
        pa.table({"at": at, "x": pa.array([0, number], pa.timestamp("us"))}), inbox.folder / "orders/b.parquet"
    )
    pq.write_table(pa.table({"at": at, "x": pa.array([1, 2], pa.timestamp("us"))}), inbox.folder / "orders/c.parquet")
    report = inbox.ingest(columns=None)
    assert (report.refused, report.quarantined) == ((), 1)
    assert len(inbox.rows()) == (5 if text_before else 3)


@pytest.mark.parametrize(
    ("table", "file", "values", "quarantined"),
    [
        (pa.float64(), pa.decimal128(38, 0), [Decimal(_BIG), Decimal(_BIG + 1), Decimal(3)], 1),
        (pa.float64(), pa.decimal128(9, 2), [Decimal("0.10"), Decimal("1.25")], 0),
        (pa.int64(), pa.decimal128(38, 2), [Decimal("7.00"), Decimal("7.50")], 1),
        (pa.decimal128(9, 2), pa.decimal128(12, 3), [Decimal("1.500"), Decimal("1.505"), Decimal(10**8)], 2),
        (pa.decimal128(9, 2), pa.int64(), [7, 10**8], 1),
        (pa.float64(), pa.int64(), [_BIG, _BIG + 1], 1),
    ],
)
def test_a_later_file_is_cast_exactly_or_quarantined(
    inbox: Inbox, table: pa.DataType, file: pa.DataType, values: list[Any], quarantined: int
) -> None:
    for name, kind, delivered in (("a", table, [1]), ("b", file, values)):
        rows = pa.table({"at": pa.array([_AT] * len(delivered), pa.timestamp("us")), "x": pa.array(delivered, kind)})
        pq.write_table(rows, inbox.folder / "orders" / f"{name}.parquet")
    found = inbox.ingest(columns=None)
    assert found.quarantined == quarantined, (found.refused, inbox.reasons())
    assert {Decimal(str(row["x"])) for row in inbox.rows()} <= {Decimal(1), *map(Decimal, values)}


@pytest.mark.parametrize("key", ["*", 'a"b', "?", "$.a", "a.b", "x cast", "c0", "rows", "select", "/", "~1", "é"])
def test_any_printable_key_is_a_column(inbox: Inbox, key: str) -> None:
    inbox.put("a.jsonl", json.dumps({"at": "2025-01-01", key: 1}) + "\n" + json.dumps({"at": "x", key: 2}) + "\n")
    inbox.put("b.csv", f'at,"{key.replace(chr(34), chr(34) * 2)}"\n2025-01-02,3\n')
    assert inbox.ingest(columns=None).quarantined == 1
    assert [row[key] for row in inbox.rows()] == [1, 3]
    assert json.loads(inbox.rows("_quarantine")[0]["row"]) == {"at": "x", key: "2"}


def test_a_name_that_is_made_inside_is_nobodys(inbox: Inbox) -> None:
    inbox.put("a.csv", "at cast,at,c0,c1,position,reason\n1,2025-01-01,2,3,4,5\nx,2025-01-01,2,3,4,5\n")
    found = inbox.ingest(columns={"at cast": "integer"})
    assert (found.accepted, inbox.reasons()) == (1, ["at cast: 'x' is not an integer"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"at": "2025-01-01", "": 1}', "a column has no name"),
        ('{"at": "2025-01-01", "a\\u0000b": 1}', "has the character '\\x00'"),
        ('{"at": "2025-01-01", "a": 1, "a": 2}', "line 1 has the key 'a' twice"),
        ('{"at": "2025-01-01", "a": 1, "A": 2}', "columns 'a' and 'A' have one name"),
        ('{"at": "2025-01-01", "a": "\\ud800"}', "holds half a character"),
        ('{"at": "2025-01-01", "a": ' + "[" * 100_000, "nested too deeply"),
        ("[1]", "line 1, '[1]', is not a JSON object"),
        ('{"at": "2025-01-01", "a": 1,}', "line 1"),
    ],
)
def test_json_that_cannot_be_a_row_is_refused_by_line_or_key(line: str, said: str) -> None:
    assert said in outcome("a.jsonl", f"{line}\n".encode()).refused


def test_numbers_of_json_keep_their_digits() -> None:
    lines = [
        '{"at": "2025-01-01", "a": 1.10, "b": [1.10, 12345678901234567890]}',
        '{"at": "2025-01-01", "a": "x", "b": 1}',
    ]
    found = outcome("a.jsonl", "\n".join(lines).encode(), columns={"a": "string"})
    assert (found.rows[1]["a"], found.rows[1]["b"]) == ("1.10", "[1.10,12345678901234567890]")


def test_too_many_columns_are_refused_and_many_are_read() -> None:
    names = [f"c{nr}" for nr in range(COLUMNS)]
    assert (
        "5,001 columns"
        in outcome("a.csv", f"at,{','.join(names)}\n2025-01-01,{','.join('1' for _ in names)}\n".encode()).refused
    )
    few = names[:1_000]
    found = outcome("a.csv", f"at,{','.join(few)}\n2025-01-01,{','.join('1' for _ in few)}\n".encode())
    assert len(found.rows[1]) == 1_001
