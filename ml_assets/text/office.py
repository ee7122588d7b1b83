"""DOCX as text: headers, the body with its tables in order, notes, footers.

python-docx opens the package; the text is taken from its XML (ECMA-376, part 1, section 17), because python-docx's own
`paragraph.text` leaves out what stands in content controls, tracked insertions and text boxes.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from ml_assets.text.document import Limits, Page, UnreadableError
from ml_assets.text.plain import page, tidy

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# Deleted text, codes of fields, and what another branch says again.
_DROPPED = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", _FALLBACK})
_SIGNS = {
    f"{_W}tab": "\t", f"{_W}ptab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-",
}  # fmt: skip
_NOTES = ("/footnotes", "/endnotes")
_PROLOG = (b"<!DOCTYPE", "<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be"))

Element = Any  # lxml ships no types


def pages(content: bytes, name: str, limits: Limits) -> tuple[tuple[Page, ...], str | None]:
    """The one page of a DOCX file (where its pages end is decided when it is printed), and its title.

    Raises:
        UnreadableError: `bomb`, `encrypted`, or `damaged`.
    """
    refuse_bomb(content, name, limits)
    import docx

    document = docx.Document(io.BytesIO(content))
    main: Element = document.part
    title = tidy(document.core_properties.title or "").strip()
    return (page("\n".join(_story(main))),), title or None


def refuse_bomb(content: bytes, name: str, limits: Limits) -> None:
    """Look at what a zip file says that it holds before anything is unpacked, and at the head of its XML.

    Raises:
        UnreadableError: `bomb`: it unpacks to more than it may, or its XML declares entities; `encrypted`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnreadableError("encrypted", f"{name} is encrypted with a password: save it without one")
        # zipfile reads no more than an entry says, so these sizes hold.
        _require_small(sum(entry.file_size for entry in entries), len(content), name, limits)
        for entry in entries:
            if entry.filename.lower().endswith((".xml", ".rels")):
                _require_plain_xml(archive.read(entry), name, entry.filename)


def _require_small(unpacked: int, size: int, name: str, limits: Limits) -> None:
    if unpacked <= min(limits.unpacked, limits.ratio * size):
        return
    raise UnreadableError(
        "bomb",
        f"{name} unpacks from {size:,} bytes to {unpacked:,}, more than {limits.unpacked:,} or {limits.ratio} times "
        "its size: save it anew without large embedded objects, or raise Limits.unpacked and Limits.ratio",
    )


def _require_plain_xml(data: bytes, name: str, entry: str) -> None:
    if any(mark in data for mark in _PROLOG):
        raise UnreadableError(
            "bomb", f"{name}: {entry} declares a document type, which DOCX forbids (ECMA-376, part 2): do not open it"
        )


def _story(main: Element) -> Iterator[str]:
    yield from _referenced(main, "headerReference")
    yield from _blocks(main.element)
    for relation in main.rels.values():
        if relation.reltype.endswith(_NOTES) and not relation.is_external:
            yield from _blocks(_root(relation.target_part))
    yield from _referenced(main, "footerReference")


def _referenced(main: Element, tag: str) -> Iterator[str]:
    """The text of the headers or footers that the sections name, each once."""
    names = dict.fromkeys(reference.get(f"{_R}id") for reference in main.element.iter(f"{_W}{tag}"))
    for name in names:
        if name in main.rels and not main.rels[name].is_external:
            yield from _blocks(_root(main.rels[name].target_part))


def _root(part: Element) -> Element:
    from docx.oxml.parser import parse_xml

    return part.element if hasattr(part, "element") else parse_xml(part.blob)


def _blocks(element: Element) -> Iterator[str]:
    """Paragraphs and rows of tables below an element, in order, whatever wraps them."""
    for child in element:
        if child.tag == f"{_W}p":
            yield _inline(child)
        elif child.tag == f"{_W}tr":
            yield "\t".join(_cell(cell) for cell in child.iter(f"{_W}tc") if _row(cell) is child)
        elif child.tag not in _DROPPED:
            yield from _blocks(child)


def _row(cell: Element) -> Element:
    return next(cell.iterancestors(f"{_W}tr"))


def _cell(cell: Element) -> str:
    return " ".join(block.replace("\t", " ") for block in _blocks(cell) if block)


def _inline(element: Element) -> str:
    if element.tag == f"{_W}t":
        return str(element.text or "")
    if element.tag in _DROPPED:
        return ""
    if element.tag in _SIGNS and element.getparent().tag == f"{_W}r":  # w:tab is also a tab stop of a style
        return _SIGNS[element.tag]
    within = "".join(_inline(child) for child in element)
    # A text box holds paragraphs within a paragraph.
    return f"\n{within}" if element.tag == f"{_W}p" and element.getparent().tag == f"{_W}txbxContent" else within
