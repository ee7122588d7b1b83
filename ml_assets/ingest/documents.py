"""Documents of a drop zone: read in child processes that a bad one cannot take down, each a row or a refusal."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from ml_assets.documents.document import READER, Document, UnreadableError
from ml_assets.documents.read import require_size
from ml_assets.errors import DataError
from ml_assets.ingest.batch import LoadedFile
from ml_assets.ingest.document_rows import DocumentRows
from ml_assets.ingest.files import Arrival, Identity, require_unchanged
from ml_assets.ingest.refusals import Refusal
from ml_assets.ingest.row_buffer import RowBuffer
from ml_assets.ingest.schema_enforcement import QUARANTINED
from ml_assets.spec.source import POSITION

if TYPE_CHECKING:
    from ml_assets.documents.reader import DocumentReader

Answer = TypeVar("Answer")

_TWICE = ("crashed", "memory")  # what the machine's other work may have caused


class Inbox:
    """What one ingest knows before it reads: when documents arrived, and what became of earlier attempts.

    Args:
        reader: reads them; closed with this.
        rows: make rows of what is read.
        now: when the ingest began, naive UTC: what it sees for the first time arrives now, whatever its clock says.
        register: arrivals that are known, by the SHA-256 of the content.
        refusals: of earlier attempts, by the same.
        retry: try everything again that was refused.
    """

    def __init__(
        self,
        reader: "DocumentReader",
        rows: DocumentRows,
        now: datetime,
        register: Mapping[str, datetime],
        refusals: Mapping[str, Refusal],
        *,
        retry: bool = False,
    ) -> None:
        self._reader = reader
        self.rows = rows
        self._now = now
        self._register = register
        self._refusals = refusals
        self.again = {sha for sha, refusal in refusals.items() if retry or refusal.due}
        """The contents that are read again."""

    def load(self, arrival: Arrival, identity: Identity) -> LoadedFile:
        """A file as a batch of one row: accepted, or, where it cannot be read, in the quarantine with the reason.

        Raises:
            DataError: the file vanished or changed while it was read, or it is said to arrive in the future.
        """
        before = self._refusals.get(identity.sha)
        attempt, came = before.attempt + 1 if before else 1, self._received(arrival, identity, before)
        with ExitStack() as resources:
            rows, bad = resources.enter_context(RowBuffer()), resources.enter_context(RowBuffer())
            try:
                document, facts = self._read(arrival)
                row = self.rows.row(document, identity.sha, arrival.name, came, facts)
                rows.add(row.append_column(POSITION, pa.array([attempt], pa.int64())))
            except UnreadableError as error:
                bad.add(_refused(error, Refusal(arrival.name, arrival.size, error.code, READER, attempt, f"{came}")))
            require_unchanged(arrival, identity)
            return LoadedFile(
                arrival, identity.sha, self.rows.shape, (), rows, bad, resources.pop_all(), attempt=attempt
            )

    def _read(self, arrival: Arrival) -> tuple[Document, Mapping[str, Any]]:
        """A document, and the facts that were found in it."""
        require_size(arrival.size, "the document", self._reader.limits)
        try:
            with arrival.system.open(arrival.path, "rb") as stream:
                content = stream.read()
        except OSError as error:
            raise DataError(f"{arrival.name}: cannot be opened, check its permissions ({error})") from error
        document = _twice(lambda: self._reader.read(content))
        extractor = self.rows.extractor
        return document, _twice(lambda: self._reader.extract(document.text, extractor)) if extractor else {}

    def close(self) -> None:
        """End the processes that read."""
        self._reader.close()

    def _received(self, arrival: Arrival, identity: Identity, before: Refusal | None) -> datetime:
        declared = self._register.get(identity.sha)
        if declared and declared > self._now:
            raise DataError(
                f"{arrival.name}: is here, and yet `arrivals` says that it arrives at {declared} (UTC; now it is "
                f"{self._now:%Y-%m-%d %H:%M}): correct its line"
            )
        return declared or (before and before.seen) or self._now


def _twice(ask: Callable[[], Answer]) -> Answer:
    """An answer of the sandbox, asked for again where it may have suffered from the machine's other work."""
    try:
        return ask()
    except UnreadableError as error:
        if error.code not in _TWICE:
            raise
        return ask()


def _refused(error: UnreadableError, refusal: Refusal) -> pa.Table:
    reason = f"{refusal.name}: {error}{refusal.outlook}"
    return pa.table([[refusal.attempt], [reason], [refusal.to_json()]], schema=QUARANTINED)
