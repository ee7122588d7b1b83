"""Documents as rows: the columns that every document has, and those of the extractor that its source declares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Self

import pyarrow as pa

from ml_assets.documents.document import Document, Page
from ml_assets.documents.extractor import Extractor, load_extractor
from ml_assets.errors import DeclarationError
from ml_assets.ingest.casts import type_name
from ml_assets.ingest.schema import Shape
from ml_assets.ingest.schema_enforcement import widen
from ml_assets.spec.source import FILE_COLUMN, RESERVED

_PAGE = pa.struct([
    ("method", pa.string()), ("confidence", pa.float64()), ("rotation", pa.int64()), ("skew", pa.float64()),
    ("characters", pa.int64()),
])  # fmt: skip
READ = {
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
"""The columns that every source of documents begins with.

`document_id` is the SHA-256 of the content, `received_at` when the file was first seen (UTC), or what the source's
`arrivals` say of it, `text` the pages, joined by form feeds; `layout` says of each page how it was read.
"""

_TYPES = {
    bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), date: pa.date32(),
    datetime: pa.timestamp("us"),
}  # fmt: skip
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class DocumentRows:
    """What makes rows of documents.

    Args:
        extractor: finds facts in their text; None: nobody does.
        shape: of the table.
        unfilled: columns of the table that nobody fills any more: they are null in new rows.
    """

    extractor: Extractor | None = None
    shape: Shape = field(default_factory=lambda: Shape(READ))
    unfilled: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str | None, stored: pa.Schema | None = None) -> Self:
        """Those of a declaration.

        >>> [*DocumentRows.of(None).shape.fields][:3]
        ['document_id', 'received_at', 'name']

        Args:
            path: names the extractor; None: there is none.
            stored: of the table, where it exists: its columns stay.

        Raises:
            DeclarationError: the extractor cannot be used, or not for this table.
        """
        extractor = load_extractor(path) if path else None
        declared = READ | (_columns(extractor) if extractor else {})
        held = {column.name: column.type for column in stored or () if column.name != FILE_COLUMN}
        for name, type_ in declared.items():
            if held.get(name, type_) != type_:
                raise DeclarationError(
                    f"extract finds {type_name(type_)} for column {name!r}; the table has {type_name(held[name])}: "
                    "rename the extractor's field, or give the source a new name and ingest its files again"
                )
        return cls(extractor, Shape(held | declared), tuple(name for name in held if name not in declared))

    def row(
        self,
        document: Document,
        document_id: str,
        name: str | None,
        received_at: datetime,
        facts: Mapping[str, Any] = _NO_FACTS,
    ) -> pa.Table:
        """A document as the one row of a table.

        Args:
            document: what was read.
            document_id: the SHA-256 of the file.
            name: of the file; None where nobody said one.
            received_at: naive UTC.
            facts: what the extractor found, by column.
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
            **facts,
        }
        columns = {name: pa.array([value], self.shape.fields[name]) for name, value in values.items()}
        return widen(pa.table(columns), self.shape)


def _columns(extractor: Extractor) -> dict[str, pa.DataType]:
    if taken := extractor.columns.keys() & (READ.keys() | RESERVED):
        raise DeclarationError(
            f"extract names {extractor.path!r}, whose column {min(taken)!r} is one that a document has: rename it"
        )
    return {name: pa.list_(_TYPES[kind]) if many else _TYPES[kind] for name, (kind, many) in extractor.columns.items()}


def _page(page: Page) -> dict[str, Any]:
    names = ("method", "confidence", "rotation", "skew")
    return {name: getattr(page, name) for name in names} | {"characters": len(page.text)}
