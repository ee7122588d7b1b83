"""PDF: the text layer where it says what the page shows, else OCR of the rendered page."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from ml_assets.documents.document import Page, ReadingLimits, UnreadableError, too_many
from ml_assets.documents.ocr import read_picture
from ml_assets.documents.pdf_rotation import upright
from ml_assets.documents.pdf_text_layer import doubtful, prefers_ocr
from ml_assets.documents.pdf_wrappers import is_form, refuse_dynamic, refuse_portfolio
from ml_assets.documents.picture import Grey, require_pixels
from ml_assets.documents.plain_text import page as written
from ml_assets.documents.plain_text import tidy

_DOTS = 200  # an inch
_UNIT = 72  # of PDF's own units an inch
_SIDE = 2400  # pixels of a rendered page's longer side at most
_WHOLE = 0.8  # of the page's area: a picture of all of it
_PDFIUM = threading.Lock()  # it is not thread-safe
_LINEARIZED = re.compile(rb"/Linearized\s.{0,200}?/L\s+(\d+)", re.DOTALL)
_HEAD = 2048  # bytes, within which a linearized file says how long it is

Pdf = Any  # pypdfium2 ships no types


def pages(
    content: bytes, name: str, limits: ReadingLimits, progress: Callable[[int, int], None]
) -> tuple[tuple[Page, ...], str | None]:
    """The pages of a PDF, and its title.

    Args:
        content: the bytes of the file.
        name: of the file, for messages.
        limits: on pages, pixels and time.
        progress: told pages done and all pages.

    Raises:
        UnreadableError: `encrypted`, `damaged`, `empty`, `too-many-pages`, `portfolio`, `dynamic-form`; for a picture
            on a page that needs OCR `too-many-pixels` or `bomb`.
    """
    _require_whole(content, name)
    with _PDFIUM, closing(_opened(content, name)) as pdf:
        count = len(pdf)
        if count > limits.pages:
            raise too_many(count, name, limits)
        refuse_portfolio(pdf, name)
        form = is_form(pdf)
        logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of forms, which are dealt with here
        pdf.init_forms()  # what was filled in is drawn, and read
        pages_read = []
        for number in range(count):
            progress(number, count)
            pages_read.append(_page(pdf, number, name, len(content), limits))
        if form:
            refuse_dynamic(pdf, (page.text for page in pages_read), name)
        return tuple(pages_read), tidy(pdf.get_metadata_value("Title")).strip() or None


def _require_whole(content: bytes, name: str) -> None:
    """Refuse half a file: PDFium mends it silently, and what is left out is not missed."""
    linearized = _LINEARIZED.search(content[:_HEAD])
    if b"startxref" in content and (not linearized or int(linearized[1]) <= len(content)):
        return
    raise UnreadableError("damaged", f"{name} breaks off after {len(content):,} bytes: send it again")


def _opened(content: bytes, name: str) -> Pdf:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _refused(content, name) from error


def _refused(content: bytes, name: str) -> UnreadableError:
    from pypdfium2 import raw

    # Asked again: pypdfium2 takes a document without pages for an error, whose number is then that of another file.
    if handle := raw.FPDF_LoadMemDocument64(content, len(content), None):
        raw.FPDF_CloseDocument(handle)
        return UnreadableError("empty", f"{name} is a PDF without pages: send it again")
    if raw.FPDF_GetLastError() in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
        return UnreadableError("encrypted", f"{name} is encrypted: save it without a password")
    return UnreadableError("damaged", f"{name} is a damaged PDF: send it again, or print it to a new one")


def _page(pdf: Pdf, number: int, name: str, size: int, limits: ReadingLimits) -> Page:
    page, layer = upright(pdf, _loaded(pdf, number, name), number)
    with closing(page):
        covered, hidden = _under(page)
        if not doubtful(layer, covered, hidden=hidden):
            return written(layer)
        recognised = read_picture(_rendered(page, f"page {number + 1} of {name}", size, limits), limits.threads)
        return recognised if prefers_ocr(layer, recognised, hidden=hidden) else written(layer)


def _loaded(pdf: Pdf, number: int, name: str) -> Pdf:
    import pypdfium2
    from pypdfium2 import raw

    try:
        page = pdf[number]
        if pdf.formenv is None or page.flatten() != raw.FLATTEN_SUCCESS:
            return page
        page.close()
        return pdf[number]  # again: the text of a page is that of its loading
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(
            "damaged", f"page {number + 1} of {name} cannot be loaded ({error}): print the file to a new PDF"
        ) from error


def _under(page: Pdf) -> tuple[float, bool]:
    """The share of the page's area under pictures (at most 1), and whether most of its text cannot be seen.

    A searchable scan has its text drawn invisibly, or first and the picture over it.
    """
    from pypdfium2 import raw

    covered, visible, hidden = 0.0, 0, 0
    for thing in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_IMAGE]):
        if thing.type == raw.FPDF_PAGEOBJ_IMAGE:
            share = _share(thing, page)
            covered += share
            if share >= _WHOLE:
                visible, hidden = 0, hidden + visible
        elif raw.FPDFTextObj_GetTextRenderMode(thing) == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
            hidden += 1
        else:
            visible += 1
    return min(1.0, covered), hidden > visible


def _share(picture: Pdf, page: Pdf) -> float:
    left, bottom, right, top = picture.get_bounds()
    area = page.get_width() * page.get_height()
    return float(max(0.0, right - left) * max(0.0, top - bottom) / max(area, 1e-9))


def _pictures(page: Pdf) -> Iterator[Pdf]:
    from pypdfium2 import raw

    yield from page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])


def _rendered(page: Pdf, name: str, size: int, limits: ReadingLimits) -> Grey:
    for picture in _pictures(page):
        width, height = picture.get_px_size()
        require_pixels(width, height, size, name, limits)
    scale = min(_DOTS / _UNIT, _SIDE / max(page.get_size()))
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        return np.array(bitmap.to_numpy(), dtype=np.uint8)
