"""Every format gives its text, whatever the file is called; the kind is told from the content."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.documents.document import Document, Page, ReadingLimits, UnreadableError
from ml_assets.documents.plain_text import decode_text, tidy
from ml_assets.documents.read import read
from ml_assets_tests.documents import made

# What Word can hold: XML allows no other control characters, and python-docx turns \n and \t into elements.
PRINTED = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=60)


def test_a_pdf_gives_its_text_layer_page_by_page_and_its_title() -> None:
    document = read(made.pdf([made.LEASE, ["A second page."]], title="A lease"))
    assert (document.kind, document.title, len(document.pages)) == ("pdf", "A lease", 2)
    assert document.pages[0].text.splitlines() == list(made.LEASE)
    assert document.pages[1] == Page("A second page.", "text", 1.0)
    assert document.text == f"{document.pages[0].text}\fA second page."


def test_what_was_filled_into_a_form_is_read() -> None:
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.drawString(72, 700, "The name of the tenant:")
    canvas.acroForm.textfield(name="tenant", value="Maria Jensen", x=250, y=690, width=200, height=24)
    canvas.save()
    assert "Maria Jensen" in read(stream.getvalue()).text


def test_docx_gives_headers_body_tables_and_footers_in_order() -> None:
    import docx

    file = docx.Document()
    file.core_properties.title = "Terms"
    file.sections[0].header.paragraphs[0].text = "Page header"
    file.sections[0].footer.paragraphs[0].text = "Page footer"
    file.add_paragraph("Before the table.")
    table = file.add_table(2, 2)
    for row, texts in enumerate((("Item", "Price"), ("Rent", "1,450"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    file.add_paragraph("After\tthe table.")
    stream = io.BytesIO()
    file.save(stream)
    document = read(stream.getvalue())
    assert (document.kind, document.title) == ("docx", "Terms")
    assert document.text.splitlines() == [
        "Page header", "Before the table.", "Item\tPrice", "Rent\t1,450", "After\tthe table.", "Page footer",
    ]  # fmt: skip


def test_docx_gives_content_controls_insertions_and_text_boxes_but_nothing_deleted() -> None:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        "<w:p><w:r><w:t>outer</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p>"
        "</w:txbxContent></w:pict></w:r></w:p>"
    )
    xml = f'<w:document xmlns:w="{w}"><w:body>{body}</w:body></w:document>'
    document = read(made.with_part(made.docx(), "word/document.xml", xml.encode()))
    assert document.text.splitlines() == ["controlled", "inserted", "outer", "boxed"]


@given(paragraphs=st.lists(PRINTED, min_size=1, max_size=4))
def test_what_a_docx_was_made_of_is_read_back(paragraphs: list[str]) -> None:
    assert read(made.docx(paragraphs)).text == tidy("\n".join(paragraphs))


def test_html_gives_what_is_seen_in_blocks() -> None:
    source = """<!DOCTYPE html><html><head><title> A  page </title><style>p {color: red}</style></head><body>
    <script>alert("x")</script><h1>Terms &amp; conditions</h1><p>One <b>bold</b><!-- hidden --> word.</p>Loose
    text<br>below<table><tr><td>Rent</td><td>1,450</td></tr></table><p hidden>Not this</p></body></html>"""
    document = read(source.encode())
    assert (document.kind, document.title) == ("html", "A page")
    assert document.text.splitlines() == [
        "Terms & conditions", "One bold word.", "Loose text", "below", "Rent\t1,450",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_html_is_decoded_as_it_says_or_as_it_looks(encoding: str) -> None:
    source = f'<html><head><meta charset="{encoding}"></head><body><p>Café § 12</p></body></html>'
    assert read(source.encode(encoding)).text == "Café § 12"


def test_html_nested_ten_thousand_deep_does_not_exhaust_the_stack() -> None:
    assert read(b"<html><body>" + b"<div>" * 10_000 + b"deep").kind == "html"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])
def test_plain_text_is_decoded_whatever_it_is_written_in(encoding: str) -> None:
    text = "The café’s terms: 12 % of the price.\nSecond line."
    assert read(text.encode(encoding)) == Document("text", len(text.encode(encoding)), (Page(text, "text", 1.0),), None)


@given(text=st.text())
def test_utf_8_is_read_as_it_was_written(text: str) -> None:
    assert decode_text(b"\xef\xbb\xbf" + text.encode(errors="replace")) == text.encode(errors="replace").decode()


@given(text=st.text())
def test_a_tidied_text_has_no_control_characters_and_is_not_changed_again(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert not set(once) & {"\f", "\r", "\0", "\x0b"}


def test_form_feeds_part_a_text_into_pages() -> None:
    assert [page.text for page in read(b"one\ftwo\f").pages] == ["one", "two", ""]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("page.pdf", "html"), ("page.txt", "docx"), ("page", "pdf"), ("page.docx", "text")],
)
def test_a_wrongly_named_file_is_read_as_what_it_is(tmp_path: Path, name: str, kind: str) -> None:
    contents = {
        "html": b"<html><body><p>Hello there</p></body></html>",
        "docx": made.docx(),
        "pdf": made.pdf([made.LEASE]),
        "text": b"Hello there",
    }
    (tmp_path / name).write_bytes(contents[kind])
    document = read(tmp_path / name)
    assert document.kind == kind
    assert document.size == len(contents[kind])


def test_progress_tells_each_page_of_a_pdf() -> None:
    told: list[tuple[int, int]] = []
    read(made.pdf([["one"], ["two"]]), progress=lambda done, pages: told.append((done, pages)))
    assert told == [(0, 2), (1, 2)]


def test_an_error_names_the_file_the_value_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(b"x" * 1001)
    with pytest.raises(UnreadableError, match=r"long\.txt has 1,001 bytes, more than 1,000: .*Limits\.size") as caught:
        read(tmp_path / "long.txt", ReadingLimits(size=1000))
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("place", ["nothing.pdf", "."])
def test_a_path_without_a_file_is_missing(tmp_path: Path, place: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path / place)
    assert caught.value.code == "missing"
