"""Rows that are kept until it is decided what becomes of them."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa

from ml_assets.ingest.content import BATCH


class RowBuffer:
    """Tables of one schema: in memory up to a batch of rows, in a nameless temporary file beyond.

    A nameless file leaves nothing behind when the process is killed.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._tables: list[pa.Table] = []
        self._file: IO[bytes] | None = None
        self._writer: Any = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, rows: pa.Table) -> None:
        """Keep `rows`; they have the schema of those before."""
        if not rows.num_rows:
            return
        self.rows += rows.num_rows
        if self._writer is None and self.rows <= BATCH:
            self._tables.append(rows)
            return
        if self._writer is None:
            self._spill(rows.schema)
        for table in (*self._tables, rows):
            self._writer.write_table(table)
        self._tables = []

    def __iter__(self) -> Iterator[pa.Table]:
        """The tables in the order in which they came; each iteration starts from the first."""
        if self._file is None:
            yield from self._tables
            return
        self._writer.close()
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def _spill(self, schema: pa.Schema) -> None:
        self._file = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = self._open.enter_context(pa.ipc.new_stream(self._file, schema, options=options))
