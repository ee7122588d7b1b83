"""A document that is sent gives the features that its row in the lake would give."""

from datetime import datetime
from typing import Any

import pytest

from ml_assets.documents.document import Document, Page
from ml_assets.errors import DeclarationError
from ml_assets.examples.documents.extract import facts
from ml_assets.ingest.document_rows import READ, DocumentRows
from ml_assets.serving.document_features import DocumentFeatures
from ml_assets.storage.duck import memory
from ml_assets.storage.manifest import Manifest, RowQuery

TEXT = 'Lease of January 5, 2024 between Apex Foods LLC ("Landlord") and Ann Lee ("Tenant"). Rent: $1,000.00 a month.'
DOCUMENT = Document("pdf", 1234, (Page(TEXT, "ocr", 0.9), Page("more", "text", 1.0)), "Lease")
EXTRACT = "ml_assets.examples.documents.extract:facts"
QUERIES = (
    "SELECT document_id, text, kind, ocr_confidence FROM text",
    "SELECT document_id, pages, ocr_pages, bytes FROM text;",
    "SELECT document_id, words, has_dates, amounts[1] AS amount FROM text",
    "SELECT * EXCLUDE (received_at) FROM text",
    "SELECT COLUMNS('.*_share') FROM text",
    "SELECT whole.document_id, whole FROM text AS whole",
    "SELECT document_id, date_diff('day', received_at, $as_of) AS age FROM text",
    "SELECT document_id FROM text WHERE words > 1000",
)


def _manifest(*queries: str, **more: Any) -> Manifest:
    documents = tuple(RowQuery(sql, "text", "$as_of" in sql) for sql in queries)
    return Manifest(
        model="documents", version=1, as_of="2026-01-01", entity="document_id", inputs=(), sha256="", ttls={},
        feature_set="", bands=(), metrics={}, gates=(), max_rows=1, reason="", run_id="", run_url="", tags={},
        tables={}, documents=documents, **more,
    )  # fmt: skip


def _whole(sql: str) -> dict[str, Any]:
    """What the query gives for the row as the lake holds it."""
    with memory() as connection:
        at = datetime(2000, 1, 1)  # noqa: DTZ001 - naive UTC
        rows = DocumentRows.of(EXTRACT)
        connection.register("text", rows.row(DOCUMENT, "sent", None, at, vars(facts(DOCUMENT.text))))
        asked = {"as_of": datetime(2000, 1, 1)} if "$as_of" in sql else {}  # noqa: DTZ001 - naive UTC
        found: list[dict[str, Any]] = connection.sql(sql.rstrip(";"), params=asked).to_arrow_table().to_pylist()
    return found[0] if found else {}


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_sees_what_it_would_see_in_the_lake(sql: str) -> None:
    desk = DocumentFeatures()
    (found,) = desk.features(_manifest(sql, extract=EXTRACT), [DOCUMENT])
    desk.close()
    whole = _whole(sql)
    for held in (found, whole):
        if isinstance(held.get("whole"), dict):
            held["whole"].pop("received_at")
    assert found == whole


def test_the_features_of_several_views_are_one_row() -> None:
    desk = DocumentFeatures()
    first, second = desk.features(
        _manifest(*QUERIES[:3], extract=EXTRACT), [DOCUMENT, Document("text", 4, (Page("x", "text", 1.0),))]
    )
    desk.close()
    assert first["amount"] == 1000.0
    assert (second["amount"], second["ocr_confidence"], second["words"]) == (None, None, 1)


def test_the_manifest_says_which_extractor_finds_the_facts() -> None:
    desk = DocumentFeatures()
    invoice = _manifest("SELECT document_id, lines FROM text", extract="ml_assets_tests.documents.extractors:invoice")
    none = _manifest("SELECT COLUMNS('pages|words|lines') FROM text")
    assert desk.features(invoice, [DOCUMENT]) == [{"document_id": "sent", "lines": len(DOCUMENT.text)}]
    assert desk.features(none, [DOCUMENT]) == [{"pages": 2, "ocr_pages": 1}]
    desk.close()


def test_the_manifest_of_before_extractors_were_declared_is_read_and_what_needs_one_is_refused() -> None:
    old = _manifest("SELECT document_id, text FROM text").to_json()
    assert b"extract" not in old
    desk = DocumentFeatures()
    assert desk.features(Manifest.from_json(old), [DOCUMENT])[0]["text"] == DOCUMENT.text
    with pytest.raises(DeclarationError, match="version 1 of documents reads columns that no extractor"):
        desk.features(_manifest("SELECT document_id, words FROM text"), [DOCUMENT])
    desk.close()


def test_what_is_read_comes_first_in_the_row() -> None:
    rows = DocumentRows.of(EXTRACT)
    assert list(rows.shape.fields)[: len(READ)] == list(READ)
