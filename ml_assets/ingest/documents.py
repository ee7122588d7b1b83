"""A document as a row: files that are no tables, read in child processes that a bad one cannot take down."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.documents.description import describe
from ml_assets.documents.document import READER, Document, UnreadableError
from ml_assets.documents.read import require_size
from ml_assets.errors import DataError
from ml_assets.ingest.batch import LoadedFile
from ml_assets.ingest.conform import QUARANTINED
from ml_assets.ingest.files import Arrival, Identity, require_unchanged
from ml_assets.ingest.refusals import Refusal
from ml_assets.ingest.schema import Shape
from ml_assets.ingest.spool import Spool
from ml_assets.spec.source import POSITION

if TYPE_CHECKING:
    from ml_assets.documents.reader import DocumentReader

_PAGE = pa.struct([
    ("method", pa.string()), ("confidence", pa.float64()), ("rotation", pa.int64()), ("skew", pa.float64()),
    ("characters", pa.int64()),
])  # fmt: skip
_READ = {
    "document_id": pa.string(),
    "received_at": pa.timestamp("us"),
    "name": pa.string(),
    "kind": pa.string(),
    "bytes": pa.int64(),
    "title": pa.string(),
    "text": pa.string(),
    "layout": pa.list_(_PAGE),
    "pages": pa.int64(),
    "ocr_pages": pa.int64(),
    "ocr_confidence": pa.float64(),
}
_DESCRIBED = {
    "words": pa.int64(),
    "characters": pa.int64(),
    "has_dates": pa.bool_(),
    "has_amounts": pa.bool_(),
    "has_signature": pa.bool_(),
    "n_sections": pa.int64(),
    "table_share": pa.float64(),
    "digit_share": pa.float64(),
    "parties": pa.list_(pa.string()),
    "dates": pa.list_(pa.date32()),
    "amounts": pa.list_(pa.float64()),
}
READ = Shape(_READ)
"""The columns that are known of a document as soon as it is read."""

SHAPE = Shape(_READ | _DESCRIBED)
"""The columns of every source of documents.

`document_id` is the SHA-256 of the content, `received_at` when the file was first seen (UTC), or what the source's
`arrivals` say of it, `text` the pages, joined by form feeds; `layout` says of each page how it was read. The rest is
`text.features.Described`.
"""

_TWICE = ("crashed", "memory")  # what the machine's other work may have caused


class Inbox:
    """What one ingest knows before it reads: when documents arrived, and what became of earlier attempts.

    Args:
        reader: reads them; closed with this.
        now: when the ingest began, naive UTC: what it sees for the first time arrives now, whatever its clock says.
        register: arrivals that are known, by the SHA-256 of the content.
        refusals: of earlier attempts, by the same.
        retry: try everything again that was refused.
    """

    def __init__(
        self,
        reader: "DocumentReader",
        now: datetime,
        register: Mapping[str, datetime],
        refusals: Mapping[str, Refusal],
        *,
        retry: bool = False,
    ) -> None:
        self._reader = reader
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
        with ExitStack() as held:
            rows, bad = held.enter_context(Spool()), held.enter_context(Spool())
            try:
                read = row(_read(arrival, self._reader), identity.sha, arrival.name, came)
                rows.add(read.append_column(POSITION, pa.array([attempt], pa.int64())))
            except UnreadableError as error:
                bad.add(_refused(error, Refusal(arrival.name, arrival.size, error.code, READER, attempt, f"{came}")))
            require_unchanged(arrival, identity)
            return LoadedFile(arrival, identity.sha, SHAPE, (), rows, bad, held.pop_all(), attempt=attempt)

    def close(self) -> None:
        """End the processes that read."""
        self._reader.close()

    def _received(self, arrival: Arrival, identity: Identity, before: Refusal | None) -> datetime:
        known = self._register.get(identity.sha)
        if known and known > self._now:
            raise DataError(
                f"{arrival.name}: is here, and yet `arrivals` says that it arrives at {known} (UTC; now it is "
                f"{self._now:%Y-%m-%d %H:%M}): correct its line"
            )
        return known or (before and before.seen) or self._now


def _read(arrival: Arrival, reader: "DocumentReader") -> Document:
    require_size(arrival.size, "the document", reader.limits)
    try:
        with arrival.system.open(arrival.path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DataError(f"{arrival.name}: cannot be opened, check its permissions ({error})") from error
    try:
        return reader.read(content)
    except UnreadableError as error:
        if error.code not in _TWICE:
            raise
        return reader.read(content)


def row(
    document: Document, document_id: str, name: str | None, received_at: datetime, *, described: bool = True
) -> pa.Table:
    """A document as the one row of a table of `SHAPE`, or of `READ` where it is not described.

    Args:
        document: what was read.
        document_id: the SHA-256 of the file.
        name: of the file; None where nobody said one.
        received_at: naive UTC.
        described: with parties, dates and amounts.
    """
    values = {
        "document_id": document_id,
        "received_at": received_at,
        "name": name,
        "kind": document.kind,
        "bytes": document.size,
        "title": document.title,
        "text": document.text,
        "layout": [_page(page) for page in document.pages],
        "pages": len(document.pages),
        "ocr_pages": document.ocr_pages,
        "ocr_confidence": document.ocr_confidence,
    }
    shape = SHAPE if described else READ
    if described:
        more = asdict(describe(document.text)).items()
        values |= {name: list(value) if isinstance(value, tuple) else value for name, value in more}
    return pa.table([pa.array([values[name]], kind) for name, kind in shape.fields.items()], schema=shape.schema)


def _page(page: Any) -> dict[str, Any]:  # noqa: ANN401 - a Page
    said = {name: getattr(page, name) for name in ("method", "confidence", "rotation", "skew")}
    return said | {"characters": len(page.text)}


def _refused(error: UnreadableError, refusal: Refusal) -> pa.Table:
    reason = f"{refusal.name}: {error}{refusal.outlook}"
    return pa.table([[refusal.attempt], [reason], [refusal.to_json()]], schema=QUARANTINED)
