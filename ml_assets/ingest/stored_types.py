"""Arrow values in the types of the lake: exact, or refused by column."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as known

from ml_assets.errors import DataError

_MICROSECONDS = pa.timestamp("us")

_STORED: list[tuple[tuple[Callable[[pa.DataType], bool], ...], pa.DataType]] = [
    ((known.is_integer,), pa.int64()),
    ((known.is_floating,), pa.float64()),
    ((known.is_boolean,), pa.bool_()),
    ((known.is_timestamp,), _MICROSECONDS),
    ((known.is_date,), pa.date32()),
    ((known.is_string, known.is_large_string, known.is_string_view), pa.string()),
    ((known.is_binary, known.is_large_binary, known.is_binary_view, known.is_fixed_size_binary), pa.binary()),
    # Delta has no time of day, and no type for a column without values.
    ((known.is_time, known.is_null), pa.string()),
]
_EXTENSIONS = {"arrow.uuid": pa.string(), "arrow.json": pa.string(), "arrow.bool8": pa.bool_()}
_DIGITS = 38  # of a decimal of the lake
# Microseconds and days since 1970: Python, pandas and JSON know the years 1 to 9999.
_CALENDAR = {
    _MICROSECONDS: (-62_135_596_800_000_000, 253_402_300_799_999_999, pa.int64()),
    pa.date32(): (-719_162, 2_932_896, pa.int32()),
}
_DASHES = (8, 13, 18, 23)


def stored_type(type_: pa.DataType) -> pa.DataType | None:
    """The type in which the lake keeps values of `type_`; None where it has none."""
    if isinstance(type_, pa.BaseExtensionType):
        return _EXTENSIONS.get(type_.extension_name)
    if known.is_dictionary(type_):
        return stored_type(type_.value_type)
    if known.is_decimal(type_):
        fits = type_.precision <= _DIGITS and 0 <= type_.scale <= type_.precision
        return pa.decimal128(type_.precision, type_.scale) if fits else None
    if known.is_nested(type_):
        return _nested(type_)
    return next((stored for fits, stored in _STORED if any(fit(type_) for fit in fits)), None)


def _nested(type_: pa.DataType) -> pa.DataType | None:
    if known.is_map(type_):
        key, item = stored_type(type_.key_type), stored_type(type_.item_type)
        return pa.map_(key, item) if key and item else None
    if known.is_struct(type_):
        names = [field.name for field in type_]
        parts = [stored_type(field.type) for field in type_]
        told_apart = len({name.casefold() for name in names}) == len(names) and all(names)
        return pa.struct(list(zip(names, parts, strict=True))) if names and told_apart and all(parts) else None
    if known.is_union(type_):
        return None
    value = stored_type(type_.value_type)
    return pa.list_(value) if value else None


def to_stored_types(batch: pa.RecordBatch, file: str) -> pa.RecordBatch:
    """The batch in the types of the lake: 64-bit numbers, plain strings, naive UTC microseconds.

    Nanoseconds are cut off. Times outside the years 1 to 9999 stay in a column, whose rows are judged one by
    one, and are refused inside of lists and structs.

    Raises:
        DataError: a column has a type or a value that the lake cannot keep; it is named with its file.
    """
    arrays = [_column(file, name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def outside_calendar(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Whether each time or date lies before the year 1 or after 9999; None where none does."""
    if column.type not in _CALENDAR:
        return None
    low, high, number = _CALENDAR[column.type]
    numbers = column.cast(number)
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is None or (low <= bounds["min"] and bounds["max"] <= high):
        return None
    return pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), fill_value=False)


def require_stored_type(file: str, name: str, type_: pa.DataType) -> pa.DataType:
    """The type in which the lake keeps a column.

    Raises:
        DataError: it has none.
    """
    if stored := stored_type(type_):
        return stored
    if known.is_duration(type_):
        advice = "as a number of seconds"
    elif known.is_decimal(type_):
        advice = f"with at most {_DIGITS} digits, or as text"
    else:
        advice = "as text or numbers"
    raise DataError(f"{file}: column {name}: the lake has no type for {type_}: deliver it {advice}")


def _column(file: str, name: str, column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    target = require_stored_type(file, name, column.type)
    try:
        stored = _stored(column, target)
    except (pa.ArrowException, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise DataError(
            f"{file}: column {name}: a value of {column.type} is more than {target} can hold ({what}): "
            "deliver it as text"
        ) from error
    if known.is_nested(stored.type) and any(outside_calendar(leaf) is not None for leaf in _leaves(stored)):
        raise DataError(f"{file}: column {name}: holds a time outside the years 1 to 9999: deliver it as text")
    return stored


def _stored(column: Any, wanted: pa.DataType) -> Any:  # noqa: ANN401 - pyarrow has no types
    type_ = column.type
    if type_ == wanted:
        return column
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.uuid":
            return _uuids(column.storage)
        return column.storage.cast(wanted)
    if known.is_dictionary(type_):
        return _stored(column.cast(type_.value_type), wanted)
    if known.is_timestamp(type_):
        naive = column.cast(pa.timestamp(type_.unit))  # an instant is UTC, whatever its zone is called
        return naive.cast(wanted) if type_.unit != "ns" else _floored(naive)
    return column.cast(wanted)


def _floored(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Nanoseconds cut off: towards the past, also before 1970."""
    numbers = np.asarray(column.cast(pa.int64()).fill_null(0))
    mask = np.asarray(column.is_null()) if column.null_count else None
    return pa.array(numbers // 1000, pa.int64(), mask=mask).cast(_MICROSECONDS)


def _uuids(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Sixteen bytes as 8-4-4-4-12 hexadecimal digits."""
    valid = column.drop_null()
    digits = np.frombuffer(b"".join(valid.to_pylist()).hex().encode(), np.uint8).reshape(len(valid), 32)
    places = [place for place in range(36) if place not in _DASHES]
    text = np.full((len(valid), 36), ord("-"), np.uint8)
    text[:, places] = digits
    offsets = pa.py_buffer(np.arange(len(valid) + 1, dtype=np.int32) * 36)
    words = pa.StringArray.from_buffers(len(valid), offsets, pa.py_buffer(text.tobytes()))
    if not column.null_count:
        return words
    positions = np.cumsum(np.asarray(column.is_valid())) - 1
    return words.take(pa.array(positions, pa.int64(), mask=np.asarray(column.is_null())))


def _leaves(column: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    if known.is_struct(column.type):
        parts = column.flatten()
    elif known.is_map(column.type):
        parts = [column.keys, column.items]
    elif known.is_list(column.type):
        parts = [column.flatten()]
    else:
        yield column
        return
    for part in parts:
        yield from _leaves(part)
