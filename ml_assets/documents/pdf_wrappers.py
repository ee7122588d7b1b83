"""PDFs whose pages are not their contents: forms that only Adobe Reader draws, and portfolios of other files."""

import ctypes
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ml_assets.documents.document import UnreadableError

_HIDDEN = ("hidden", "invisible", "inactive")  # values of `presence` of what is not printed
_SAME = 0.5  # share of the words of a form that its pages show, if they show it
_WORD = re.compile(r"[^\W_]{3,}")
_COLLECTION = re.compile(rb"/Collection\s*(?:<<|\d+\s+\d+\s+R)")
_NAMED = 5  # files of a portfolio that are named

Pdf = Any  # pypdfium2 ships no types


def refuse_portfolio(pdf: Pdf, name: str) -> None:
    """Refuse a PDF portfolio: its one page says that something else should open it.

    Raises:
        UnreadableError: `portfolio`.
    """
    if not (count := pdf.count_attachments()) or not _COLLECTION.search(_plain(pdf)):
        return
    names = [pdf.get_attachment(place).get_name() for place in range(min(count, _NAMED))]
    listing = ", ".join(names) + (", …" if count > _NAMED else "")
    raise UnreadableError(
        "portfolio", f"{name} is a portfolio of {count} files ({listing}): save them from it, and send each by itself"
    )


def is_form(pdf: Pdf) -> bool:
    """Whether a PDF has a form of XML (XFA), which may or may not be what its pages show."""
    from pypdfium2 import raw

    return raw.FPDF_GetFormType(pdf.raw) in {raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND}


def refuse_dynamic(pdf: Pdf, texts: Iterable[str], name: str) -> None:
    """Refuse a form whose pages only ask to wait for what another program would draw.

    A static form shows on its pages what stands in its XML, and is read from them.

    Args:
        pdf: with a form of XML.
        texts: of its pages.
        name: for the message.

    Raises:
        UnreadableError: `dynamic-form`.
    """
    from pypdfium2 import raw

    page_words = set(_WORD.findall(" ".join(texts).lower()))
    content_words = set(_WORD.findall(" ".join(_contents(pdf)).lower()))
    static = (
        len(content_words & page_words) >= _SAME * len(content_words)
        if content_words
        else raw.FPDF_GetFormType(pdf.raw) != raw.FORMTYPE_XFA_FULL
    )
    if not static:
        raise UnreadableError(
            "dynamic-form",
            f"{name} is a dynamic form (XFA), whose pages do not show what is in it: open it in Adobe Reader and "
            "print it to a PDF",
        )


def _plain(pdf: Pdf) -> bytes:
    """The document with its objects written out, whatever they were packed in."""
    from pypdfium2 import raw

    stream = io.BytesIO()
    pdf.save(stream, flags=raw.FPDF_REMOVE_SECURITY)
    return stream.getvalue()


def _contents(pdf: Pdf) -> Iterator[str]:
    """What an XFA form prints: its drawn texts and captions."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    for packet in _packets(pdf):
        root = etree.fromstring(packet, parser) if packet.strip() else None
        for node in root.iter("{*}draw", "{*}caption") if root is not None else ():
            if not any(one.get("presence") in _HIDDEN for one in (node, *node.iterancestors())):
                yield " ".join(text for part in node.iter("{*}text", "{*}exData") for text in part.itertext())


def _packets(pdf: Pdf) -> Iterator[bytes]:
    from pypdfium2 import raw

    for place in range(raw.FPDF_GetXFAPacketCount(pdf.raw)):
        size = ctypes.c_ulong()
        raw.FPDF_GetXFAPacketContent(pdf.raw, place, None, 0, size)
        buffer = ctypes.create_string_buffer(size.value)
        if raw.FPDF_GetXFAPacketContent(pdf.raw, place, buffer, size.value, size):
            yield buffer.raw
