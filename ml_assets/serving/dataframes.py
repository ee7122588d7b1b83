"""Rows in the forms of MLflow's clients: each becomes a list of objects, as `instances` has them."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ml_assets.serving.json_body import Decoder, parse_json
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.problem import Problem
from ml_assets.storage.manifest import Input

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")

# As the ingest reads them (`ingest/casts.py`): no 1_000, no 1,000, no digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_STEP = re.compile(r"\$\.instances(?:\[(\d+)\](?:\.(.+))?)?", re.DOTALL)
# A cell in quotation marks, from the comma or line end before it to the one behind it.
_QUOTED = re.compile(r'(?:^|(?<=[,\r\n]))"[^"]*(?:""[^"]*)*"(?=[,\r\n]|$)')


class Table(NamedTuple):
    """Rows of a body.

    Args:
        rows: a list of objects, if the body is right.
        place: where in the body a path such as `$.instances[0].n` is.
    """

    rows: Any
    place: Callable[[str], str]


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


_SPLIT: Decoder[_Split] = Decoder(_Split, "send columns and data as pandas' to_dict(orient='split') writes them")


def rows_from_json(model: ServedModel, body: bytes) -> Table:
    """The rows of a body of JSON.

    Raises:
        Problem: it is not JSON, or has none of the forms.
    """
    document = parse_json(body)
    forms = [form for form in FORMS if isinstance(document, dict) and form in document]
    if len(forms) != 1:
        raise Problem(
            422, "rows-missing", f"the body has to hold exactly one of {', '.join(FORMS[:-1])} and {FORMS[-1]}",
            'send {"dataframe_split": {"columns": […], "data": [[…]]}}', field="$",
        )  # fmt: skip
    form, rows, most = forms[0], document[forms[0]], _most(model)
    if form == "dataframe_split":
        return _of_split(rows, most)
    if form != "dataframe_records" and isinstance(rows, dict):
        return _of_columns(rows, f"$.{form}", most)
    if isinstance(rows, list):
        rows = rows[:most]
    if form != "dataframe_records" and isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
        return _of_lists([column.name for column in model.manifest.inputs], rows, f"$.{form}")
    return Table(rows, lambda path: path.replace("$.instances", f"$.{form}", 1))


def rows_from_csv(model: ServedModel, body: bytes) -> Table:
    """The rows of CSV with a header. An empty cell and NaN are missing values.

    Raises:
        Problem: it is not CSV, a column stands twice, or a cell of a column of numbers is not one.
    """
    try:
        text = body.decode()
        lines = [*islice(csv.reader(io.StringIO(text, newline=""), strict=True), 1 + _most(model))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _malformed(str(error)) from None
    if '"' in _QUOTED.sub("", text):
        raise _malformed("a quotation mark stands within a cell that is not in quotation marks, or before its end")
    if not lines:
        raise _malformed("the body is empty")
    kinds = {column.name: column for column in model.manifest.inputs}
    head, *rows = lines
    _require_once(head, "$")
    cells = [
        [_cell(kinds.get(name), value, f"$[{at}].{name}") for name, value in zip(head, row, strict=False)]
        if len(row) == len(head)
        else row
        for at, row in enumerate(rows)
    ]
    return _of_lists(head, cells, "$", lambda at, name: f"$[{at}].{name}")


def _most(model: ServedModel) -> int:
    """Rows that are looked at: one more than there may be, by which the request is refused."""
    return model.manifest.max_rows + 1


def _of_split(rows: object, most: int) -> Table:
    split = _SPLIT.convert(rows, lambda path: f"$.dataframe_split{path[1:]}")
    _require_once(split.columns, "$.dataframe_split.columns")
    return _of_lists(split.columns, split.data[:most], "$.dataframe_split.data")


def _of_columns(columns: Mapping[str, Any], field: str, most: int) -> Table:
    """Columns of values, or one row of them, as MLflow has a dictionary."""
    lengths = {name: len(values) for name, values in columns.items() if isinstance(values, list)}
    if not lengths:
        return Table([columns], lambda path: path.replace("$.instances[0]", field, 1))
    rows = next(iter(lengths.values()))
    for name in columns:
        if lengths.get(name) != rows:
            what = f"{lengths[name]} values" if name in lengths else "one value"
            raise Problem(
                422, "invalid-field", f"the column has {what}, and the first one {rows}",
                "send a list of equal length for each column", field=f"{field}.{name}",
            )  # fmt: skip
    objects = [dict(zip(columns, row, strict=True)) for row in islice(zip(*columns.values(), strict=True), most)]
    return Table(objects, _placed(field, lambda at, name: f"{field}.{name}[{at}]"))


def _of_lists(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    field: str,
    place: Callable[[int, str], str] | None = None,
) -> Table:
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise Problem(
                422, "invalid-field", f"the row has {len(row)} values, and there are {len(columns)} columns",
                "send a value for each column", field=f"{field}[{number}]",
            )  # fmt: skip
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    at = {name: number for number, name in enumerate(columns)}

    def cell(number: int, name: str) -> str:
        return f"{field}[{number}][{at[name]}]" if name in at else f"{field}[{number}].{name}"

    return Table(objects, _placed(field, place or cell))


def _placed(field: str, within: Callable[[int, str], str]) -> Callable[[str], str]:
    def place(path: str) -> str:
        step = _STEP.fullmatch(path)
        if step is None or step[1] is None:
            return field
        return f"{field}[{step[1]}]" if step[2] is None else within(int(step[1]), step[2])

    return place


def _require_once(columns: Sequence[str], field: str) -> None:
    counts = Counter(columns)
    if repeated := next((name for name, count in counts.items() if count > 1), None):
        raise Problem(
            422, "repeated-column", f"the column {repeated!r} stands {counts[repeated]} times", "send it once",
            field=field, value=repeated,
        )  # fmt: skip


def _cell(column: Input | None, text: str, field: str) -> float | str | None:
    if text == "" or column is None or column.kind != "number":
        return text or None
    digits = text.strip(" \t")
    if digits == "" or digits.lower() == "nan":
        return None
    number = float(digits) if _NUMBER.fullmatch(digits) else math.inf
    if math.isinf(number):
        raise Problem(
            422, "invalid-field", f"Expected a number, got {text!r}",
            "send a number such as 1234.5, or nothing for a missing value", field=field, value=text,
        )  # fmt: skip
    return number


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed-csv", why, "send UTF-8 CSV with a header and commas between the cells", field="$")
