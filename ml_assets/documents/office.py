"""Word files (.docx, .docm, .dotx, .dotm) as text: headers, the body with its tables in order, notes, footers.

The text is taken from the XML (ECMA-376, part 1, section 17): also what stands in content controls, tracked insertions,
text boxes and embedded web pages. Macros are not looked at.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from ml_assets.documents import html as markup
from ml_assets.documents import mail
from ml_assets.documents import plain_text as plain
from ml_assets.documents.document import Page, ReadingLimits, UnreadableError
from ml_assets.documents.file_type import kind_of
from ml_assets.documents.package import OpenPackage, R, W
from ml_assets.documents.plain_text import page, tidy

_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# Deleted text, codes of fields, and what another branch says again.
_DROPPED = frozenset({f"{W}del", f"{W}moveFrom", f"{W}instrText", f"{W}delText", _FALLBACK})
_SIGNS = {
    f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-",
}  # fmt: skip
_NOTES = ("footnotes", "endnotes")

Element = Any  # lxml ships no types


def pages(content: bytes, name: str, limits: ReadingLimits) -> tuple[tuple[Page, ...], str | None]:
    """The one page of a DOCX file (where its pages end is decided when it is printed), and its title.

    Raises:
        UnreadableError: `bomb`, `encrypted`, or `damaged`.
    """
    refuse_bomb(content, name, limits)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        package = OpenPackage(archive, name)
        main = package.main()
        if main is None:
            raise UnreadableError("damaged", f"{name} holds no document (word/document.xml is missing): save it anew")
        return (page("\n".join(_story(package, main, name, limits))),), tidy(package.title()).strip() or None


def refuse_bomb(content: bytes, name: str, limits: ReadingLimits) -> None:
    """Look at what a zip file says that it holds before anything is unpacked.

    Raises:
        UnreadableError: `bomb`: it unpacks to more than it may; `encrypted`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnreadableError("encrypted", f"{name} is encrypted with a password: save it without one")
        # zipfile reads no more than an entry says, so these sizes hold.
        _require_small(sum(entry.file_size for entry in entries), len(content), name, limits)


def _require_small(unpacked: int, size: int, name: str, limits: ReadingLimits) -> None:
    if unpacked <= min(limits.unpacked, limits.ratio * size):
        return
    raise UnreadableError(
        "bomb",
        f"{name} unpacks from {size:,} bytes to {unpacked:,}, more than {limits.unpacked:,} or {limits.ratio} times "
        "its size: save it anew without large embedded objects, or raise Limits.unpacked and Limits.ratio",
    )


def _story(package: OpenPackage, main: str, name: str, limits: ReadingLimits) -> Iterator[str]:
    root, relations = package.root(main), package.relations(main)

    def parts(*tags: str) -> Iterator[str]:
        """The parts that elements of the body name by their ids, each once."""
        ids = dict.fromkeys(node.get(f"{R}id") for node in root.iter(*(f"{W}{tag}" for tag in tags)))
        return (relations[one].part for one in ids if one in relations)

    notes = (one.part for one in relations.values() if one.kind in _NOTES)
    for part in parts("headerReference"):
        yield from _blocks(package.root(part))
    yield from _blocks(root)
    for part in parts("altChunk"):
        yield _embedded(package.data(part), f"{part} of {name}", limits)
    for part in (*notes, *parts("footerReference")):
        yield from _blocks(package.root(part))


def _embedded(content: bytes, name: str, limits: ReadingLimits) -> str:
    """The text of a file within: some programs write a Word file as one web page in a shell.

    Raises:
        UnreadableError: it is another kind; what is not read is not left out in silence.
    """
    kind = kind_of(content, name)
    if kind == "docx":
        return pages(content, name, limits)[0][0].text
    if kind == "html":
        return markup.pages(content)[0][0].text
    if kind == "mht":
        return mail.read_web_archive(content, name)[0][0].text
    if kind == "text":
        return plain.decode_text(content)
    raise UnreadableError("unknown-kind", f"{name} is an embedded file ({kind}) that is not read: save it as PDF")


def _blocks(element: Element) -> Iterator[str]:
    """Paragraphs and rows of tables below an element, in order, whatever wraps them."""
    for child in element:
        if child.tag == f"{W}p":
            yield _inline(child)
        elif child.tag == f"{W}tr":
            yield "\t".join(_cell(cell) for cell in child.iter(f"{W}tc") if _row(cell) is child)
        elif child.tag not in _DROPPED:
            yield from _blocks(child)


def _row(cell: Element) -> Element:
    return next(cell.iterancestors(f"{W}tr"))


def _cell(cell: Element) -> str:
    return " ".join(block.replace("\t", " ") for block in _blocks(cell) if block)


def _inline(element: Element) -> str:
    if element.tag == f"{W}t":
        return str(element.text or "")
    if element.tag in _DROPPED:
        return ""
    if element.tag in _SIGNS and element.getparent().tag == f"{W}r":  # w:tab is also a tab stop of a style
        return _SIGNS[element.tag]
    within = "".join(_inline(child) for child in element)
    # A text box holds paragraphs within a paragraph.
    return f"\n{within}" if element.tag == f"{W}p" and element.getparent().tag == f"{W}txbxContent" else within
