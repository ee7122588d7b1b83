"""Lines on pages: wraps paragraphs by the widths of the PDF base fonts and breaks pages, fast enough for text alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ml_assets.examples.documents.styles import Style
from ml_assets.examples.documents.text_width import width, wrap

_BOLD = {"Times": "Times-Bold", "Helvetica": "Helvetica-Bold", "Courier": "Courier-Bold"}
_PLAIN = {"Times": "Times-Roman", "Helvetica": "Helvetica", "Courier": "Courier"}
_TOP = 60.0  # points from the edge to the text; the header and the footer stand inside
_BESIDE = 0.6  # of the size: the least gap between two cells


class Block(NamedTuple):
    """A piece of a document, in reading order.

    Args:
        kind: title, heading, para, item, field, center, right, row, head, total, gap, break.
        text: its words; none for a row.
        cells: of a row: a label and figures.
    """

    kind: str
    text: str = ""
    cells: tuple[str, ...] = ()


class PlacedText(NamedTuple):
    """Words at a place: left end of the baseline, in points from the lower left corner."""

    x: float
    y: float
    font: str
    size: float
    text: str


class Sheet(NamedTuple):
    """A page as it is drawn: words in reading order, and lines (x0, x1, y)."""

    spans: tuple[PlacedText, ...]
    rules: tuple[tuple[float, float, float], ...]

    @property
    def text(self) -> str:
        """The words; a new line for each line, a blank between the cells of a row."""
        parts: list[str] = []
        before: PlacedText | None = None
        for span in self.spans:
            if before:
                parts.append(" " if span.y == before.y and span.x > before.x else "\n")
            parts.append(span.text)
            before = span
        return "".join(parts)


def typeset(blocks: Sequence[Block], style: Style, number: str) -> tuple[Sheet, ...]:
    """The pages of a document.

    Args:
        blocks: in reading order.
        style: the look.
        number: what `{number}` is in the header and the footer.
    """
    page = _Pages(style)
    for place, block in enumerate(blocks):
        follows = blocks[place + 1].kind if place + 1 < len(blocks) else ""
        _DRAWN[block.kind](page, block, follows)
    count = len(page.bodies)
    return tuple(_sheet(page, style, at, count, number) for at in range(count))


class _Pages:
    """Where the next line goes."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.plain, self.bold = _PLAIN[style.font], _BOLD[style.font]
        self.bodies: list[tuple[list[PlacedText], list[tuple[float, float, float]]]] = []
        gutter = 18 * (style.columns - 1)
        self.width = (style.paper[0] - 2 * style.margin - gutter) / style.columns
        self._column = style.columns
        self._move()

    @property
    def x(self) -> float:
        return self.style.margin + self._column * (self.width + 18)

    def need(self, height: float) -> None:
        """Go on at the top of the next column or page where `height` is not left."""
        if self.y - height < _TOP and not self._fresh:
            self._move()

    def line(self, text: str, font: str, size: float, inset: float = 0) -> None:
        """Put words on the next line, which may be in another column.

        Args:
            text: as `wrap` parts it.
            font: of the text.
            size: of the font, points.
            inset: points from the left edge of the column.
        """
        step = size * self.style.leading
        self.need(step)
        self.y -= step
        self._fresh = False
        self.bodies[-1][0].append(PlacedText(self.x + inset, self.y, font, size, text))

    def cell(self, text: str, font: str, size: float, right: float) -> None:
        """Put words on the line that is there.

        Args:
            text: as `wrap` parts it.
            font: of the text.
            size: of the font, points.
            right: where they end, points from the left edge of the page.
        """
        x = right - width(text, font, size)
        self.bodies[-1][0].append(PlacedText(x, self.y, font, size, text))

    def rule(self, above: float) -> None:
        y = self.y + above
        self.bodies[-1][1].append((self.x, self.x + self.width, y))

    def skip(self, height: float) -> None:
        if not self._fresh:
            self.y -= height

    def new(self) -> None:
        """Begin a new page, unless this one is empty."""
        if not (self._fresh and self._column == 0):
            self._column = self.style.columns
            self._move()

    def _move(self) -> None:
        self._column += 1
        if self._column >= self.style.columns:
            self._column = 0
            self.bodies.append(([], []))
        self.y = self.style.paper[1] - _TOP
        self._fresh = True


def _title(page: _Pages, block: Block, _follows: str) -> None:
    size = page.style.size + 3
    page.skip(size)
    for line in wrap(block.text, page.bold, size, page.width):
        left = page.style.title_left
        at = 0 if left else (page.width - width(line, page.bold, size)) / 2
        page.line(line, page.bold, size, at)
    page.skip(size)


def _heading(page: _Pages, block: Block, _follows: str) -> None:
    size = page.style.size
    page.skip(size * 0.5)
    page.need(size * page.style.leading * 3)
    for line in wrap(block.text, page.bold, size, page.width):
        page.line(line, page.bold, size)


def _para(page: _Pages, block: Block, _follows: str) -> None:
    _flow(page, block.text, page.style.indent, 0)
    page.skip(page.style.size * 0.5)


def _item(page: _Pages, block: Block, _follows: str) -> None:
    _flow(page, block.text, 0, 18)
    page.skip(page.style.size * 0.25)


def _field(page: _Pages, block: Block, _follows: str) -> None:
    _flow(page, block.text, 0, 0)


def _flow(page: _Pages, text: str, first: float, inset: float) -> None:
    size, font = page.style.size, page.plain
    lines = wrap(text, font, size, page.width - inset, first)
    page.need(size * page.style.leading * min(2, len(lines)))
    for at, line in enumerate(lines):
        page.line(line, font, size, inset + (0 if at else first))


def _center(page: _Pages, block: Block, _follows: str) -> None:
    size = page.style.size
    for line in wrap(block.text, page.plain, size, page.width):
        page.need(size * page.style.leading)
        page.line(line, page.plain, size, (page.width - width(line, page.plain, size)) / 2)


def _gap(page: _Pages, _block: Block, _follows: str) -> None:
    page.skip(page.style.size * 1.2)


def _break(page: _Pages, _block: Block, _follows: str) -> None:
    page.new()


def _row(page: _Pages, block: Block, follows: str) -> None:
    """A label on the left, figures at the right ends of equal columns; a long row is set smaller."""
    font = page.plain if block.kind == "row" else page.bold
    first, *figures = block.cells
    figured = page.width * (0.56 if len(figures) > 1 else 0.35)
    step = figured / max(len(figures), 1)
    size = min(
        _fitting(first, font, page.style.size, page.width - figured),
        *(_fitting(text, font, page.style.size, step) for text in figures or [""]),
    )
    page.need(size * page.style.leading * 2)
    page.line(first, font, size)
    left = page.x + page.width - figured
    for at, text in enumerate(figures):
        if text:
            page.cell(text, font, size, left + step * (at + 1))
    if page.style.ruled and block.kind != "row":
        page.rule(-0.25 * size if block.kind == "head" else 0.95 * size)
    if follows not in _ROWS:
        page.skip(page.style.size)


def _fitting(text: str, font: str, size: float, room: float) -> float:
    """The size at which `text` and a gap fit into `room`, at most `size`."""
    wide = width(text, font, size) + _BESIDE * size
    return size if wide <= room else size * room / wide


def _sheet(page: _Pages, style: Style, at: int, count: int, number: str) -> Sheet:
    spans, rules = page.bodies[at]
    above = _furniture(page, style.header, style.paper[1] - 36, at, count, number)
    below = _furniture(page, style.footer, 36, at, count, number)
    return Sheet((*above, *spans, *below), tuple(rules))


def _furniture(page: _Pages, text: str, y: float, at: int, count: int, number: str) -> list[PlacedText]:
    if not text:
        return []
    words = text.format(page=at + 1, pages=count, number=number)
    middle = (page.style.paper[0] - width(words, page.plain, 8)) / 2
    return [PlacedText(middle, y, page.plain, 8, words)]


_ROWS = {"row", "head", "total"}
_DRAWN: dict[str, Callable[[_Pages, Block, str], None]] = {
    "title": _title,
    "heading": _heading,
    "para": _para,
    "item": _item,
    "field": _field,
    "center": _center,
    "row": _row,
    "head": _row,
    "total": _row,
    "gap": _gap,
    "break": _break,
}
