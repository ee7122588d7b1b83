"""The same documents as a word processor, a web page or a plain file holds them. `draw.reflow` is their truth."""

import textwrap
import zipfile
from collections.abc import Iterable, Iterator
from html import escape
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING

from ml_assets.examples.documents.draw import Drawn
from ml_assets.examples.documents.typeset import Block

if TYPE_CHECKING:
    from docx.document import Document

_ROWS = {"head", "row", "total"}
_TAGS = {"title": "h1", "heading": "h2", "center": "center"}
_PACKED = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP archive knows


def html(drawn: Drawn) -> bytes:
    """A web page in UTF-8, with a style sheet, a script and tables."""
    body = "\n".join(_html(drawn.blocks))
    head = '<meta charset="utf-8"><title></title><style>td {padding: 2px}</style><script>var page = 1;</script>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>\n{body}\n</body></html>\n".encode()


def plain(drawn: Drawn, columns: int = 88) -> bytes:
    """A text file in UTF-8, wrapped at `columns` characters."""
    lines = ("  ".join(block.cells) or block.text for block in drawn.blocks)
    wrapped = (textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False) for line in lines)
    return ("\n".join(wrapped) + "\n").encode()


def docx(drawn: Drawn) -> bytes:
    """A Word document with headings, paragraphs and tables."""
    import docx as word

    document = word.Document()
    document.core_properties.author = ""
    for tabular, blocks in groupby(drawn.blocks, key=lambda block: block.kind in _ROWS):
        if tabular:
            _word_table(document, [block.cells for block in blocks])
        else:
            _word_text(document, blocks)
    content = BytesIO()
    document.save(content)
    return _packed(content.getvalue())


def _html(blocks: Iterable[Block]) -> Iterator[str]:
    for tabular, chunk in groupby(blocks, key=lambda block: block.kind in _ROWS):
        if tabular:
            rows = ("".join(f"<td>{escape(cell)}</td>" for cell in block.cells) for block in chunk)
            yield "<table>" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
        else:
            yield from (_element(block) for block in chunk if block.text)


def _element(block: Block) -> str:
    tag = _TAGS.get(block.kind, "p")
    return f"<{tag}>{escape(block.text)}</{tag}>"


def _word_text(document: "Document", blocks: Iterable[Block]) -> None:
    for block in blocks:
        if block.kind == "title":
            document.add_heading(block.text, 0)
        elif block.kind == "heading":
            document.add_heading(block.text, 2)
        elif block.text:
            document.add_paragraph(block.text)


def _word_table(document: "Document", rows: list[tuple[str, ...]]) -> None:
    table = document.add_table(rows=0, cols=max(map(len, rows)))
    for cells in rows:
        for cell, text in zip(table.add_row().cells, cells, strict=False):
            cell.text = text


def _packed(content: bytes) -> bytes:
    """The same archive without the time at which it was made."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, _PACKED), old.read(name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
