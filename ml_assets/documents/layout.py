"""The order in which lines are read: a recursive cut at white space (Nagy and Seth, 1984), then rows.

Coordinates are pixels, y downwards. Lines beside each other are one row, read from left to right, unless white space
runs down between two blocks of running text: those are columns, and the left one is read first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_GAP = 0.8  # of a line's height: white space between columns
_COLUMN_LINES = 3  # fewer lines beside each other are a row of a table or of signatures
_COLUMN_WIDTH = 0.6  # of its column: the median line of running text; a cell of a table is shorter
_COLUMN_SHARE = 0.25  # of both columns together; what is narrower are numbers before or after the text
_OVERLAP = 0.5  # of the lower line: what stands in one row


@dataclass(frozen=True)
class TextLine:
    """A recognised line.

    Args:
        text: what it says.
        score: 0 to 1.
        left, top, right, bottom: its box.
    """

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """In pixels."""
        return self.right - self.left


def reading_order_text(lines: Sequence[TextLine]) -> str:
    """The text of lines in reading order, a row on each line."""
    return "\n".join(" ".join(line.text for line in row) for block in blocks(lines) for row in rows(block))


def blocks(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines as blocks to be read one after the other; every line is in one of them."""
    if len(lines) < 2 * _COLUMN_LINES:
        return [list(lines)] if lines else []
    if columns := _columns(lines):
        return [block for column in columns for block in blocks(column)]
    upper, lower = _bands(lines)
    if not upper or not lower:
        return [list(lines)]
    above, below = blocks(upper), blocks(lower)
    if len(above) == len(below) == 1:
        return [[*above[0], *below[0]]]  # a cut that found no columns was none
    return [*above, *below]


def rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that stand beside each other, rows from top to bottom, each from left to right."""
    rows_so_far: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        if rows_so_far and _beside(rows_so_far[-1], line):
            rows_so_far[-1].append(line)
        else:
            rows_so_far.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows_so_far]


def _beside(row: Sequence[TextLine], line: TextLine) -> bool:
    last = row[-1]
    shared = min(last.bottom, line.bottom) - max(last.top, line.top)
    free = all(min(other.right, line.right) - max(other.left, line.left) < line.height for other in row)
    return free and shared > _OVERLAP * min(last.height, line.height)


def _columns(lines: Sequence[TextLine]) -> tuple[list[TextLine], list[TextLine]] | None:
    """The lines left and right of the widest white space that runs down between running text."""
    least = _GAP * median(line.height for line in lines)
    for width, middle in sorted(_gaps([(line.left, line.right) for line in lines]), reverse=True):
        left = [line for line in lines if line.right <= middle]
        right = [line for line in lines if line.left >= middle]
        if width >= least and _running(left, lines) and _running(right, lines) and _facing(left, right):
            return left, right
    return None


def _running(column: Sequence[TextLine], lines: Sequence[TextLine]) -> bool:
    """Whether some of the lines are a column of text: several, wide enough, and most as wide as the column."""
    if len(column) < _COLUMN_LINES:
        return False
    width = _width(column)
    return width >= _COLUMN_SHARE * _width(lines) and median(line.width for line in column) >= _COLUMN_WIDTH * width


def _width(lines: Sequence[TextLine]) -> float:
    return max(line.right for line in lines) - min(line.left for line in lines)


def _facing(left: Sequence[TextLine], right: Sequence[TextLine]) -> bool:
    """Whether two columns stand beside each other and not one below the other."""
    shared = min(max(line.bottom for line in side) for side in (left, right)) - max(
        min(line.top for line in side) for side in (left, right)
    )
    return shared > _COLUMN_LINES * median(line.height for line in (*left, *right)) / 2


def _bands(lines: Sequence[TextLine]) -> tuple[list[TextLine], list[TextLine]]:
    """The lines above and below the widest white space that runs across; one is empty where there is none."""
    # The middle half of each line: the boxes of close lines overlap.
    gaps = _gaps([(line.top + line.height / 4, line.bottom - line.height / 4) for line in lines])
    if not gaps:
        return list(lines), []
    middle = max(gaps)[1]
    lower = [line for line in lines if (line.top + line.bottom) / 2 > middle]
    return [line for line in lines if (line.top + line.bottom) / 2 <= middle], lower


def _gaps(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(width, middle) of the gaps that no span covers, between the first and the last."""
    gaps, end = [], min(spans)[1]
    for start, stop in sorted(spans):
        if start > end:
            gaps.append((start - end, (start + end) / 2))
        end = max(end, stop)
    return gaps
