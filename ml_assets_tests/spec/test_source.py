import pytest
from pydantic import ValidationError

from ml_assets.spec.source import Expectation, SourceSpec

NULL = {"type": "expect_column_values_to_not_be_null", "column": "a"}

COUNT = {"type": "expect_table_row_count_to_equal", "value": 3}


def test_a_misspelt_field_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'columns'"):
        SourceSpec.model_validate({"name": "a", "files": "*.csv", "event_time": "t", "colums": {}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "order lines"}, "no identifier"),
        ({"files": "../elsewhere/*.csv"}, "leaves data/incoming"),
        ({"files": "/etc/*.csv"}, "leaves data/incoming"),
        ({"event_time": "_file"}, "taken by the lake"),
        ({"columns": {"t": "string"}}, "declare timestamp and not string"),
        ({"columns": {"x": "varchar"}}, "'string', 'integer'"),
        ({"expectations": [{"type": "be_nice"}]}, "expect_"),
        ({"name": "größe"}, "no identifier"),
        ({"expectations": [{**NULL, "severity": "error"}]}, "'warn', 'quarantine' or 'block'"),
        ({"expectations": [{**NULL, "type": "expect_column_values_to_not_be_nul"}]}, "did you mean .*_not_be_null"),
        ({"expectations": [{"type": "expect_zzz"}]}, "has no expect_zzz: https"),
        ({"expectations": [{**NULL, "colum": "a"}]}, "has no keyword 'colum': did you mean 'column'"),
        ({"expectations": [{"type": NULL["type"]}]}, "lacks column"),
        ({"expectations": [{**COUNT, "severity": "quarantine"}]}, "sends no row"),
        ({"expectations": [{**NULL, "type": "expect_column_values_to_match_like_pattern"}]}, "asks a database"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused_at_load(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SourceSpec.model_validate({"name": "a", "files": "*.csv", "event_time": "t", **changes})


def test_every_other_field_of_an_expectation_is_a_keyword_of_great_expectations() -> None:
    expectation = Expectation.model_validate({**NULL, "severity": "block", "mostly": 0.9})
    assert expectation.kwargs == {"column": "a", "mostly": 0.9}
    assert expectation.columns == ["a"]


def test_an_expectation_stays_the_same_when_its_severity_changes() -> None:
    declared = NULL
    keys = {Expectation.model_validate({**declared, "severity": s}).key for s in ("warn", "quarantine", "block")}
    assert len(keys) == 1


def test_times_of_the_source_are_timestamps_without_being_declared() -> None:
    spec = SourceSpec(name="a", files="*.csv", event_time="t", known_at="k", columns={"x": "integer"})
    assert spec.kinds == {"x": "integer", "t": "timestamp", "k": "timestamp"}
