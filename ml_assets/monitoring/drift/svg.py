"""Small pictures as inline SVG: both samples in the same bins, and bars. Colours come from the page's style sheet."""

from collections.abc import Sequence
from html import escape

from ml_assets.monitoring.drift.histogram import Histogram

_WIDTH, _HEIGHT = 220, 56
_BAR = 17  # pixels of a category
_LABEL = 104  # pixels of its name
_LETTERS = 17
_LONGEST = 200  # letters of a category that somebody may read in full


def of(histogram: Histogram, name: str) -> str:
    """The picture of a feature."""
    return _steps(histogram, name) if histogram.labels is None else _words(histogram, name)


def bars(rows: Sequence[tuple[str, float, float]], name: str) -> str:
    """A label and a share of both samples in each row."""
    rows = [(label[:_LONGEST], before, after) for label, before, after in rows]
    top = max([1e-12, *(share for _, *shares in rows for share in shares)])
    width = _WIDTH - _LABEL
    drawn = "".join(
        f'<text x="0" y="{number * _BAR + 11}">{escape(_short(label))}<title>{escape(label)}</title></text>'
        f"{_bar(number, 0, 'r', before / top * width)}{_bar(number, 1, 'c', after / top * width)}"
        for number, (label, before, after) in enumerate(rows)
    )
    said = "; ".join(f"{label} {before:.1%}, now {after:.1%}" for label, before, after in rows)
    return _svg(drawn, name, said, len(rows) * _BAR)


def _words(histogram: Histogram, name: str) -> str:
    return bars(list(zip(histogram.labels or (), histogram.reference, histogram.current, strict=True)), name)


def _bar(number: int, second: int, kind: str, width: float) -> str:
    return f'<rect class="{kind}" x="{_LABEL}" y="{number * _BAR + 2 + second * 6}" width="{width:.1f}" height="5"/>'


def _steps(histogram: Histogram, name: str) -> str:
    """The reference as an area, the current sample as a line; the outer bins are open."""
    top = max(*histogram.reference, *histogram.current)
    before, after = (_path(shares, top) for shares in (histogram.reference, histogram.current))
    area = f'<path class="r" d="M0 {_HEIGHT}V{before}V{_HEIGHT}Z"/>'
    ends = (
        f'<text x="0" y="{_HEIGHT + 11}">{_number(histogram.low)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 11}" class="e">{_number(histogram.high)}</text>'
    )
    said = f"shares of rows in {len(histogram.reference)} bins, nearly all between {_number(histogram.low)} and "
    drawn = f'{area}<path class="l" d="M0 {after}"/>{ends}'
    return _svg(drawn, name, f"{said}{_number(histogram.high)}", _HEIGHT + 14)


def _path(shares: Sequence[float], top: float) -> str:
    step = _WIDTH / len(shares)
    heights = [f"{_HEIGHT - share / top * (_HEIGHT - 2):.1f}" for share in shares]
    return heights[0] + "".join(f"H{(at + 1) * step:.1f}V{high}" for at, high in enumerate([*heights[1:], heights[-1]]))


def _svg(drawn: str, name: str, said: str, height: int) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
        f"<title>{escape(name)}</title><desc>{escape(said)}</desc>{drawn}</svg>"
    )


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
