"""Features of documents that clients send: read in child processes, computed by the model's own queries."""

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.documents.document import Document, ReadingLimits
from ml_assets.errors import DeclarationError
from ml_assets.storage.manifest import Manifest, RowQuery

if TYPE_CHECKING:
    import pyarrow as pa

    from ml_assets.documents.extractor import Extractor
    from ml_assets.documents.reader import DocumentReader
    from ml_assets.ingest.document_rows import DocumentRows

_NOBODY = "sent"  # the entity within the queries, which are pure functions of its one row
LIMITS = ReadingLimits(size=20 << 20, pages=50, seconds=15, seconds_per_page=10, characters=1_000_000)
"""Of a file that is sent: somebody waits for the answer."""

READERS = max(1, (os.cpu_count() or 1) // LIMITS.threads)
"""Files that a worker reads at once."""


class DocumentFeatures:
    """Readers in child processes, each started by the first document that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._reader: DocumentReader | None = None
        self._extracting: DocumentReader | None = None
        self._rows: dict[tuple[str | None, tuple[RowQuery, ...]], DocumentRows] = {}

    def read(self, content: bytes) -> Document:
        """Read a file; blocks.

        Raises:
            UnreadableError: it cannot be read.
        """
        with self._lock:
            if self._reader is None:
                self._reader = self._start(READERS)
        return self._reader.read(content)

    def features(self, manifest: Manifest, documents: Sequence[Document]) -> list[dict[str, Any]]:
        """The features of documents, by the queries of the model's views over the row of each; blocks.

        The same queries made the training set, so what a file is scored by is what it would have been trained by.

        Raises:
            UnreadableError: the model's extractor fails on one.
            DeclarationError: it cannot be imported, or does not find what the queries ask for.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        at = now - timedelta(seconds=1)  # known strictly before `now`
        rows = self._rows_of(manifest)
        tables = [rows.row(each, _NOBODY, None, at, self._facts(each.text, rows.extractor)) for each in documents]
        return [_row(manifest, table, now) for table in tables]

    def close(self) -> None:
        """End the children and give everything back."""
        self._held.close()

    def _start(self, processes: int) -> "DocumentReader":
        from ml_assets.documents.reader import DocumentReader

        return self._held.enter_context(DocumentReader(LIMITS, processes))

    def _facts(self, text: str, extractor: "Extractor | None") -> dict[str, Any]:
        """Found in a process of their own: a text is not to wait for the files that are being read."""
        if extractor is None:
            return {}
        with self._lock:
            if self._extracting is None:
                self._extracting = self._start(1)
        return self._extracting.extract(text, extractor)

    def _rows_of(self, manifest: Manifest) -> "DocumentRows":
        """With the extractor only where a query sees its facts: to find them takes longer than all the rest."""
        key = manifest.extract or None, manifest.documents
        with self._lock:
            if key not in self._rows:
                from ml_assets.ingest.document_rows import DocumentRows

                plain, whole = DocumentRows(), DocumentRows.of(manifest.extract or None)
                seen = [[_outcome(query, rows) for query in manifest.documents] for rows in (plain, whole)]
                if None in seen[1]:
                    raise DeclarationError(
                        f"version {manifest.version} of {manifest.model} reads columns that no extractor of documents "
                        "finds: name one (`extract:` of the source), then run the loop again"
                    )
                self._rows[key] = plain if seen[0] == seen[1] else whole
            return self._rows[key]


def _row(manifest: Manifest, table: "pa.Table", now: datetime) -> dict[str, Any]:
    """The features of a document; one for which a query returns no row is missing, and the answer says so."""
    from ml_assets.storage.duck import memory

    features: dict[str, Any] = {}
    with memory() as connection:  # one a document: an error of DuckDB's own over one file is not the next one's
        for query in manifest.documents:
            sql, parameters = _statement(query, now)
            connection.register(query.relation, table)
            rows = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
            features |= rows[0] if rows else {}
    return features


def _outcome(query: RowQuery, rows: "DocumentRows") -> object:
    """The columns that a query gives; None where it names what is not there."""
    from ml_assets.storage.duck import memory, outcome

    with memory() as connection:
        connection.register(query.relation, rows.shape.schema.empty_table())
        return outcome(connection, *_statement(query, datetime(2000, 1, 1)))  # noqa: DTZ001 - naive UTC


def _statement(query: RowQuery, now: datetime) -> tuple[str, dict[str, Any]]:
    return query.sql.strip().rstrip(";"), {"as_of": now} if query.as_of else {}
