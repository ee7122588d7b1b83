"""Parquet files as batches of storable columns."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pyarrow.types as known

from ml_assets.ingest.content import Content, batch_rows
from ml_assets.ingest.stored_types import require_stored_type, to_stored_types

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival


def read_parquet(arrival: "Arrival") -> Content:
    """A Parquet file; times of the old form INT96 are read as microseconds, which hold every year.

    Raises:
        DataError: it cannot be read, or a column has no type in the lake.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        with arrival.open() as stream, _opened(stream) as file:
            for batch in file.iter_batches(batch_size=batch_rows(file.metadata.num_columns)):
                yield to_stored_types(batch, arrival.name)

    with arrival.open() as stream, _opened(stream) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    fields = [(field.name, require_stored_type(arrival.name, field.name, field.type)) for field in schema]
    open_ = frozenset(field.name for field in schema if known.is_null(field.type))
    return Content(pa.schema(fields), batches, rows, undecided=open_)


def _opened(stream: object) -> pyarrow.parquet.ParquetFile:
    return pyarrow.parquet.ParquetFile(stream, coerce_int96_timestamp_unit="us")
