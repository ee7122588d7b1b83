"""PDFs whose pages are not their contents are refused by name; those that only look like it are read."""

import io
import re

import pypdfium2
import pytest

from ml_assets.documents.document import UnreadableError
from ml_assets.documents.read import read
from ml_assets_tests.documents import made

WAIT = ("Please wait...", "If this message is not replaced by the contents, your viewer cannot show the document.")
HIDDEN = '<field presence="hidden"><caption><value><text>never printed anywhere</text></value></caption></field>'


def form(lines: tuple[str, ...], shown: tuple[str, ...], more: str = "", *, rendered: bool = True) -> bytes:
    """A PDF that shows some lines, and whose form draws others."""
    drawn = "".join(f"<draw><value><text>{line}</text></value></draw>" for line in lines)
    xml = (
        '<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><template xmlns="http://www.xfa.org/schema/xfa-template/3.3/">'
        f"<subform>{drawn}{more}</subform></template></xdp:xdp>"
    ).encode()
    flag = b"/NeedsRendering true " if rendered else b""
    root = b"/AcroForm << /Fields [] /XFA 91 0 R >> " + flag
    return appended(
        made.pdf([shown]), root, b"91 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(xml), xml)
    )


def appended(content: bytes, root: bytes, objects: bytes = b"") -> bytes:
    """A PDF of reportlab with more in its catalog; PDFium finds the objects where the table of them is missing."""
    at = max(found.start() for found in re.finditer(rb"/Type\s*/Catalog", content))
    body = content[: content.rindex(b"xref", 0, content.rindex(b"startxref"))]
    trailer = content[content.rindex(b"trailer") : content.rindex(b"startxref")]
    return body[:at] + root + body[at:] + objects + trailer + b"startxref\n0\n%%EOF\n"


def test_a_dynamic_form_is_refused() -> None:
    for rendered in (True, False):
        with pytest.raises(UnreadableError, match="print it to a PDF") as caught:
            read(form(made.LEASE, WAIT, rendered=rendered))
        assert caught.value.code == "dynamic-form"


def test_a_static_form_is_read_from_its_pages() -> None:
    choices = "".join(f"<text>country{number}</text>" for number in range(90))
    more = f"<field><items>{choices}</items></field>" + HIDDEN * 9
    document = read(form(made.LEASE, made.LEASE, more, rendered=False))
    assert document.text.splitlines() == [*made.LEASE]


def with_files(*names: str, portfolio: bool) -> bytes:
    stream = io.BytesIO()
    with pypdfium2.PdfDocument(made.pdf([("Open this with something else.",)])) as document:
        for name in names:
            document.new_attachment(name).set_data(b"contents")
        document.save(stream)
    return appended(stream.getvalue(), b"/Collection << /View /D >> ") if portfolio else stream.getvalue()


def test_a_portfolio_is_refused_and_its_files_are_named() -> None:
    with pytest.raises(
        UnreadableError, match=r"portfolio of 2 files \(lease\.pdf, rider\.docx\).*each by itself"
    ) as caught:
        read(with_files("lease.pdf", "rider.docx", portfolio=True))
    assert caught.value.code == "portfolio"


def test_a_pdf_with_an_attachment_is_read() -> None:
    assert read(with_files("invoice.xml", portfolio=False)).text == "Open this with something else."
