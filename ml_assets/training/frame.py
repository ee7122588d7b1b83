"""Rows of a training set as what scikit-learn takes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import TrainingError, list_values
from ml_assets.storage.scorer import normal

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureColumns:
    """Feature columns in their order: numbers (float32, NaN = missing), categories, running text (null = missing).

    >>> FeatureColumns(("amount",), ("plan",), ("letter",)).kinds
    {'amount': 'number', 'plan': 'text', 'letter': 'document'}
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    text: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """Numbers first, then categories, then text."""
        return [*self.numeric, *self.categorical, *self.text]

    @property
    def kinds(self) -> dict[str, Literal["number", "text", "document"]]:
        """The kind of each column, in the words of the manifest."""
        kinds: dict[str, Literal["number", "text", "document"]] = dict.fromkeys(self.numeric, "number")
        return kinds | dict.fromkeys(self.categorical, "text") | dict.fromkeys(self.text, "document")


@dataclass(frozen=True)
class Frame:
    """Rows ready to fit: features, labels (0/1, or the number of the class), entities, and the as-of date of each."""

    X: "pd.DataFrame"
    y: "NDArray[np.int64]"
    groups: "NDArray[Any]"
    days: "NDArray[np.datetime64]"

    def at(self, days: Collection[date]) -> "Frame":
        """The rows of some as-of dates."""
        rows = np.isin(self.days, np.array(sorted(days), dtype="datetime64[D]"))
        if not rows.any():
            raise TrainingError(f"the population is empty at {min(days)} to {max(days)}: check population.sql")
        return Frame(self.X.loc[rows].reset_index(drop=True), self.y[rows], self.groups[rows], self.days[rows])


def columns(rows: pa.Table, leave_out: Collection[str], text: Collection[str] = ()) -> FeatureColumns:
    """Sort the columns into numbers, categories and running `text`; booleans are numbers.

    A column without one value is no feature: nothing can be learned from it, and `SELECT *` has one for each column
    that only came with a later file. So a model is the same whether or not that file was there when it was trained.
    """
    filled = [name for name in rows.column_names if rows[name].null_count < len(rows)]
    fields = [rows.schema.field(name) for name in filled if name not in leave_out]
    words = tuple(
        field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    )
    if strange := set(text) - set(words):
        texts = list_values(words, 8) or "there is none"
        raise TrainingError(f"text names {min(strange)!r}, which is not a feature that holds text: {texts}")
    return FeatureColumns(
        tuple(field.name for field in fields if field.name not in words),
        tuple(name for name in words if name not in text),
        tuple(name for name in words if name in text),
    )


def features(rows: pa.Table, chosen: FeatureColumns) -> "pd.DataFrame":
    """The feature columns as pandas: float32 numbers, `str` categories, and text as `text.features.normal` writes it.

    Raises:
        TrainingError: a column is not there.
    """
    if missing := set(chosen.all) - set(rows.column_names):
        raise TrainingError(f"rows have no column {min(missing)!r}: the model was trained with it")
    numbers = [rows[name].cast(pa.float32(), safe=False) for name in chosen.numeric]
    words = [rows[name].cast(pa.string()) for name in chosen.categorical]
    texts = [pa.array([normal(text or "") for text in rows[name].to_pylist()], pa.string()) for name in chosen.text]
    frame: pd.DataFrame = pa.table([*numbers, *words, *texts], names=chosen.all).to_pandas()
    strings = [*chosen.categorical, *chosen.text]
    return frame.astype(dict.fromkeys(strings, "str")) if strings else frame


def frame(rows: pa.Table, chosen: FeatureColumns, entity: str, day: str, classes: Sequence[str] = ()) -> Frame:
    """Training rows as a frame.

    Args:
        rows: of a training set, n of them.
        chosen: the feature columns.
        entity: the column of the entity.
        day: the column of the as-of date.
        classes: the values of a label of several; a label is then the number of its class.

    Raises:
        TrainingError: a feature column is not there.
    """
    return Frame(
        features(rows, chosen),
        np.asarray(labels(rows["label"], classes)),
        np.asarray(pc.dictionary_encode(rows[entity]).combine_chunks().indices),
        np.asarray(rows[day]).astype("datetime64[D]"),
    )


def labels(column: pa.ChunkedArray, classes: Sequence[str] = ()) -> pa.ChunkedArray:
    """Labels as integers: 0/1, or the number of the class; null where it is none of `classes`."""
    if not classes:
        return column.cast(pa.int64())
    return pc.index_in(column.cast(pa.string()), value_set=pa.array(classes)).cast(pa.int64())
