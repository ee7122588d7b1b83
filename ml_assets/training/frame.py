"""Rows of a training set as what scikit-learn takes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Columns:
    """Feature columns: numbers (float32, NaN = missing) and categories (text, null = missing), in their order."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        """Numbers first, then categories."""
        return [*self.numeric, *self.categorical]


@dataclass(frozen=True)
class Frame:
    """Rows ready to fit: features, labels (0/1), entities, and the as-of date of each row."""

    X: "pd.DataFrame"
    y: "NDArray[np.int64]"
    groups: "NDArray[Any]"
    days: "NDArray[np.datetime64]"

    def at(self, days: Collection[date]) -> "Frame":
        """The rows of some as-of dates."""
        chosen = np.isin(self.days, np.array(sorted(days), dtype="datetime64[D]"))
        if not chosen.any():
            raise TrainingError(f"the population is empty at {min(days)} to {max(days)}: check population.sql")
        return Frame(self.X.loc[chosen].reset_index(drop=True), self.y[chosen], self.groups[chosen], self.days[chosen])


def columns(rows: pa.Table, leave_out: Collection[str]) -> Columns:
    """Which columns are numbers and which are categories; booleans are numbers.

    A column without one value is no feature: nothing can be learned from it, and `SELECT *` has one for each column
    that only came with a later file. So a model is the same whether or not that file was there when it was trained.
    """
    held = [name for name in rows.column_names if rows[name].null_count < len(rows)]
    chosen = [rows.schema.field(name) for name in held if name not in leave_out]
    words = tuple(
        field.name for field in chosen if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    )
    return Columns(tuple(field.name for field in chosen if field.name not in words), words)


def features(rows: pa.Table, chosen: Columns) -> "pd.DataFrame":
    """The feature columns as pandas: float32 numbers and `str` categories.

    Raises:
        TrainingError: a column is not there.
    """
    if missing := set(chosen.all) - set(rows.column_names):
        raise TrainingError(f"rows have no column {min(missing)!r}: the model was trained with it")
    numbers = [rows[name].cast(pa.float32(), safe=False) for name in chosen.numeric]
    words = [rows[name].cast(pa.string()) for name in chosen.categorical]
    frame: pd.DataFrame = pa.table([*numbers, *words], names=chosen.all).to_pandas()
    return frame.astype(dict.fromkeys(chosen.categorical, "str")) if chosen.categorical else frame


def frame(rows: pa.Table, chosen: Columns, entity: str, day: str) -> Frame:
    """Training rows as a frame."""
    return Frame(
        features(rows, chosen),
        np.asarray(rows["label"].cast(pa.int64())),
        np.asarray(pc.dictionary_encode(rows[entity]).combine_chunks().indices),
        np.asarray(rows[day]).astype("datetime64[D]"),
    )
