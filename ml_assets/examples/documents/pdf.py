"""PDF with a text layer: the same bytes for the same document."""

from io import BytesIO
from typing import TYPE_CHECKING

from ml_assets.examples.documents.draw import Drawn
from ml_assets.examples.documents.typeset import Sheet

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas


def pdf(drawn: Drawn) -> bytes:
    """The pages of a document as PDF, with text in the base fonts and tables ruled."""
    from reportlab.pdfgen.canvas import Canvas  # only for those who render

    content = BytesIO()
    canvas = Canvas(content, pagesize=drawn.style.paper, invariant=1, pageCompression=1)
    canvas.setAuthor("")
    canvas.setTitle("")  # the title would tell what the page may hide
    for sheet in drawn.sheets:
        _page(canvas, sheet)
        canvas.showPage()
    canvas.save()
    return content.getvalue()


def _page(canvas: "Canvas", sheet: Sheet) -> None:
    for span in sheet.spans:
        canvas.setFont(span.font, span.size)
        canvas.drawString(span.x, span.y, span.text)
    canvas.setLineWidth(0.5)
    for left, right, y in sheet.rules:
        canvas.line(left, y, right, y)
