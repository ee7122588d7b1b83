"""The two samples of a drift report: whatever hands out one column at a time, so that memory is bounded by a column."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError
from ml_assets.monitoring.drift.distances import Counts, Floats
from ml_assets.storage.duck import memory, quote
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import pandas as pd

_is = pa.types
_NUMBERS = (_is.is_integer, _is.is_floating, _is.is_decimal, _is.is_boolean, _is.is_null)


class EmptySampleError(DataError):
    """There is nobody to compare."""


class SampleColumns(Protocol):
    """Rows whose columns are read one by one, from several threads, in the same order every time."""

    @property
    def rows(self) -> int:
        """How many."""

    @property
    def names(self) -> Sequence[str]:
        """Which columns there are."""

    def column(self, name: str) -> pa.ChunkedArray:
        """All values of one column."""


Rows: TypeAlias = "SampleColumns | pa.Table | pd.DataFrame"


@dataclass(frozen=True)
class InMemory:
    """SampleColumns of a table."""

    table: pa.Table

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.table.num_rows)

    @property
    def names(self) -> Sequence[str]:
        """Which columns there are."""
        return list(self.table.column_names)

    def column(self, name: str) -> pa.ChunkedArray:
        """All values of one column."""
        return self.table[name]


@dataclass(frozen=True)
class Stored:
    """SampleColumns of a relation of DuckDB, which reads of the Parquet files what is asked for."""

    connection: Any
    relation: str
    rows: int
    names: Sequence[str]
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def column(self, name: str) -> pa.ChunkedArray:
        """All values of one column."""
        with self._one_at_a_time:
            return self.connection.sql(f"SELECT {quote(name)} FROM {self.relation}").to_arrow_table().column(0)


@contextlib.contextmanager
def open_stored(lake: Lake, table: str, version: int | None = None, where: str = "true") -> Iterator[Stored]:
    """The rows of a table of the lake that `where` chooses, a trusted SQL condition.

    Args:
        lake: where the table is.
        table: its name.
        version: of the table; default: the last one.
        where: a condition that is trusted.
    """
    # Each column is a query of the same files. The setting is of a whole database, so it is one of its own.
    with memory(parquet_metadata_cache=True) as connection:
        rows = f"(SELECT * FROM {lake.relation(connection, table, version)} WHERE {where})"
        ((count,),) = connection.sql(f"SELECT count(*) FROM {rows}").fetchall()
        yield Stored(connection, rows, int(count), lake.schema(table, version).names)


def open_sample(name: str, rows: Rows, wanted: Sequence[str]) -> SampleColumns:
    """Rows of any kind as columns.

    Raises:
        DataError: there are no rows, a column is missing, or a frame mixes types in one.
    """
    columns = _held(rows)
    if absent := [column for column in wanted if column not in columns]:
        raise DataError(f"the {name} sample has no column {', '.join(absent)}: it has {', '.join(columns)}")
    sample = _columns(name, rows, wanted)
    if not sample.rows:
        raise EmptySampleError(f"the {name} sample has no rows: population.sql returned nobody at its date")
    return sample


def draw(columns: SampleColumns, names: Sequence[str], most: int, seed: int) -> pa.Table:
    """At most `most` rows with these columns, in their order; the same rows and seed draw the same ones.

    Args:
        columns: the sample.
        names: the columns that are read.
        most: at most so many rows.
        seed: of the draw.
    """
    read = (columns.column(name) for name in names)
    if columns.rows <= most:
        return pa.table(list(read), names=list(names))
    rows = np.random.default_rng(seed).choice(columns.rows, most, replace=False, shuffle=False)
    places = pa.array(np.sort(rows))
    return pa.table([column.take(places) for column in read], names=list(names))


def numbers(name: str, feature: str, column: pa.ChunkedArray) -> Floats:
    """The numbers that are there, ascending. Infinite ones count as missing, as in Evidently.

    Raises:
        DataError: the column holds no numbers.
    """
    if not any(fits(column.type) for fits in _NUMBERS):
        raise DataError(
            f"{feature} of the {name} sample is {column.type}, no number: list it as categorical, or cast it"
        )
    values = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64, copy=False)
    if values.flags.writeable and values.base is None:
        values.sort()  # a copy already
    else:
        values = np.sort(values)
    # NaN sorts behind infinity.
    first, last = np.searchsorted(values, -np.inf, side="right"), np.searchsorted(values, np.inf, side="left")
    return np.asarray(values[first:last])


@dataclass(frozen=True)
class Categories:
    """Categories, each once, and the rows of each. Arrow's: an identifier has as many categories as rows."""

    words: pa.StringArray
    counts: Counts

    def at(self, words: pa.StringArray) -> Counts:
        """The rows of each of other categories that hold all of these."""
        counts = np.zeros(len(words), dtype=np.int64)
        counts[pc.index_in(self.words, words).to_numpy(zero_copy_only=False)] = self.counts
        return counts


def words(name: str, feature: str, column: pa.ChunkedArray) -> Categories:
    """Rows per category, of those that are there.

    Raises:
        DataError: the column holds no categories.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        # Counted first: a million rows have few categories to turn into text.
        counted = pc.value_counts(pc.drop_null(column))
        dictionary = pc.cast(counted.field("values"), pa.string()).dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DataError(f"{feature} of the {name} sample is {column.type}, no category: cast it") from error
    places, counts = (part.to_numpy(zero_copy_only=False) for part in (dictionary.indices, counted.field("counts")))
    return Categories(dictionary.dictionary, np.bincount(places, counts, len(dictionary.dictionary)).astype(np.int64))


def align(reference: Categories, current: Categories) -> tuple[pa.StringArray, Counts, Counts]:
    """The sorted categories of either sample, and the rows of each in both."""
    either = pa.concat_arrays([reference.words, current.words]).unique()
    ordered = either.take(pc.sort_indices(either))
    return ordered, reference.at(ordered), current.at(ordered)


def _is_frame(rows: Rows) -> bool:
    # Without pandas, which nobody needs who has no frame.
    return hasattr(rows, "iloc")


def _held(rows: Any) -> list[str]:  # noqa: ANN401 - any kind of rows
    if isinstance(rows, pa.Table):
        return list(rows.column_names)
    return [str(column) for column in rows.columns] if _is_frame(rows) else list(rows.names)


def _columns(name: str, rows: Any, wanted: Sequence[str]) -> SampleColumns:  # noqa: ANN401 - any kind of rows
    if isinstance(rows, pa.Table):
        return InMemory(rows)
    if not _is_frame(rows):
        columns: SampleColumns = rows
        return columns
    try:
        return InMemory(pa.Table.from_pandas(rows[list(wanted)], preserve_index=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the {name} sample mixes types in a column: cast it to one ({error})") from error
