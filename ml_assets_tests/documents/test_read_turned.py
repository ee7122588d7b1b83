"""Pages whose text does not run to the right: every line ends with a break, and lines come in their order."""

import io
from itertools import product

import pypdfium2
import pytest

from ml_assets.documents.read import read

LINES = tuple(f"The tenant of unit {number} pays on the first" for number in range(6))
FOOTER = ("Page four of nine", "Initials of the parties")


def page(direction: int, footer: int | None = None, *, shown: int = 0) -> bytes:
    """A page of lines that run at `direction` degrees counter-clockwise, and a footer at another; shown turned."""
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(600, 600), invariant=1)
    for lines, turned, top in ((LINES, direction, 500), *(((FOOTER, footer, 60),) if footer is not None else ())):
        canvas.saveState()
        canvas.translate(*{0: (0, 0), 90: (600, 0), 180: (600, 600), 270: (0, 600)}[turned])
        canvas.rotate(turned)
        text = canvas.beginText(60, top)
        text.textLines(lines)
        canvas.drawText(text)
        canvas.restoreState()
    canvas.save()
    return rotated(stream.getvalue(), shown)


def rotated(content: bytes, degrees: int) -> bytes:
    stream = io.BytesIO()
    with pypdfium2.PdfDocument(content) as document:
        document[0].set_rotation(degrees)
        document.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(("direction", "shown"), [*product((0, 90, 180, 270), repeat=2)])
def test_lines_end_with_a_break_and_come_in_order(direction: int, shown: int) -> None:
    assert read(page(direction, shown=shown)).text.splitlines() == [*LINES]


@pytest.mark.parametrize(("direction", "footer"), [(0, 90), (90, 0), (270, 0), (0, 270), (180, 90)])
def test_a_page_of_two_directions_is_read_in_both(direction: int, footer: int) -> None:
    text = read(page(direction, footer)).text
    assert [line for line in text.splitlines() if line] == [*LINES, *FOOTER]


def test_a_picture_on_a_turned_page_is_recognised_upright() -> None:
    """The layer is empty, so the page is rendered: after it was looked at for its direction."""
    from ml_assets_tests.documents import made

    content = rotated(made.scanned(made.rendered(made.pdf([made.LEASE]))), 90)
    assert made.found(read(content).text) > 0.8
