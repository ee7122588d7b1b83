"""Rows as one Parquet file of a Delta table, in the order in which they come.

deltalake's own writer hands the batches of a stream to parallel workers, so that two tables with the same rows hold
them in different orders, and sums of floats over them have different last digits
(https://github.com/pola-rs/polars/issues/26912).
"""

import json
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

_GROUP, _GROUP_BYTES = 250_000, 64 << 20  # of a row group: what is held in memory at a time
_NUMBERS = ("INT32", "INT64", "FLOAT", "DOUBLE")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
_UNITS = {"timestamp[us]": timedelta(microseconds=1), "date32[day]": timedelta(days=1)}


def write(store: Any, rows: pa.RecordBatchReader, at: int, *, changes: bool = True) -> list[AddAction]:  # noqa: ANN401 - pyarrow has no types
    """Write rows below a table's folder; the file counts only once its action is committed.

    Args:
        store: the folder of the table, as a `pyarrow.fs.FileSystem`.
        rows: consumed as they come.
        at: milliseconds since 1970, which place the file among the others of its table.
        changes: whether the table holds other rows with it.

    Returns:
        The action that adds the file; none where there are no rows.
    """
    import pyarrow.parquet as pq  # not at load

    path, footers = f"{uuid.uuid4()}.snappy.parquet", list[Any]()
    with pq.ParquetWriter(path, rows.schema, filesystem=store, metadata_collector=footers) as writer:
        for group in _groups(rows):
            writer.write_table(group, row_group_size=_GROUP)
    (footer,) = footers
    if not footer.num_rows:
        store.delete_file(path)
        return []
    size = store.get_file_info(path).size
    return [AddAction(path, size, {}, at, changes, json.dumps(_statistics(footer)))]


def _groups(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    batches, rows_held, size = list[pa.RecordBatch](), 0, 0
    for batch in rows:
        batches.append(batch)
        rows_held, size = rows_held + len(batch), size + batch.nbytes
        if rows_held >= _GROUP or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(batches)
            batches, rows_held, size = [], 0, 0
    if batches:
        yield pa.Table.from_batches(batches)


def _statistics(footer: Any) -> dict[str, Any]:  # noqa: ANN401 - pyarrow has no types
    """The file's statistics (Delta protocol, "Per-file Statistics"): of numbers and times the extremes as well."""
    kinds = {
        field.name: str(field.type) for field in footer.schema.to_arrow_schema()
    }  # once: it is made of all columns
    columns = [_column(footer, index, kinds) for index in range(footer.num_columns)]
    return {
        "numRecords": footer.num_rows,
        "minValues": {name: low for name, low, _, _ in columns if low is not None},
        "maxValues": {name: high for name, _, high, _ in columns if high is not None},
        "nullCount": {name: nulls for name, _, _, nulls in columns if nulls is not None},
    }


def _column(footer: Any, index: int, kinds: Mapping[str, str]) -> tuple[str, object, object, int | None]:  # noqa: ANN401 - pyarrow has no types
    parts = [footer.row_group(group).column(index) for group in range(footer.num_row_groups)]
    name, statistics = parts[0].path_in_schema, [part.statistics for part in parts]
    if "." in name or not all(statistics):
        return name, None, None, None
    kind = kinds[name]
    bounds = [(_extreme(kind, one, "min"), _extreme(kind, one, "max")) for one in statistics if one.has_min_max]
    nulls = sum(one.null_count for one in statistics) if all(one.has_null_count for one in statistics) else None
    if not bounds:
        return name, None, None, nulls
    lows, highs = zip(*bounds, strict=True)
    return name, _plain(kind, _furthest(min, lows)), _plain(kind, _furthest(max, highs)), nulls


def _furthest(of: Callable[[Iterable[Any]], Any], ends: Sequence[Any]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The extreme of all row groups; None where one of them does not say."""
    return None if None in ends else of(ends)


def _extreme(kind: str, statistics: Any, which: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A number; times as what Parquet keeps, for Python's calendar ends at the year 9999. None for other kinds."""
    if kind in _UNITS:
        return getattr(statistics, f"{which}_raw")
    value = getattr(statistics, which) if statistics.physical_type in _NUMBERS else None
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _plain(kind: str, value: Any) -> object:  # noqa: ANN401 - of any kind
    """A number or time as JSON has it; None for a time that Python's calendar lacks."""
    if value is None or kind not in _UNITS:
        return value
    try:
        moment = _EPOCH + value * _UNITS[kind]
    except OverflowError:
        return None
    return (moment.date() if kind == "date32[day]" else moment).isoformat()
