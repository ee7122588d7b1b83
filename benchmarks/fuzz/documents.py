"""Small documents of each kind, made here."""

import io
from email.message import EmailMessage
from functools import cache

_WORDS = "Lease of January 5, 2024 between Apex Foods LLC and Ann Lee. The rent is $1,250.00 a month."


@cache
def documents() -> list[bytes]:
    """One of each kind: text, HTML, e-mail, Word, PDF, PNG, JPEG, TIFF."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Lease"
    mail.set_content(_WORDS)
    mail.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="a.csv")
    page = f"<!doctype html><html><head><title>Lease</title></head><body><p>{_WORDS}</p><table><tr><td>1</table>"
    return [_WORDS.encode(), page.encode(), mail.as_bytes(), _word(), _pdf(), *map(_picture, ("PNG", "JPEG", "TIFF"))]


def _word() -> bytes:
    from docx import Document

    made, kept = Document(), io.BytesIO()
    made.add_heading("Lease")
    made.add_paragraph(_WORDS)
    made.add_table(2, 2).cell(0, 0).text = "1"
    made.save(kept)
    return kept.getvalue()


def _pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    kept = io.BytesIO()
    made = Canvas(kept, pageCompression=0)
    for number in range(2):
        made.drawString(72, 720, f"{_WORDS} Page {number}")
        made.showPage()
    made.save()
    return kept.getvalue()


def _picture(kind: str) -> bytes:
    from PIL import Image, ImageDraw

    made, kept = Image.new("L", (400, 60), 255), io.BytesIO()
    ImageDraw.Draw(made).text((10, 20), "Lease of January 5, 2024", fill=0)
    made.save(kept, kind)
    return kept.getvalue()
