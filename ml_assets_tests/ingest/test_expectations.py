"""What an expectation does to a file and its rows, by severity."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.errors import DeclarationError
from ml_assets.ingest import content
from ml_assets.ingest import expectation_verdict as judge
from ml_assets.ingest.expectations import _row_level
from ml_assets.spec.expectation_names import COMMON, ELSEWHERE, KEYWORDS, is_of_rows
from ml_assets.spec.source import Expectation as Expected
from ml_assets_tests.ingest.conftest import TABLE, Inbox, orders

BIG = 2**53
POSITIVE = {"type": "expect_column_values_to_be_between", "column": "amount", "min_value": 0}
GOOD = orders("1,2025-01-01,1", "2,2025-01-02,2")
BAD = orders("3,2025-01-01,-3", "4,2025-01-02,4", "5,2025-01-02,")


def _severity(severity: str, **more: Any) -> dict[str, Any]:
    return {"expectations": [{**POSITIVE, "severity": severity, **more}]}


def test_warn_keeps_the_rows_and_reports_them(inbox: Inbox) -> None:
    inbox.put("a.csv", GOOD)
    inbox.put("b.csv", BAD)
    found = inbox.ingest(**_severity("warn"))
    (checked,) = found.expectations
    assert (found.rows, found.in_quarantine) == (5, 0)
    assert (checked.success, checked.files, checked.failed) == (False, 2, 1)
    assert (checked.elements, checked.unexpected, checked.examples) == (
        4,
        1,
        ("-3.0",),
    )  # nulls are not looked at


def test_quarantine_keeps_the_breaking_rows_out_with_the_reason(inbox: Inbox) -> None:
    inbox.put("a.csv", GOOD)
    inbox.put("b.csv", BAD)
    found = inbox.ingest(**_severity("quarantine"))
    assert [row["id"] for row in inbox.rows()] == [1, 2, 4, 5]
    assert inbox.reasons() == ["amount: -3 breaks expect_column_values_to_be_between(min_value=0)"]
    assert (inbox.rows("_quarantine")[0]["position"], inbox.rows("_quarantine")[0]["file"]) == (
        1,
        "orders/b.csv",
    )
    assert (found.accepted, found.quarantined) == (4, 1)


def test_a_row_that_breaks_several_expectations_is_quarantined_once(inbox: Inbox) -> None:
    inbox.put("a.csv", BAD)
    known = {
        "type": "expect_column_values_to_be_in_set",
        "column": "id",
        "value_set": [4],
        "severity": "quarantine",
    }
    inbox.ingest(expectations=[{**POSITIVE, "severity": "quarantine"}, known])
    assert [row["id"] for row in inbox.rows()] == [4]
    assert len(inbox.reasons()) == 2
    assert sum("; " in reason for reason in inbox.reasons()) == 1


def test_block_holds_the_whole_file_back_and_nothing_else(inbox: Inbox) -> None:
    inbox.put("a.csv", GOOD)
    inbox.put("b.csv", BAD)
    found = inbox.ingest(**_severity("block"))
    assert [note.file for note in found.held_back] == ["orders/b.csv"]
    assert found.held_back[0].reason == (
        "expect_column_values_to_be_between(amount) fails: 1 of 2 values, such as -3.0"
    )
    assert (found.rows, found.files, found.in_quarantine) == (2, 1, 0)
    assert found.expectations[0].success


def test_a_file_that_is_held_back_leaves_no_trace_in_the_table(inbox: Inbox) -> None:
    """It came first, with other types and one more column: the next file must not be cast to them."""
    inbox.put("a.csv", "id,at,amount,more\nx,2025-01-01,-1,1\n")
    inbox.put("b.csv", GOOD)
    found = inbox.ingest(**_severity("block"))
    assert [set(row) for row in inbox.rows()] == [{"id", "at", "amount"}] * 2
    assert ([row["id"] for row in inbox.rows()], found.drift) == ([1, 2], ())


def test_a_held_back_file_is_taken_once_the_declaration_allows_it(inbox: Inbox) -> None:
    inbox.put("b.csv", BAD)
    assert inbox.ingest(**_severity("block")).rows == 0
    assert inbox.ingest(**_severity("block", mostly=0.5)).rows == 3


def test_mostly_decides_about_success_and_not_about_rows(inbox: Inbox) -> None:
    inbox.put("b.csv", BAD)
    found = inbox.ingest(**_severity("quarantine", mostly=0.5))
    assert found.expectations[0].success
    assert found.quarantined == 1


def test_a_run_without_new_files_still_reports_every_expectation(inbox: Inbox) -> None:
    inbox.put("b.csv", BAD)
    first = inbox.ingest(**_severity("warn"))
    again = inbox.ingest(**_severity("warn"))
    assert again.new_files == ()
    assert again.expectations == first.expectations


def test_an_aggregate_is_one_figure_of_the_whole_file(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "BATCH", 2)
    monkeypatch.setattr(judge, "BATCH", 2)
    inbox.put("a.csv", orders("1,2025-01-01,0", "2,2025-01-01,0", "3,2025-01-01,6", "3,2025-01-01,6"))
    mean = {"type": "expect_column_mean_to_be_between", "column": "amount", "min_value": 3, "max_value": 3}
    unique = {"type": "expect_column_values_to_be_unique", "column": "id"}
    count = {"type": "expect_table_row_count_to_equal", "value": 4}
    exists = {"type": "expect_column_to_exist", "column": "nowhere"}
    found = inbox.ingest(expectations=[mean, unique, count, exists])
    assert [checked.success for checked in found.expectations] == [True, False, True, False]
    assert [checked.elements for checked in found.expectations] == [1, 4, 1, 1]


def test_what_chunks_say_adds_up_to_the_files(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row-wise checks run over chunks that end anywhere; the rows of each file must still be its own."""
    monkeypatch.setattr(judge, "BATCH", 3)
    for nr in range(4):
        lines = [f"{nr * 10 + i},2025-01-01,{-1 if i % 3 == nr % 3 else i}" for i in range(5)]
        inbox.put(f"{nr}.csv", orders(*lines))
    inbox.ingest(**_severity("quarantine"))
    expected = [nr * 10 + i for nr in range(4) for i in range(5) if i % 3 != nr % 3]
    assert sorted(row["id"] for row in inbox.rows()) == expected


def test_dates_in_the_declaration_are_compared_with_times(inbox: Inbox) -> None:
    inbox.put("a.csv", GOOD)
    early = {"type": "expect_column_values_to_be_between", "column": "at", "max_value": "2025-01-01"}
    assert inbox.ingest(expectations=[early]).expectations[0].unexpected == 1


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ({**POSITIVE, "column": "amuont"}, "did you mean amount"),
        ({**POSITIVE, "min_value": "a"}, "does not take these keywords"),
        ({**POSITIVE, "column": "at"}, "cannot be evaluated"),
    ],
)
def test_an_expectation_that_cannot_be_run_is_refused_by_name(
    inbox: Inbox, expectation: dict[str, Any], message: str
) -> None:
    inbox.put("a.csv", GOOD)
    with pytest.raises(DeclarationError, match=message):
        inbox.ingest(expectations=[expectation])
    assert inbox.rows() == []


def test_a_condition_on_rows_limits_what_is_looked_at(inbox: Inbox) -> None:
    inbox.put("a.csv", BAD)
    condition = {"row_condition": "id > 3", "condition_parser": "pandas"}
    checked = inbox.ingest(expectations=[{**POSITIVE, **condition}]).expectations[0]
    assert (checked.success, checked.elements) == (True, 1)


def test_the_list_of_names_and_keywords_is_the_librarys() -> None:
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    ours = {"batch_id", "library_metadata", "severity", *Expectation.__fields__, *COMMON}
    registered = {name for name in list_registered_expectation_implementations() if name.startswith("expect_")}
    assert registered == KEYWORDS.keys() | ELSEWHERE
    for name, keywords in KEYWORDS.items():
        kind = get_expectation_impl(name)
        fields = {f"{key}*" if field.required else key for key, field in kind.__fields__.items() if key not in ours}
        assert set(keywords) == fields, name
        assert is_of_rows(name) == _row_level(kind, Expected(type=name, **_filled(keywords))), name


def _filled(keywords: list[str]) -> dict[str, Any]:
    return {word.removesuffix("*"): ["a"] if word.endswith("_list*") else "a" for word in keywords if "*" in word}


def test_checks_see_integers_beside_a_null_as_what_they_are(inbox: Inbox) -> None:
    column = pa.array([BIG, BIG + 1, BIG + 3, 7, None], pa.int64())
    flags = pa.array([True, None, False, True, True])
    at = pa.array([0] * 5, pa.timestamp("us"))
    rows = pa.table({"at": at, "id": column, "flag": flags, "n": [1, 2, 3, 4, 5]})
    pq.write_table(rows, inbox.folder / "orders" / "a.parquet")
    checks = [
        {"type": "expect_column_values_to_be_unique", "column": "id"},
        {"type": "expect_column_values_to_be_in_set", "column": "id", "value_set": [BIG, BIG + 3, 7]},
        {"type": "expect_column_values_to_match_regex", "column": "id", "regex": "^[0-9]+$"},
        {"type": "expect_column_values_to_be_in_set", "column": "flag", "value_set": [True]},
        {"type": "expect_column_pair_values_a_to_be_greater_than_b", "column_A": "id", "column_B": "n"},
    ]
    found = inbox.ingest(columns=None, expectations=checks)
    assert [checked.unexpected for checked in found.expectations] == [0, 1, 0, 1, 1]
    assert found.expectations[1].examples == (str(BIG + 1),)


def test_checks_compare_dates_with_dates(inbox: Inbox) -> None:
    inbox.put("a.csv", "at,day\n2025-01-01,2025-01-01\n2025-01-01,1600-01-01\n2025-01-01,\n")
    checks = [
        {"type": "expect_column_values_to_be_between", "column": "day", "min_value": "2025-01-01"},
        {"type": "expect_column_values_to_be_in_set", "column": "day", "value_set": ["1600-01-01"]},
    ]
    found = inbox.ingest(columns=None, expectations=checks)
    assert [checked.examples for checked in found.expectations] == [("1600-01-01",), ("2025-01-01",)]
    assert str(inbox.lake.schema(TABLE).field("day").type) == "date32[day]"
