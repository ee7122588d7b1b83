"""The two samples of a drift report: bounded, the same rows every time, numbers and words."""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError
from ml_assets.monitoring.distances import Floats

if TYPE_CHECKING:
    import pandas as pd

_is = pa.types
_NUMBERS = (_is.is_integer, _is.is_floating, _is.is_decimal, _is.is_boolean, _is.is_null)


@dataclass(frozen=True)
class Sample:
    """Columns of at most `sample` rows; a missing value is NaN in `numbers` and None in `categories`."""

    name: str
    rows: int
    numbers: dict[str, Floats]
    categories: dict[str, list[str | None]]

    @property
    def used(self) -> int:
        """Rows that were drawn."""
        columns: list[Sized] = [*self.numbers.values(), *self.categories.values()]
        return len(columns[0])

    def values(self, feature: str) -> "Floats":
        """The numbers of a feature that are there, shape (n,)."""
        column = self.numbers[feature]
        return column[~np.isnan(column)]

    def words(self, feature: str) -> list[str]:
        """The categories of a feature that are there."""
        return [word for word in self.categories[feature] if word is not None]

    def present(self, feature: str) -> int:
        """Rows with a value."""
        return len(self.values(feature)) if feature in self.numbers else len(self.words(feature))

    def missing(self, feature: str) -> float:
        """The share of rows without a value."""
        return 1 - self.present(feature) / self.used


def draw(
    name: str,
    rows: "pa.Table | pd.DataFrame",
    numeric: Sequence[str],
    categorical: Sequence[str],
    *,
    sample: int,
    seed: int,
) -> Sample:
    """At most `sample` rows of a table; the same table and seed give the same rows.

    Infinite numbers count as missing, as in Evidently.

    Raises:
        DataError: there are no rows, a column is missing, or a column is not of its declared kind.
    """
    table = _arrow(name, rows, [*numeric, *categorical])
    if not table.num_rows:
        raise DataError(f"the {name} sample has no rows: choose an as-of date with a population")
    if table.num_rows > sample:
        chosen = np.random.default_rng(seed).choice(table.num_rows, sample, replace=False, shuffle=False)
        table = table.take(pa.array(np.sort(chosen)))
    return Sample(
        name=name,
        rows=len(rows),
        numbers={feature: _numbers(name, feature, table[feature]) for feature in numeric},
        categories={feature: _words(name, feature, table[feature]) for feature in categorical},
    )


def _arrow(name: str, rows: "pa.Table | pd.DataFrame", columns: Sequence[str]) -> pa.Table:
    held = rows.column_names if isinstance(rows, pa.Table) else [str(column) for column in rows.columns]
    if absent := [column for column in columns if column not in held]:
        raise DataError(f"the {name} sample has no column {', '.join(absent)}: it has {', '.join(held)}")
    if isinstance(rows, pa.Table):
        return rows.select(list(columns))
    try:
        return pa.Table.from_pandas(rows[list(columns)], preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the {name} sample mixes types in a column: cast it to one ({error})") from error


def _numbers(name: str, feature: str, column: pa.ChunkedArray) -> Floats:
    if not any(fits(column.type) for fits in _NUMBERS):
        raise DataError(
            f"{feature} of the {name} sample is {column.type}, no number: list it as categorical, or cast it"
        )
    numbers = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _words(name: str, feature: str, column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        words: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DataError(f"{feature} of the {name} sample is {column.type}, no category: cast it") from error
    return words
