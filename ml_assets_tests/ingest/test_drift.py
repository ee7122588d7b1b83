"""How the columns of a file may differ from the table: nothing is guessed, lost or dropped silently."""

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DeclarationError
from ml_assets.ingest.casts import TYPES, cast
from ml_assets.ingest.content import query_arrow
from ml_assets_tests.ingest.conftest import TABLE, Inbox, orders


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")  # the machine's zone must not matter
    return connection


def _cast(values: list[Any], kind: str, type_: pa.DataType | None = None) -> list[Any]:
    rows = pa.table({"x": pa.array(values, type_)})
    sql = cast("x", rows["x"].type, TYPES[kind])  # type: ignore[index]
    return list(query_arrow(_connection(), f"SELECT {sql} AS x FROM rows", rows=rows)["x"].to_pylist())


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("integer", [" 12 ", "12.0", "-3", "2.5", "1e3", "1_000", "0x10", "9223372036854775808", "x", ""],
         [12, 12, -3, None, None, None, None, None, None, None]),
        ("double", ["1.5", " .5", "1e3", "inf", "1_0", "1,5", "9007199254740993", "abc", "nan", "1e400"],
         [1.5, 0.5, 1000.0, float("inf"), None, None, None, None, None, None]),
        ("boolean", ["true", "FALSE", "1", "0", "maybe"], [True, False, True, False, None]),
        ("date", ["2025-01-02", "2025-01-02 00:00", "2025-01-02 10:00", "2025-13-01", "epoch"],
         [date(2025, 1, 2), date(2025, 1, 2), None, None, None]),
        ("string", [" a ", ""], [" a ", ""]),
    ],
)  # fmt: skip
def test_text_is_cast_without_loss_or_not_at_all(kind: str, values: list[str], expected: list[Any]) -> None:
    assert _cast(values, kind) == expected


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2025-01-02 10:00:00", 10),
        ("2025-01-02T10:00:00Z", 10),
        ("2025-01-02T10:00Z", 10),
        ("2025-01-02T10:00:00+02:00", 8),
        ("2025-01-02 10:00:00.5-0500", 15),
        ("2025-01-02 10:00:00+02", 8),
        ("2025-01-02", 0),
        ("2025-01-02 10:00:00 Europe/London", None),
        ("infinity", None),
        ("epoch", None),
        ("02/01/2025", None),
    ],
)
def test_a_time_with_a_zone_becomes_utc_and_one_without_is_utc(text: str, hour: int | None) -> None:
    (found,) = _cast([text], "timestamp")
    assert (found.hour if found else None) == hour


@pytest.mark.parametrize(
    ("kind", "type_", "values", "expected"),
    [
        ("integer", pa.float64(), [2.0, 2.5, 1e300], [2, None, None]),
        ("integer", pa.bool_(), [True, False], [1, 0]),
        ("double", pa.int64(), [2, 2**53 + 1], [2.0, None]),
        ("double", pa.float64(), [float("nan"), 1.0], [None, 1.0]),
        ("string", pa.float64(), [12346.0, 0.1], ["12346", "0.1"]),
        ("string", pa.int64(), [12346], ["12346"]),
        ("boolean", pa.int64(), [1, 0, 5], [True, False, None]),
        ("timestamp", pa.date32(), [date(2025, 1, 2)], [datetime(2025, 1, 2)]),  # noqa: DTZ001 - stored naive
        ("timestamp", pa.int64(), [1_700_000_000], [None]),
        ("date", pa.timestamp("us"), [datetime(2025, 1, 2), datetime(2025, 1, 2, 3)],  # noqa: DTZ001 - the same
         [date(2025, 1, 2), None]),
        ("integer", pa.decimal128(5, 2), [2, None], [2, None]),
    ],
)  # fmt: skip
def test_values_are_cast_without_loss_or_not_at_all(
    kind: str, type_: pa.DataType, values: list[Any], expected: list[Any]
) -> None:
    assert _cast(values, kind, type_) == expected


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_every_integer_survives_the_way_through_text(values: list[int]) -> None:
    assert _cast([str(value) for value in values], "integer") == values


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_every_double_survives_the_way_through_text(values: list[float]) -> None:
    assert _cast([repr(value) for value in values if abs(value) < 2**53], "double") == [
        value for value in values if abs(value) < 2**53
    ]


@settings(deadline=None)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_every_instant_survives_its_zone(naive: datetime, minutes: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert _cast([instant.isoformat()], "timestamp") == [instant.astimezone(UTC).replace(tzinfo=None)]


def test_types_are_inferred_from_every_row_of_the_first_file(inbox: Inbox) -> None:
    inbox.put(
        "a.csv",
        "at,whole,number,flag,day,zip,mixed,none\n"
        "2025-01-01,1,1,true,2025-01-01,00123,1,\n"
        "2025-01-01 10:00,-2,2.5,false,2025-01-02,45678,x,\n",
    )
    inbox.ingest(columns=None)
    found = dict(zip(inbox.lake.schema(TABLE).names, inbox.lake.schema(TABLE).types, strict=True))
    kinds = {"whole": "integer", "number": "double", "flag": "boolean", "day": "date"}
    expected = {
        "at": "timestamp",
        **kinds,
        "zip": "string",
        "mixed": "string",
        "_file": "string",
    }
    assert found == {name: TYPES[kind] for name, kind in expected.items()}  # type: ignore[index]


def test_numbers_in_quotes_are_text_in_json(inbox: Inbox) -> None:
    inbox.put("a.jsonl", '{"at": "2025-01-01", "amount": 1, "zip": "123", "n": 7, "tags": [1, 2]}\n')
    inbox.ingest()
    (row,) = inbox.rows()
    assert (row["zip"], row["n"], row["tags"]) == ("123", 7, "[1,2]")


def test_a_missing_column_refuses_the_file(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    inbox.put("b.csv", "at,amount\n2025-01-01,1\n")
    assert "misses column id" in inbox.ingest().refused[0].reason


def test_a_column_that_the_declaration_names_is_needed_in_the_first_file(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    assert "misses column seen" in inbox.ingest(known_at="seen").refused[0].reason


def test_an_extra_column_is_added_and_null_in_older_rows_and_may_be_absent_later(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    inbox.ingest()
    inbox.put("b.csv", "id,at,amount,channel\n2,2025-01-02,2,web\n")
    added = inbox.ingest()
    inbox.put("c.csv", orders("3,2025-01-03,3"))
    absent = inbox.ingest()
    assert [(v.file, v.column, v.verdict) for v in added.drift] == [("orders/b.csv", "channel", "added")]
    assert [(v.file, v.column, v.verdict) for v in absent.drift] == [("orders/c.csv", "channel", "absent")]
    assert [row["channel"] for row in inbox.rows()] == [None, "web", None]


def test_columns_are_added_within_one_batch_too(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    inbox.put("b.csv", "amount,channel,id,at\n2,web,2,2025-01-02\n")
    inbox.ingest()
    assert [(row["id"], row["channel"]) for row in inbox.rows()] == [(1, None), (2, "web")]


def test_files_together_make_a_table_no_wider_than_one_may_be(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_assets.ingest.schema.COLUMNS", 4)
    inbox.put("0.csv", orders("0,2025-01-01,1"))
    for number in (1, 2):
        inbox.put(f"{number}.csv", f"id,at,amount,{'x' * number}\n{number},2025-01-01,1,2\n")
    done = inbox.ingest()
    assert [path[-5:] for path in done.new_files] == ["0.csv", "1.csv"]
    assert "2.csv: the table would have 5 columns by its 1 new ones and may have 4" in done.refused[0].reason
    inbox.put("3.csv", orders("3,2025-01-01,1"))
    assert [path[-5:] for path in inbox.ingest().new_files] == ["3.csv"]


def test_a_changed_type_is_cast_and_what_does_not_fit_is_quarantined(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    inbox.ingest()
    at = pa.array([datetime(2025, 1, 2)] * 3, pa.timestamp("us"))  # noqa: DTZ001 - stored naive
    table = pa.table({"id": [2.0, 2.5, None], "at": at, "amount": ["3", " 4 ", "abc"]})
    pq.write_table(table, inbox.folder / "orders" / "b.parquet")
    found = inbox.ingest()
    assert inbox.reasons() == ["amount: 'abc' is not a double", "id: 2.5 is not an integer"]
    assert {(v.column, v.verdict, v.unfit) for v in found.drift} == {("id", "cast", 1), ("amount", "cast", 1)}
    assert [(row["id"], row["amount"]) for row in inbox.rows()] == [(1, 1.0), (2, 3.0)]


def test_a_bad_cell_goes_to_the_quarantine_as_it_was_delivered(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1", '2,2025-01-01,"1,5"', "3,yesterday,x", "4,,1"))
    found = inbox.ingest()
    rows = {row["position"]: row for row in inbox.rows("_quarantine")}
    assert {nr: row["reason"] for nr, row in rows.items()} == {
        2: "amount: '1,5' is not a double: write `format: {decimal: ','}` in the source if that is its decimal mark",
        3: "at: 'yesterday' is not a timestamp; amount: 'x' is not a double",
        4: "at is null",
    }
    assert rows[2]["row"] == '{"id":"2","at":"2025-01-01","amount":"1,5"}'
    assert (found.accepted, found.quarantined) == (1, 3)


def test_a_row_without_a_known_at_time_is_quarantined(inbox: Inbox) -> None:
    inbox.put("a.csv", "at,seen,amount\n2025-01-01,2025-01-05,1\n2025-01-03,2025-01-02,1\n2025-01-01,,1\n")
    found = inbox.ingest(known_at="seen")
    assert inbox.reasons() == ["seen is null"]
    (touched,) = found.touched
    assert (touched.earliest.day, touched.latest.day) == (3, 3)  # known from max(event, known-at) on


def test_times_with_a_zone_are_stored_as_naive_utc(inbox: Inbox) -> None:
    at = pa.array([datetime(2025, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "Europe/Berlin"))
    pq.write_table(pa.table({"at": at, "amount": [1.0]}), inbox.folder / "orders" / "a.parquet")
    inbox.put("b.csv", "at,amount\n2025-01-01T01:00:00+01:00,1\n")
    inbox.ingest()
    assert [row["at"] for row in inbox.rows()] == [datetime(2025, 1, 1)] * 2  # noqa: DTZ001 - stored naive


def test_a_declaration_that_contradicts_the_table_is_refused(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,1"))
    inbox.ingest()
    with pytest.raises(DeclarationError, match="amount is declared as integer and the table holds double"):
        inbox.ingest(columns={"amount": "integer"})


def test_nested_and_decimal_columns_of_parquet_are_kept(inbox: Inbox) -> None:
    at = pa.array([datetime(2025, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001 - stored naive
    table = pa.table({"at": at, "amount": [1.0], "tags": [["a"]], "price": pa.array([1], pa.decimal128(9, 2))})
    pq.write_table(table, inbox.folder / "orders" / "a.parquet")
    pq.write_table(table.set_column(3, "price", pa.array([2.5])), inbox.folder / "orders" / "b.parquet")
    found = inbox.ingest()
    assert inbox.rows()[0]["tags"] == ["a"]
    assert "double cannot become decimal128(9, 2) without loss" in found.refused[0].reason
