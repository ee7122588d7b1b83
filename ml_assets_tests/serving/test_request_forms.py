"""Requests in every form that clients send: read as they were meant, or refused by name; never half understood."""

import csv
import io
import json
import math
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples

from ml_assets.events.rows import Prediction
from ml_assets.serving.json_body import parse_json
from ml_assets.serving.problem import Problem
from ml_assets_tests.serving.released import probability
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, post, refused, scores

CSV, JSON = {"content-type": "text/csv"}, {"content-type": "application/json"}
LARGEST = 3.4028234663852886e38  # of float32
TABLE = b"total spend,n,plan\n0.5,1,pro\n"


TWICE = {
    "of an instance": (PREDICT, '{"instances": [{"total spend": 1, "n": 3, "plan": "a", "n": 9}]}', "$.instances[0].n"),
    "escaped": (PREDICT, '{"instances": [{"total spend": 1, "n": 3, "plan": "a", "\\u006e": 9}]}', "$.instances[0].n"),
    "equal": (PREDICT, '{"instances": [{"total spend": 1, "n": 3, "plan": "a", "n": 3}]}', "$.instances[0].n"),
    "of an entity": (PREDICT, '{"entities": [{"customer_id": "c", "customer_id": "d"}]}', "$.entities[0].customer_id"),
    "of the body": (PREDICT, '{"entities": [{"customer_id": "c1"}], "entities": []}', "$.entities"),
    "of a record": (INVOKE, '{"dataframe_records": [{"total spend": 1, "n": 3, "n": 4}]}', "$.dataframe_records[0].n"),
    "of columns": (INVOKE, '{"inputs": {"n": [1], "n": [2]}}', "$.inputs.n"),
    "of a table": (INVOKE, '{"dataframe_split": {"columns": [], "data": [], "data": []}}', "$.dataframe_split.data"),
    "of an outcome": ("/outcomes", '{"outcomes": [{"value": 0, "value": 1}]}', "$.outcomes[0].value"),
    "of a filter": ("/search", '{"filters": {"party": "a", "party": "b"}}', "$.filters.party"),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_key_twice_is_named(served: Served, name: str) -> None:
    path, body, field = TWICE[name]
    assert refused(post(served, path, body.encode()), 422, "repeated-key")["field"] == field
    assert served.events(Prediction) == []


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"dataframe_split": {"columns": ["n", "plan", "n", "total spend"], "data": [[1, "a", 2, 3]]}}', JSON),
        (b"n,n,total spend,plan\n1,1,0.5,pro\n", CSV),
    ],
)
def test_a_column_twice_is_named(served: Served, body: bytes, headers: dict[str, str]) -> None:
    found = refused(served.client.post(INVOKE, content=body, headers=headers), 422, "repeated-column")
    assert found["value"] == "n"


def test_colons_in_values_are_not_keys(served: Served) -> None:
    row = {**ROW, "plan": 'a":"b::', "customer_id": "http://c:1"}
    assert scores(post(served, PREDICT, json.dumps({"instances": [row, row]}).encode())) == pytest.approx(
        [probability(0.5, 1)] * 2
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@given(_JSON, st.sampled_from([None, 2]), st.booleans())
def test_whatever_repeats_no_key_is_read_as_python_reads_it(value: Any, indent: int | None, ascii_: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode()
    assert parse_json(body) == json.loads(body)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), st.integers(0, 3))
def test_a_key_is_found_twice_at_any_depth_exactly_where_it_stands_twice(keys: list[str], depth: int) -> None:
    inner = "{" + ", ".join(f'"{key}": {at}' for at, key in enumerate(keys)) + "}"
    body = ('{"x": [' * depth + inner + "]}" * depth).encode()
    if len(set(keys)) == len(keys):
        assert parse_json(body) == json.loads(body)
    else:
        with pytest.raises(Problem, match="times in one object"):
            parse_json(body)


NUMBERS = st.text(alphabet="0123456789.eE+-_, xinfaNà１²", max_size=8) | st.floats().map(str) | st.integers().map(str)


@examples(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NUMBERS)
def test_a_number_of_csv_is_what_pandas_takes_for_one(served: Served, text: str) -> None:
    number = float(pd.to_numeric(pd.Series([text], dtype=object), errors="coerce")[0])
    table = io.StringIO()
    csv.writer(table).writerows([["total spend", "n", "plan"], [text, "1", "pro"]])
    answer = post(served, INVOKE, table.getvalue().encode(), content_type="text/csv")
    if text.strip(" ").lower() in {"", "nan"}:
        assert answer.status_code == 200
    elif math.isnan(number) or abs(number) > LARGEST:
        assert answer.json()["field"] == "$[0].total spend"
        assert answer.status_code == 422
    else:
        assert scores(answer) == pytest.approx([probability(max(min(number, 500), -500), 1)], abs=1e-6)


@pytest.mark.parametrize("text", ["1_000", "１２", "1,000", "0x10", "1e", "inf", "-Infinity", "1e999", "true"])
def test_what_is_no_number_is_named(served: Served, text: str) -> None:
    table = f'total spend,n,plan\n"{text}",1,pro\n'.encode()
    found = refused(post(served, INVOKE, table, content_type="text/csv"), 422, "invalid-field")
    assert (found["field"], found["value"]) == ("$[0].total spend", text)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "-Infinity", "1" * 5000, "1e39"])
def test_what_no_float_holds_is_refused_and_is_not_a_missing_value(served: Served, number: str) -> None:
    row = f'{{"total spend": {number}, "n": 1, "plan": "pro"}}'.encode()
    for form in ("instances", "inputs", "dataframe_records"):
        path = PREDICT if form == "instances" else INVOKE
        found = refused(post(served, path, b'{"%s": [%s]}' % (form.encode(), row)), 422, "invalid-field")
        assert found["field"] == f"$.{form}[0].total spend"
    split = f'{{"dataframe_split": {{"columns": ["n", "total spend", "plan"], "data": [[1, {number}, "a"]]}}}}'
    found = refused(post(served, INVOKE, split.encode()), 422, "invalid-field")
    assert found["field"] == "$.dataframe_split.data[0][1]"
    assert served.events(Prediction) == []


def test_nan_is_a_missing_value_in_every_form(served: Served) -> None:
    row = b'{"total spend": NaN, "n": 1, "plan": "pro"}'
    answers = [post(served, path, b'{"instances": [%s]}' % row) for path in (PREDICT, INVOKE)]
    tables = (b"total spend,n,plan\n%s,1,pro\n" % cell for cell in (b"NaN", b""))
    answers += [post(served, INVOKE, table, content_type="text/csv") for table in tables]
    assert [scores(answer) for answer in answers] == [pytest.approx([probability(0, 1)])] * 4
    assert {row.missing for row in served.events(Prediction)} == {'["total spend"]'}


def test_mlflows_inputs_are_rows_or_columns(served: Served) -> None:
    second = {"total spend": -1, "n": 0, "plan": None}
    columns = {name: [ROW[name], second[name]] for name in ROW}
    for rows in ([ROW, second], columns, [[*ROW.values()], [*second.values()]]):
        answer = post(served, INVOKE, json.dumps({"inputs": rows, "params": {}}).encode())
        assert scores(answer) == pytest.approx([probability(0.5, 1), probability(-1, 0)])
    assert scores(post(served, INVOKE, json.dumps({"inputs": ROW}).encode())) == pytest.approx([probability(0.5, 1)])


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"total spend": [1, 2], "n": [1], "plan": ["a"]}, "$.inputs.n"),
        ({"total spend": [1], "n": ["x"], "plan": ["a"]}, "$.inputs.n[0]"),
        ({"total spend": [1], "n": 1, "plan": ["a"]}, "$.inputs.n"),
        ([{**ROW, "n": "x"}], "$.inputs[0].n"),
        ([[0.5, "x", "pro"]], "$.inputs[0][1]"),
        ([1], "$.inputs[0]"),
        ([], "$.inputs"),
        ("x", "$.inputs"),
    ],
)
def test_what_is_wrong_with_inputs_is_named_where_it_stands(served: Served, inputs: Any, field: str) -> None:
    found = refused(post(served, INVOKE, json.dumps({"inputs": inputs}).encode()), 422, "invalid-field")
    assert found["field"] == field


def test_too_many_rows_are_413_in_every_form(served: Served) -> None:
    for body in (
        {"instances": [ROW] * 6},
        {"inputs": [ROW] * 6},
        {"inputs": {name: [value] * 6 for name, value in ROW.items()}},
        {"dataframe_split": {"columns": [*ROW], "data": [[*ROW.values()]] * 6}},
    ):
        refused(post(served, INVOKE, json.dumps(body).encode()), 413, "too-many-rows")
    refused(post(served, INVOKE, TABLE + b"0.5,1,pro\n" * 5, content_type="text/csv"), 413, "too-many-rows")


@pytest.mark.parametrize(
    "line", [b'0.5,1,a "b" c\n', b'0.5,1,"a"b\n', b'0.5,1,"a\n', b'0.5,1,a"\n0.5,2,"b\n', b"0.5,1,\xff\n"]
)
def test_csv_that_two_readings_fit_is_malformed(served: Served, line: bytes) -> None:
    refused(post(served, INVOKE, TABLE + line, content_type="text/csv"), 400, "malformed-csv")
    refused(post(served, INVOKE, b"", content_type="text/csv"), 400, "malformed-csv")


def test_a_quoted_cell_holds_commas_quotation_marks_and_line_ends(served: Served) -> None:
    assert scores(post(served, INVOKE, b'total spend,n,plan\r\n0.5,1,"a, ""b""\nc"\r\n', content_type="text/csv"))
    assert json.loads(served.events(Prediction)[0].features)["plan"] == 'a, "b"\nc'
