"""Rows that features are asked for: who, and at which moment."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.errors import DataError, DeclarationError, list_values

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_arrow(entities: Any, names: list[str]) -> pa.Table:  # noqa: ANN401 - pandas or Arrow
    """These columns of a pandas DataFrame or an Arrow table.

    Raises:
        DataError: one is not there.
    """
    for name in names:
        if name not in column_names(entities):
            raise DataError(f"the entities have no column {name!r}: they have {list_values(column_names(entities), 8)}")
    if isinstance(entities, pa.Table):
        return entities.select(names)
    return pa.table({name: pa.array(entities[name], from_pandas=True) for name in names})


def column_names(entities: Any) -> list[str]:  # noqa: ANN401 - pandas or Arrow
    """The names of all columns."""
    return [*entities.column_names] if isinstance(entities, pa.Table) else [str(name) for name in entities.columns]


def timestamp_column(entities: Any) -> str:  # noqa: ANN401 - pandas or Arrow
    """The one column of times.

    Raises:
        DataError: there is none, or more than one.
    """
    if isinstance(entities, pa.Table):
        candidates = [field.name for field in entities.schema if pa.types.is_temporal(field.type)]
    else:
        candidates = [str(name) for name, kind in entities.dtypes.items() if getattr(kind, "kind", "") == "M"]
    if len(candidates) != 1:
        raise DataError(
            f"the entities have {len(candidates)} columns of times ({list_values(candidates) or 'none'}): "
            "name the one that counts with timestamp="
        )
    return str(candidates[0])


def moments(column: pa.ChunkedArray, name: str) -> "NDArray[np.int64]":
    """Microseconds since 1970, UTC; a date is its midnight, a time without a zone is UTC.

    Raises:
        DataError: the column holds no times.
    """
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DataError(f"{name!r} is {column.type}: it says when a row is asked about, so make it a timestamp")
    zone = getattr(column.type, "tz", None)
    # Arrow keeps times with a zone in UTC already.
    plain = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    microseconds: NDArray[np.int64] = plain.combine_chunks().to_numpy(zero_copy_only=False)
    return microseconds


def join_columns(entities: Any, parts: Sequence[pa.Table], names: Sequence[str | None]) -> Any:  # noqa: ANN401 - pandas or Arrow
    """The entities with the columns of `parts` behind theirs: of each the one that is named, or all.

    Raises:
        DeclarationError: a name comes twice.
    """
    taken_names = set(column_names(entities))
    columns: dict[str, pa.ChunkedArray] = {}
    for part, only in zip(parts, names, strict=True):
        for name in part.column_names if only is None else [only]:
            if name in taken_names or name in columns:
                raise DeclarationError(f"two columns {name!r}, among the entities or the features: rename one of them")
            columns[name] = part[name]
    if isinstance(entities, pa.Table):
        return pa.table({**dict(zip(entities.column_names, entities.columns, strict=True)), **columns})
    import pandas as pd

    features = pa.table(columns).to_pandas(split_blocks=True)
    return pd.concat([entities, features.set_axis(entities.index)], axis=1)


def require_values(column: pa.ChunkedArray, name: str) -> None:
    """Refuse a row without a value.

    Raises:
        DataError: naming the first one, counted from 0.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{name!r} is null in row {row}: every row names an entity and a moment")
