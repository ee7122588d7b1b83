"""The types of text: what decides them, what does not, and what only the author of a source can decide."""

import json
from typing import Any

import pytest

from ml_assets.ingest.casts import kind_of
from ml_assets_tests.ingest.conftest import Inbox
from ml_assets_tests.ingest.reading import Outcome, outcome

_VALUES = {
    "boolean": ["true", "False"],
    "integer": ["7", "-12"],
    "double": ["1.5", "-2e-3"],
    "date": ["2025-01-31", "1600-02-29"],
    "timestamp": ["2025-01-31 10:00", "2025-01-31T10:00:00+02:00"],
}


def _csv(column: str, values: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in [f"at,{column}", *(f"2025-01-01,{value}" for value in values)]).encode()


def _kinds(found: Outcome) -> dict[str, str]:
    assert found.schema is not None, found.refused
    return {field.name: str(kind_of(field.type) or field.type) for field in found.schema}


@pytest.mark.parametrize("kind", _VALUES)
@pytest.mark.parametrize("gap", ["", " ", '""', "NaN", "nan", " nan"])
def test_gaps_decide_no_type_in_csv(kind: str, gap: str) -> None:
    found = outcome("a.csv", _csv("x", [gap, *_VALUES[kind], gap]))
    assert _kinds(found)["x"] == kind
    assert [row["x"] is None for row in found.rows.values()] == [True, False, False, True]


@pytest.mark.parametrize(
    ("kind", "values"),
    [("boolean", "true"), ("integer", "7"), ("double", "1.5"), ("date", '"2025-01-31"'), ("string", '"a"')],
)
def test_gaps_decide_no_type_in_json_lines(kind: str, values: str) -> None:
    lines = ['{"at": "2025-01-01"}', '{"at": "2025-01-01", "x": null}', '{"at": "2025-01-01", "x": NaN}']
    found = outcome("a.jsonl", "\n".join([*lines, f'{{"at": "2025-01-01", "x": {values}}}']).encode())
    assert _kinds(found)["x"] == kind
    assert [row["x"] is None for row in found.rows.values()] == [True, True, True, False]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["02134", "90210"], "02134"),  # a postcode
        (["+4912345", "4912345"], "+4912345"),  # a telephone number
        (["12E5", "7"], "12E5"),  # a part number, not 1200000
        (["12345678901234567890"], "12345678901234567890"),  # more than a double can hold
        (["9007199254740993.0", "1.5"], "9007199254740993.0"),
    ],
)
def test_what_would_lose_a_character_is_text(values: list[str], text: str) -> None:
    found = outcome("a.csv", _csv("x", values), columns=None)
    if found.schema is None:
        assert "columns: {x: string}" in found.refused
        found = outcome("a.csv", _csv("x", values), columns={"x": "string"})
    assert (_kinds(found)["x"], found.rows[1]["x"]) == ("string", text)


def test_leading_zeros_are_kept_from_a_table_of_numbers(inbox: Inbox) -> None:
    inbox.put("a.csv", "at,zip\n2025-01-01,90210\n")
    inbox.put("b.jsonl", '{"at": "2025-01-01", "zip": "02134"}\n{"at": "2025-01-01", "zip": "2134"}\n')
    inbox.ingest(columns=None)
    assert sorted(row["zip"] for row in inbox.rows()) == [2134, 90210]
    assert "'02134' is not an integer: it would lose its first character" in inbox.reasons()[0]


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        ([*map(str, range(19)), "N/A"], "`columns: {x: integer}`"),
        (["1.5", "2.5", "-", "3"], "`columns: {x: double}`"),
        (["2025-01-01", "2025-01-02", "unknown"], "`columns: {x: date}`"),
        (["true", "false", "?"], "`columns: {x: boolean}`"),
        ([*(f"{nr}.5" for nr in range(30)), "12 EUR"], "`columns: {x: double}`"),
        (['"1,5"', '"1.234,75"'], "`format: {decimal: ','}`"),
        (["01/02/2025", "13.02.25"], "`format: {dates: ['%d/%m/%Y']}`"),
        (["2 Jan 2025"], "`format: {dates: ['%d %b %Y']}`"),
    ],
)
def test_a_column_of_nearly_one_type_waits_for_its_author(values: list[str], declared: str) -> None:
    found = outcome("a.csv", _csv("x", values))
    assert declared in found.refused
    assert "`columns: {x: string}`" in found.refused
    assert _kinds(outcome("a.csv", _csv("x", values), columns={"x": "string"}))["x"] == "string"


def test_the_question_counts_and_shows_what_does_not_fit() -> None:
    values = [*map(str, range(999)), r"\N"]
    found = outcome("a.csv", _csv("a b", values))
    assert 'column a b: 999 of 1,000 values are of type integer and 1 not, such as "\\\\N"' in found.refused
    assert '`columns: {"a b": integer}`' in found.refused
    assert len(outcome("a.csv", _csv("a b", values), columns={"a b": "integer"}).quarantined) == 1
    missing = outcome("a.csv", _csv("a b", values), format={"missing": [r"\N"]})
    assert (_kinds(missing)["a b"], missing.rows[1000]["a b"]) == ("integer", None)


@pytest.mark.parametrize("values", [["a", "b", "7"], ["7", "8", "b", "c"], ["N/A", "?"], ["1.2.3", "10.0.0"]])
def test_text_with_some_numbers_is_text_without_a_question(values: list[str]) -> None:
    assert _kinds(outcome("a.csv", _csv("x", values)))["x"] == "string"


def test_what_many_rows_begin_with_decides_nothing_alone() -> None:
    found = outcome("a.csv", _csv("x", ["unknown"] * 6_000 + ["7"] * 9_000))
    assert "9,000 of 15,000 values are of type integer" in found.refused


def test_numbers_beside_quoted_ones_are_a_question_in_json() -> None:
    rows = [{"at": "2025-01-01", "x": value} for value in (1, 2, "3")]
    assert "quoted" in outcome("a.jsonl", "\n".join(map(json.dumps, rows)).encode()).refused


def test_nan_in_quotation_marks_is_a_word_of_json() -> None:
    found = outcome("a.jsonl", b'{"at": "2025-01-01", "x": "NaN"}\n{"at": "2025-01-01", "x": NaN}\n')
    assert [row["x"] for row in found.rows.values()] == ["NaN", None]


def test_rows_without_a_readable_time_decide_nothing() -> None:
    found = outcome("a.csv", b"at,x\n2025-01-01,1\nat,x\n2025-01-02,2\nTotal,n/a\n")
    assert _kinds(found)["x"] == "integer"
    assert sorted(found.quarantined) == [2, 4]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("a.csv", "at,x\n2025-01-01,\n", "at,x\n2025-01-02,2.5\n"),
        ("a.jsonl", '{"at": "2025-01-01", "x": null}\n', '{"at": "2025-01-02", "x": 2.5}\n'),
    ],
)
def test_a_column_without_a_value_takes_its_type_later(inbox: Inbox, name: str, first: str, second: str) -> None:
    inbox.put(name, first)
    inbox.put(f"a{name}", first.replace("01-01", "01-03"))
    (warning,) = inbox.ingest(columns=None).warnings
    assert "no value yet in x" in warning
    inbox.put(f"b{name}", second)
    assert inbox.ingest(columns=None).warnings == ()
    assert [row["x"] for row in inbox.rows()] == [None, 2.5, None]


@pytest.mark.parametrize(
    ("text", "text_format", "value"),
    [
        ("1.234,5", {"decimal": ",", "thousands": "."}, 1234.5),
        ("-1 234 567", {"thousands": " "}, -1234567.0),
        ("1,5", {"decimal": ","}, 1.5),
        ("0,5", {"decimal": ","}, 0.5),
        ("1.5", {"decimal": ",", "thousands": "."}, None),
        ("12,34", {"thousands": ","}, None),
        ("00,5", {"decimal": ","}, None),
    ],
)
def test_marks_of_numbers_are_declared(text: str, text_format: dict[str, Any], value: float | None) -> None:
    content = f"at;x\n2025-01-01;{text}\n".encode()
    found = outcome("a.csv", content, columns={"x": "double"}, format=text_format)
    assert [row["x"] for row in found.rows.values()] == ([] if value is None else [value])
    assert bool(found.reasons) == (value is None)


@pytest.mark.parametrize(
    ("text", "dates", "expected"),
    [
        ("31/12/2025", ["%d/%m/%Y"], "2025-12-31 00:00:00"),
        ("1/2/2025 5:06", ["%d/%m/%Y %H:%M"], "2025-02-01 05:06:00"),
        ("2 Jan 2025", ["%d %b %Y"], "2025-01-02 00:00:00"),
        ("12/31/25 01:05 PM", ["%m/%d/%y %I:%M %p"], "2025-12-31 13:05:00"),
        ("31/12/2025 23:00 -0200", ["%d/%m/%Y %H:%M %z"], "2026-01-01 01:00:00"),
        ("1/2/25", ["%d/%m/%Y"], None),  # not a day of the year 25
        ("31/02/2025", ["%d/%m/%Y"], None),
        ("2025-12-31", ["%d/%m/%Y"], None),
        ("01/02/2025", ["%d/%m/%Y", "%m/%d/%Y"], None),  # two of them read it differently
        ("25/02/2025", ["%d/%m/%Y", "%m/%d/%Y"], "2025-02-25 00:00:00"),
    ],
)
def test_dates_are_read_as_declared(text: str, dates: list[str], expected: str | None) -> None:
    found = outcome("a.csv", f'at\n"{text}"\n'.encode(), format={"dates": dates})
    assert [str(row["at"]) for row in found.rows.values()] == ([expected] if expected else [])
    assert bool(found.refused or found.reasons) == (expected is None)


def test_an_undeclared_order_of_day_and_month_is_refused_with_the_line_to_write() -> None:
    assert "`format: {dates: ['%d/%m/%Y']}`" in outcome("a.csv", b"at,x\n01/02/2025,1\n").refused
    found = outcome("a.csv", b"at,x\n01/02/2025,1\n2025-01-02,1\n")
    assert "`format: {dates: ['%d/%m/%Y']}`" in found.reasons[1]


@pytest.mark.parametrize(
    "text", ["0000-01-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00+14:00", "2025-01-01T00:00+25:00"]
)
def test_a_time_that_no_calendar_has_is_quarantined(text: str) -> None:
    found = outcome("a.csv", f"at\n2025-01-01\n{text}\n".encode())
    assert list(found.rows) == [1]
    assert "is not a timestamp" in found.reasons[2]
