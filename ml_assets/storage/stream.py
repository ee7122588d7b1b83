"""Rows of a table, a batch at a time: what is larger than memory can still be written to a file."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from ml_assets.storage.lake import Lake

_ROWS_AT_ONCE = 16_384


@contextmanager
def stream_rows(lake: Lake, table: str, where: str, version: int | None = None) -> Iterator[pa.RecordBatchReader]:
    """All columns of the rows that a condition chooses.

    Args:
        lake: where the table is.
        table: its name.
        where: what follows WHERE in SQL, an order included; it comes from code, never from a user.
        version: of the table; None: the current one.
    """
    with lake.connect() as connection:
        query = f"SELECT * FROM {lake.relation(connection, table, version)} WHERE {where}"
        rows: pa.RecordBatchReader = connection.sql(query).to_arrow_reader(_ROWS_AT_ONCE)
        yield rows
