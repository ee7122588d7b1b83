"""Text that is legal and not usual: columns apart by blanks, files of any name, times that are numbers."""

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.ingest.casts import cast
from ml_assets.ingest.date_formats import date_formats
from ml_assets.ingest.files import arrivals
from ml_assets.ingest.readers.blanks import single_blanks
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.text_format import TextFormat
from ml_assets_tests.conftest import shared
from ml_assets_tests.ingest.conftest import Inbox

WIDE = "   id        at amount\r\n 00001  20260101   1.50\r\n    02  20260102  22.00  \r\n"
ROWS = [
    {"id": "00001", "at": datetime(2026, 1, 1), "amount": 1.5},  # noqa: DTZ001 - the lake's times are naive UTC
    {"id": "02", "at": datetime(2026, 1, 2), "amount": 22.0},  # noqa: DTZ001
]
BLANKS = {"separator": " ", "dates": ["%Y%m%d"]}


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a", "orders.inter"])
def test_a_table_of_fixed_width_is_read_whatever_its_name(inbox: Inbox, name: str) -> None:
    inbox.put(name, WIDE)
    assert inbox.ingest(format=BLANKS).refused == ()
    assert inbox.rows() == ROWS


def test_a_table_without_a_header_is_read_by_declared_names(inbox: Inbox) -> None:
    inbox.put("a.csv", WIDE.split("\n", 1)[1])
    (note,) = inbox.ingest(format=BLANKS).refused
    assert "`format: {header: false, names: […]}`" in note.reason
    assert inbox.ingest(format={**BLANKS, "header": False, "names": ["id", "at", "amount"]}).accepted == 2
    assert inbox.rows() == ROWS


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("a.csv", WIDE, "`format: {separator: ' '}`"),
        ("a.inter", WIDE, "`format: {separator: "),
        ("a.csv", '"","at","amount"\n"1",2026-01-01,1\n', '`format: {names: ["column_1", "at", "amount"]}`'),
        ("a.csv", "id,at,amount\n1,1767225600,5\n", "`format: {dates: [epoch seconds]}`"),
        ("a.jsonl", '{"id": 1, "at": 1767225600000, "amount": 5}\n', "`format: {dates: [epoch milliseconds]}`"),
        ("a.csv", "id,at,amount\n1,12/31/2026 7:45,5\n", "`format: {dates: ['%m/%d/%Y %H:%M']}`"),
    ],
)
def test_what_has_to_be_declared_is_said_and_the_file_waits(inbox: Inbox, name: str, text: str, remedy: str) -> None:
    inbox.put(name, text)
    found = inbox.ingest()
    assert (found.accepted, found.quarantined) == (0, 0)
    assert remedy in found.refused[0].reason


def test_a_file_waits_until_its_dates_are_declared_and_is_then_read(inbox: Inbox) -> None:
    inbox.put("a.csv", "id,at,amount\n1,12/31/2025 7:45,5\n2,1/1/2026 17:05,6\n")
    assert "the time of none of its 2 rows can be read" in inbox.ingest().refused[0].reason
    assert inbox.ingest(format={"dates": ["%m/%d/%Y %H:%M"]}).accepted == 2
    assert [row["at"].isoformat() for row in inbox.rows()] == ["2025-12-31T07:45:00", "2026-01-01T17:05:00"]


@pytest.mark.parametrize(
    ("unit", "divisor"), [("epoch seconds", 10**6), ("epoch milliseconds", 1000), ("epoch microseconds", 1)]
)
def test_times_that_are_numbers_are_those_of_pandas_in_every_kind_of_file(
    inbox: Inbox, unit: str, divisor: int
) -> None:
    rows = pd.DataFrame(
        {"id": [1, 2], "at": [1767225600000000 // divisor, -86400000000 // divisor], "amount": [1.5, 2]}
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(rows), buffer)
    inbox.put("a.parquet", buffer.getvalue())
    inbox.put("b.csv", rows.to_csv(index=False))
    inbox.put("c.jsonl", rows.to_json(orient="records", lines=True))
    assert inbox.ingest(format={"dates": [unit]}).accepted == 6
    times = [pd.Timestamp("1969-12-31"), pd.Timestamp("2026-01-01")]
    assert sorted(row["at"] for row in inbox.rows()) == [time for time in times for _ in range(3)]


@pytest.mark.parametrize("dates", [["%Y"], ["%Y-%m"], ["%b %Y"]])
def test_a_year_or_a_month_is_not_a_time(dates: list[str]) -> None:
    """A row about 2007 that is dated 2007-01-01 would be seen a year before it was known."""
    with pytest.raises(ValueError, match="does not hold day, month and year"):
        SourceSpec.model_validate({"name": "s", "files": "s/*", "event_time": "at", "format": {"dates": dates}})


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ("05/20/1987", ["%m/%d/%Y"]),
        ("20.05.1987 07:45", ["%d.%m.%Y %H:%M"]),
        ("1/2/2026 7:45:10", ["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"]),
        ("01-02-2026 7:45 PM", ["%d-%m-%Y %I:%M %p", "%m-%d-%Y %I:%M %p"]),
        ("5-Jan-09", ["%d-%b-%y"]),
        ("Jan 1 2000", ["%b %d %Y"]),
        ("March 1, 2000", ["%B %d, %Y"]),
        ("19970101", ["%Y%m%d"]),
        ("20260101074510", ["%Y%m%d%H%M%S"]),
        ("31/31/2026", []),
        ("881250949", []),
        ("yesterday", []),
    ],
)
def test_the_format_of_a_date_is_told_from_one_of_them(value: str, formats: list[str]) -> None:
    assert date_formats(value) == formats
    for each in formats:
        sql = f"SELECT {_declared(each)} FROM (SELECT $value AS t)"
        with shared() as connection:
            assert connection.execute(sql, {"value": value}).fetchone() == (datetime.strptime(value, each),)  # noqa: DTZ007


def _declared(form: str) -> str:
    text = TextFormat.model_validate({"dates": [form]})
    return cast("t", pa.string(), pa.timestamp("us"), text)


WORD = st.from_regex(r'[a-z0-9.,;"-]{1,6}', fullmatch=True).map(lambda word: word.replace('"', ""))
LINE = st.lists(WORD.filter(bool), min_size=1, max_size=5)
GAP = st.text(" \t", min_size=1, max_size=4)


@given(lines=st.lists(LINE, max_size=8), gap=GAP, edge=st.text(" \t", max_size=2), size=st.integers(1, 9))
def test_blanks_part_cells_as_split_does(lines: list[list[str]], gap: str, edge: str, size: int) -> None:
    text = "".join(f"{edge}{gap.join(words)}{edge}\r\n" for words in lines).encode()
    blocks = (text[start : start + size] for start in range(0, len(text), size))
    read = b"".join(single_blanks(_arrival(), blocks, '"')).decode()
    assert [line.split(" ") for line in read.split("\r\n")[:-1]] == lines


def test_quoted_cells_keep_their_blanks_and_end_in_their_line(inbox: Inbox) -> None:
    inbox.put("a.csv", 'id   at  amount\n"a  b" 20260101  1\n')
    assert inbox.ingest(format=BLANKS).accepted == 1
    assert inbox.rows()[0]["id"] == "a  b"
    inbox.put("b.csv", 'id   at  amount\n"a  b 20260101  1\n')
    (note,) = inbox.ingest(format=BLANKS).refused
    assert "opens a quotation mark that its line does not close" in note.reason


def _arrival() -> Any:
    """Any file: only its name would be said."""
    return next(iter(arrivals(Path(__file__).name, Path(__file__).parent)))
