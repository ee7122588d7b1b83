"""How wide words are in a font of reportlab, and the lines that they fill."""

from bisect import bisect_right
from functools import cache
from itertools import accumulate

_REMEMBERED = 50_000  # widths of words; figures and names never end


def width(text: str, font: str, size: float) -> float:
    """How wide `text` is, in points."""
    widths = _widths(font)
    words = text.split(" ")
    return (sum(map(widths.__getitem__, words)) + widths[" "] * (len(words) - 1)) * size / 1000


def wrap(text: str, font: str, size: float, room: float, first: float = 0) -> list[str]:
    """Lines of at most `room` points; the first one is shorter by `first`. A word that is too long stands alone.

    Args:
        text: words and spaces.
        font: a font of reportlab.
        size: of the font, in points.
        room: the width of a line, in points.
        first: by how much the first line is shorter, in points.
    """
    words = text.split()
    widths = _widths(font)
    blank = widths[" "]
    limit = room * 1000 / size + blank
    ends = list(accumulate(widths[word] + blank for word in words))
    lines: list[str] = []
    start, before = 0, -first * 1000 / size
    while start < len(words):
        stop = max(bisect_right(ends, limit + before, start), start + 1)
        lines.append(" ".join(words[start:stop]))
        start, before = stop, ends[stop - 1]
    return lines


class _Widths(dict[str, float]):
    """The widths of the words that were met, in thousandths of the size: a language has some thousand."""

    def __init__(self, font: str) -> None:
        from reportlab.pdfbase.pdfmetrics import getFont  # a tenth of a second, for those who draw only

        super().__init__()
        self._glyphs = getFont(font).widths

    def __missing__(self, word: str) -> float:
        wide = float(sum(map(self._glyphs.__getitem__, word.encode("cp1252"))))
        if len(self) < _REMEMBERED:
            self[word] = wide
        return wide


@cache
def _widths(font: str) -> _Widths:
    return _Widths(font)
