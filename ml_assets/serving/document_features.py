"""Where documents that clients send are read, and become features by the model's own queries."""

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.documents.document import Document, ReadingLimits
from ml_assets.storage.manifest import Manifest, RowQuery

if TYPE_CHECKING:
    from ml_assets.documents.reader import DocumentReader

_NOBODY = "sent"  # the entity within the queries, which are pure functions of its one row
LIMITS = ReadingLimits(size=20 << 20, pages=50, seconds=15, seconds_per_page=10, characters=1_000_000)
"""Of a file that is sent: somebody waits for the answer."""

READERS = max(1, (os.cpu_count() or 1) // LIMITS.threads)
"""Files that a worker reads at once."""


class DocumentFeatures:
    """A reader in child processes, and DuckDB in memory; both are started by the first document."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._reader: DocumentReader | None = None
        self._connection: Any = None
        self._deep: dict[RowQuery, bool] = {}

    def read(self, content: bytes) -> Document:
        """Read a file; blocks.

        Raises:
            UnreadableError: it cannot be read.
        """
        with self._lock:
            if self._reader is None:
                from ml_assets.documents.reader import DocumentReader

                self._reader = self._held.enter_context(DocumentReader(LIMITS, READERS))
        return self._reader.read(content)

    def features(self, manifest: Manifest, documents: Sequence[Document]) -> list[dict[str, Any]]:
        """The features of documents, by the queries of the model's views over the row of each; blocks.

        The same queries made the training set, so what a file is scored by is what it would have been trained by.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        with self._lock:
            if self._connection is None:
                from ml_assets.storage.duck import memory

                self._connection = self._held.enter_context(memory())
            return [self._row(manifest, document, now) for document in documents]

    def close(self) -> None:
        """End the children and give everything back."""
        self._held.close()

    def _row(self, manifest: Manifest, document: Document, now: datetime) -> dict[str, Any]:
        """What a query has no row for is missing, and the answer says so."""
        from ml_assets.ingest.documents import row

        at = now - timedelta(seconds=1)  # known strictly before `now`
        table = row(document, _NOBODY, None, at, described=any(map(self._looks_deep, manifest.documents)))
        found: dict[str, Any] = {}
        for query in manifest.documents:
            sql, asked = _asked(query, now)
            self._connection.register(query.relation, table)
            rows = self._connection.sql(sql, params=asked).to_arrow_table().to_pylist()
            found |= rows[0] if rows else {}
        return found

    def _looks_deep(self, query: RowQuery) -> bool:
        """Whether a query sees what is extracted from a text, which takes longer than all the rest."""
        if query not in self._deep:
            from ml_assets.ingest.documents import READ, SHAPE
            from ml_assets.storage.duck import outcome

            given = []
            for shape in (READ, SHAPE):
                self._connection.register(query.relation, shape.schema.empty_table())
                given.append(outcome(self._connection, *_asked(query, datetime(2000, 1, 1))))  # noqa: DTZ001 - naive UTC
            self._deep[query] = given[0] != given[1]
        return self._deep[query]


def _asked(query: RowQuery, now: datetime) -> tuple[str, dict[str, Any]]:
    return query.sql.strip().rstrip(";"), {"as_of": now} if query.as_of else {}
