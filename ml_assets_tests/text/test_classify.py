"""What the classifier sees of a document does not hang on how it is printed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import ml_assets
from ml_assets.duck import memory
from ml_assets.simulation.documents.draw import draw
from ml_assets.sources.documents import row
from ml_assets.text.document import Document, Page

SQL = Path(ml_assets.__file__).parent / "defs" / "documents" / "features" / "content.sql"
NOW = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
PRINTED = {"text", "table_share", "log_sections"}  # what the lines of a page decide


def seen(text: str) -> dict[str, Any]:
    with memory() as connection:
        connection.register("text", row(Document("text", len(text), (Page(text, "text", 1.0),)), "a", None, NOW))
        (found,) = connection.sql(SQL.read_text()).to_arrow_table().to_pylist()
    return {name: value for name, value in found.items() if name not in PRINTED}


@pytest.mark.parametrize("label", ["lease", "amendment", "addendum", "cam_statement", "other"])
def test_topics_are_the_same_in_other_lines(label: Any) -> None:  # noqa: ANN401 - one of Label
    text = draw(3, label, held_out=False).truth.text.replace("\f", "\n")
    assert seen(text) == seen("\n".join(text.split()))


def test_topics_are_the_same_in_capitals() -> None:
    text = "This Lease is made as of May 3, 2021. Landlord lets to Tenant the premises."
    assert seen(text) == seen(text.upper())


def test_an_empty_text_has_no_topic() -> None:
    found = seen("")
    assert {value for value in found.values() if isinstance(value, float)} == {0.0}


def test_a_document_speaks_of_its_own_class() -> None:
    amending, adding = (seen(draw(5, label, name).truth.text) for label, name in (
        ("amendment", "recitals"), ("addendum", "rider"),
    ))  # fmt: skip
    assert amending["changing"] > adding["changing"]
    assert adding["adding"] > amending["adding"]
