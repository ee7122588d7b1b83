"""Word files of every sort are read, whatever they refer to; what is no Word file is named."""

import io
import zipfile

import pytest

from ml_assets.documents.document import UnreadableError
from ml_assets.documents.file_type import kind_of
from ml_assets.documents.read import read
from ml_assets_tests.documents import made

MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
OTHER = {
    "template": "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    "with macros": "application/vnd.ms-word.document.macroEnabled.main+xml",
    "template with macros": "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
}
STRICT = (
    (b"http://schemas.openxmlformats.org/wordprocessingml/2006/main", b"http://purl.oclc.org/ooxml/wordprocessingml/main"),
    (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
    ),
)  # fmt: skip
TEXT = "\n".join(made.LEASE)


def with_header() -> bytes:
    import docx

    document, stream = docx.Document(), io.BytesIO()
    document.sections[0].header.paragraphs[0].text = "Page header"
    document.add_paragraph("The lessee pays.")
    document.save(stream)
    return stream.getvalue()


def replaced(content: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    """A zip file in all of whose entries each pair's first is its second."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.namelist():
            data = old.read(entry)
            for one, other in pairs:
                data = data.replace(one, other)
            new.writestr(entry, data)
    return stream.getvalue()


def without(content: bytes, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.namelist():
            if entry not in names:
                new.writestr(entry, old.read(entry))
    return stream.getvalue()


def package(**parts: str) -> bytes:
    """A zip file that says what it is in [Content_Types].xml, mimetype, or by its names alone."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in parts.items():
            archive.writestr({"types": "[Content_Types].xml"}.get(name, name), text)
    return stream.getvalue()


@pytest.mark.parametrize("kind", OTHER)
def test_templates_and_files_with_macros_are_read(kind: str) -> None:
    content = replaced(made.docx(title="Garden"), (MAIN.encode(), OTHER[kind].encode()))
    document = read(made.with_part(content, "word/vbaProject.bin", b"\xd0\xcf\x11\xe0 not run"))
    assert (document.kind, document.title, document.text) == ("docx", "Garden", TEXT)


def test_strict_files_are_read_as_the_others_are() -> None:
    content = replaced(with_header(), *STRICT)
    assert read(content).text == read(with_header()).text == "Page header\nThe lessee pays."


@pytest.mark.parametrize(
    "target", ["#_Toc1", "../media/gone.png", "footnotes.xml", "", "http://[", "/no/such/part.xml"]
)
def test_a_reference_that_leads_nowhere_is_none(target: str) -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    relation = f'<Relationship Id="rId999" Type="{kind}" Target="{target}"/></Relationships>'
    assert read(replaced(made.docx(), (b"</Relationships>", relation.encode()))).text == TEXT


@pytest.mark.parametrize(
    "missing",
    ["[Content_Types].xml", "_rels/.rels", "word/_rels/document.xml.rels", "docProps/core.xml", "word/styles.xml"],
)
def test_a_file_without_one_of_its_parts_is_read(missing: str) -> None:
    assert read(without(made.docx(), missing)).text == TEXT


def test_a_file_without_its_document_is_damaged() -> None:
    with pytest.raises(UnreadableError, match=r"word/document\.xml is missing") as caught:
        read(without(made.docx(), "word/document.xml"))
    assert caught.value.code == "damaged"


def test_parts_are_found_by_another_writing_of_their_names() -> None:
    content = replaced(with_header(), (b'Target="header1.xml"', b'Target="/WORD/Header1.xml"'))
    assert read(content).text == "Page header\nThe lessee pays."


def test_an_embedded_page_is_read_and_another_kind_refused() -> None:
    """Some programs write a Word file as a page of HTML in a shell."""
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{w}" xmlns:r="{relations}"><w:body><w:altChunk r:id="rId9"/></w:body></w:document>'
    shell = made.with_part(made.docx(), "word/document.xml", body.encode())
    link = f'<Relationship Id="rId9" Type="{relations}/aFChunk" Target="chunk.html"/></Relationships>'
    shell = replaced(shell, (b"</Relationships>", link.encode()))
    page = made.with_part(shell, "word/chunk.html", b"<html><body><p>The lessee pays.</p></body></html>")
    assert read(page).text == "The lessee pays."
    with pytest.raises(UnreadableError, match="RTF"):
        read(made.with_part(shell, "word/chunk.html", b"{\\rtf1 The lessee pays.}"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (package(types="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet+xml"), "an Excel workbook"),
        (package(types="application/vnd.openxmlformats-officedocument.presentationml.slide+xml"), "a PowerPoint pres"),
        (package(mimetype="application/vnd.oasis.opendocument.text"), "an OpenDocument text"),
        (package(mimetype="application/epub+zip"), "an EPUB book"),
        (package(lease="text", rider="text"), "a zip archive of 2 files.*unpack it"),
        (b"{\\rtf1 hello}", "an RTF file"),
        (b"%!PS-Adobe-3.0\nshowpage", "a PostScript file"),
        (b"GIF89a" + bytes(64), "a GIF picture"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(64), "a WebP picture"),
        (b"\0\0\0\x18ftypheic" + bytes(64), "a HEIC"),
        (b"\x1f\x8b\x08\0" + bytes(64), "a gzip archive.*unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an old Microsoft Office"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__substg1.0_37".encode("utf-16-le"), r"an Outlook message .*\.eml"),
        (b'<?xml version="1.0"?><!-- a --><order xmlns="x"><id>1</id></order>', "an XML file \\(<order>\\)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an XML file \\(<svg>\\)"),
        (bytes(range(256)), "no kind that is known"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named_with_the_remedy(content: bytes, named: str) -> None:
    with pytest.raises(UnreadableError, match=rf"^a\.bin is (?:of )?{named}") as caught:
        kind_of(content, "a.bin")
    assert caught.value.code == "unknown-kind"
    assert "object at 0x" not in str(caught.value)


@pytest.mark.parametrize("text", ["BMW lease of a garage", "MZ is no program: é", "GIF8 lots are leased", "BZh ü"])
def test_a_text_may_begin_like_another_kind(text: str) -> None:
    assert read(text.encode()).text == text


_ENTITIES = '<!DOCTYPE d [<!ENTITY e "ha"><!ENTITY f SYSTEM "file:///etc/passwd">]>'


def _renamed(content: bytes, old: str, new: str) -> bytes:
    """A part under another name, and what refers to it."""
    parts = without(content, old)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        moved = made.with_part(parts, new, archive.read(old))
    return replaced(moved, (old.rpartition("/")[2].encode(), new.rpartition("/")[2].encode()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ucs-4le"])
@pytest.mark.parametrize("part", ["word/document.xml", "word/document.bin", "word/_rels/document.xml.rels"])
def test_a_document_type_is_seen_under_any_name_and_in_any_encoding(part: str, encoding: str) -> None:
    body = "<Relationships/>" if part.endswith("rels") else "<d>&e;&f;</d>"
    xml = f'<?xml version="1.0" encoding="{encoding}"?>{_ENTITIES}{body}'
    content = made.docx()
    if part == "word/document.bin":
        content = _renamed(content, "word/document.xml", part)
    with pytest.raises(UnreadableError) as caught:
        read(made.with_part(content, part, xml.encode("utf-32-le" if encoding == "ucs-4le" else encoding)))
    assert caught.value.code in {"bomb", "damaged"}
    assert "root:" not in str(caught.value)


def test_the_document_may_be_called_anything() -> None:
    assert read(_renamed(made.docx(), "word/document.xml", "word/document.bin")).text == TEXT
