"""A label's column as it is returned by a query: 0 or 1, or one of several classes."""

from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError, list_values, shorten
from ml_assets.spec.label_values import LABEL, WRITTEN, LabelValues

_PAIRS = (("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
"""Two words of which nobody doubts which one is 1; in any letter case."""


def read_labels(values: LabelValues, column: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """The columns of a view of labels: `label`, and `label_written` where it was spelled in another way.

    Args:
        values: how the folder declares them.
        column: what the query returns, of one as-of date.

    Returns:
        `label` is `int64` 0 or 1, or with `classes` text or null.

    Raises:
        DataError: a value that is not one of the task, or null where there are two classes.
    """
    column = _known(column)
    if values.classes:
        return {LABEL: _classes(values, _words(column))}
    if _is_number(column.type) and values.positive is None:
        _require_codes(column)
    _require_known(column)
    if _is_number(column.type) and values.positive is None:
        return {LABEL: column.cast(pa.float64(), safe=False).cast(pa.int64())}
    written = _words(column)
    ones = _ones(values, written, column.type)
    label = pc.if_else(pc.is_in(written, value_set=pa.array(ones, pa.string())), 1, 0)
    return {LABEL: label.cast(pa.int64()), WRITTEN: written}


def _classes(values: LabelValues, written: pa.ChunkedArray) -> pa.ChunkedArray:
    for value in written.drop_null().unique().to_pylist():
        if value not in values.classes:
            near = get_close_matches(value, values.classes, n=1)
            meant = f"did you mean {near[0]!r}?" if near else "add it to label.classes, or return null for it"
            classes = list_values(values.classes, 8)
            raise DataError(f"label {shorten(repr(value))} is not one of the classes {classes}: {meant}")
    return written


def _ones(values: LabelValues, written: pa.ChunkedArray, kind: pa.DataType) -> list[str]:
    """The values that count as 1."""
    texts = sorted(written.unique().to_pylist())
    if len(texts) > 2:
        raise DataError(
            f"label holds {len(texts):,} different values ({list_values(texts, 3)}): two classes are 0 and 1; for "
            "three or more declare label.classes in defs.yaml"
        )
    if values.positive is not None:
        return [values.positive]
    folded = {value.lower() for value in texts}
    one = next((one for zero, one in _PAIRS if folded <= {zero, one}), None)
    if one is None:
        raise DataError(
            f"label is {kind} ({list_values(texts)}), and which value counts as 1 is not known: write "
            f"label: {{positive: {shorten(texts[-1], 30)}}} in defs.yaml, or return the numbers 0 and 1"
        )
    return [value for value in texts if value.lower() == one]


def _words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as text: `true`, `3` also for 3.0, and text as it is."""
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "true", "false")
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return pa.chunked_array([[_number(value) for value in column.to_pylist()]], pa.string())
    return column.cast(pa.string())


def _number(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text.partition(".")[0] if "." in text and not text.partition(".")[2].strip("0") else text


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN is missing, as everywhere."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_temporal(column.type) or pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise DataError(f"label is {column.type}: return 0 or 1, or one of label.classes")
    return column


def _require_known(column: pa.ChunkedArray) -> None:
    if column.null_count:
        raise DataError(
            f"label is null in {column.null_count:,} of {len(column):,} rows, and null is not allowed for two classes: "
            "return 0 or 1 for every member of the population (coalesce(…, 0)), or leave those members out of "
            "population.sql"
        )


def _require_codes(column: pa.ChunkedArray) -> None:
    """Refuse numbers that are not classes."""
    values = sorted(column.drop_null().unique().to_pylist())
    if set(values) <= {0, 1}:
        return
    shown = ", ".join(f"{value}" for value in values[:3]) + (", …" if len(values) > 3 else "")
    codes = len(values) <= 2 and values[-1] == int(values[-1])
    other = f"write label: {{positive: {int(values[-1])}}} in defs.yaml" if codes else "declare label.classes"
    raise DataError(
        f"label holds {len(values):,} different numbers ({shown}): predicting a number (regression) is not supported, "
        f"only classes; return 0 or 1, such as CAST(amount > 100 AS INTEGER), or {other}"
    )
