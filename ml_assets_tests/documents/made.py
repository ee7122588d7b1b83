"""Files for the tests of reading, made by the libraries that people make them with."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

LEASE = (
    "RESIDENTIAL LEASE AGREEMENT",
    "This agreement is made on the first day of March between the landlord,",
    "Northwind Properties of 12 Harbor Street, and the tenant, Maria Jensen.",
    "The tenant shall pay a monthly rent of 1,450 dollars, due on the first",
    "day of each month. A late fee of 50 dollars is charged after five days.",
    "The security deposit of 2,900 dollars is held by the landlord and is",
    "returned within thirty days after the end of the lease, less the cost",
    "of any damage that goes beyond ordinary wear and tear of the premises.",
    "No pets are allowed without the written consent of the landlord.",
)
WORDS = " ".join(LEASE).split()


def pdf(pages: Sequence[Sequence[str]], title: str = "", password: str = "") -> bytes:
    """A born-digital PDF of lines."""
    return drawn([[(72, 720 - 24 * row, line) for row, line in enumerate(lines)] for lines in pages], title, password)


def drawn(pages: Sequence[Sequence[tuple[float, float, str]]], title: str = "", password: str = "") -> bytes:
    """A born-digital PDF of texts at places (points from the lower left)."""
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(612, 792), encrypt=password or None, invariant=1)
    canvas.setTitle(title)
    for texts in pages:
        canvas.setFont("Times-Roman", 13)
        for x, y, text in texts:
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def rendered(content: bytes, dots: int = 200) -> Grey:
    """The picture of a PDF's first page."""
    import pypdfium2

    with pypdfium2.PdfDocument(content) as document:
        return np.array(document[0].render(scale=dots / 72, grayscale=True).to_numpy())


def encoded(pictures: Sequence[Grey], kind: str) -> bytes:
    """Pictures as a PNG or JPEG (one) or as a TIFF."""
    from PIL import Image

    first, *rest = [Image.fromarray(picture) for picture in pictures]
    stream = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": rest} if rest else {}
    first.save(stream, kind, dpi=(200, 200), **more)
    return stream.getvalue()


def scanned(picture: Grey, pages: int = 1, layer: Sequence[str] = (), *, mode: int = 3, below: bool = False) -> bytes:
    """A PDF of a picture that fills the page, with a text layer over it (mode 3: invisible) or visible below it."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(612, 792), invariant=1)
    for _ in range(pages):
        text = canvas.beginText(72, 720)
        text.setTextRenderMode(0 if below else mode)
        text.textLines(list(layer))
        if below:
            canvas.drawText(text)
        canvas.drawImage(ImageReader(Image.fromarray(picture)), 0, 0, 612, 792)
        if not below:
            canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def docx(paragraphs: Sequence[str] = LEASE, title: str = "") -> bytes:
    """A Word file of paragraphs."""
    import docx as library

    document = library.Document()
    document.core_properties.title = title
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def with_part(content: bytes, name: str, data: bytes) -> bytes:
    """A zip file in which one entry is another, or new."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, data)
    return stream.getvalue()


def empty_pdf(pages: int) -> bytes:
    """A PDF of empty pages, or of none."""
    import pypdfium2

    document, stream = pypdfium2.PdfDocument.new(), io.BytesIO()
    for _ in range(pages):
        document.new_page(200, 200)
    document.save(stream)
    return stream.getvalue()


def found(text: str, wanted: Sequence[str] = tuple(WORDS)) -> float:
    """Share of the words that a text holds."""
    held = set(text.split())
    return sum(word in held for word in wanted) / len(wanted)
