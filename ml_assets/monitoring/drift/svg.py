"""Small pictures as inline SVG: both samples in the same bins, and bars. Colours come from the page's style sheet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.escaping import html
from ml_assets.monitoring.drift.histogram import Histogram

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT = 220, 56
_BAR = 17  # pixels of a category
_LABEL = 104  # pixels of its name
_LETTERS = 17
_LONGEST = 200  # letters of a category that somebody may read in full


def of(histogram: Histogram, name: str) -> "Markup":
    """The picture of a feature."""
    return _steps(histogram, name) if histogram.labels is None else _words(histogram, name)


def bars(rows: Sequence[tuple[str, float, float]], name: str) -> "Markup":
    """A label and a share of both samples in each row."""
    rows = [(label[:_LONGEST], before, after) for label, before, after in rows]
    top = max([1e-12, *(share for _, *shares in rows for share in shares)])
    width = _WIDTH - _LABEL
    rectangles = [
        {
            "y": number * _BAR,
            "label": label,
            "short": _short(label),
            "before": f"{before / top * width:.1f}",
            "after": f"{after / top * width:.1f}",
        }
        for number, (label, before, after) in enumerate(rows)
    ]
    text = "; ".join(f"{label} {before:.1%}, now {after:.1%}" for label, before, after in rows)
    return _svg(name, text, len(rows) * _BAR, bars=rectangles)


def _words(histogram: Histogram, name: str) -> "Markup":
    return bars(list(zip(histogram.labels or (), histogram.reference, histogram.current, strict=True)), name)


def _steps(histogram: Histogram, name: str) -> "Markup":
    """The reference as an area, the current sample as a line; the outer bins are open."""
    top = max(*histogram.reference, *histogram.current)
    before, after = (_path(shares, top) for shares in (histogram.reference, histogram.current))
    low, high = _number(histogram.low), _number(histogram.high)
    text = f"shares of rows in {len(histogram.reference)} bins, nearly all between {low} and {high}"
    steps = {"bottom": _HEIGHT, "before": before, "after": after, "low": low, "high": high}
    return _svg(name, text, _HEIGHT + 14, steps=steps)


def _path(shares: Sequence[float], top: float) -> str:
    step = _WIDTH / len(shares)
    heights = [f"{_HEIGHT - share / top * (_HEIGHT - 2):.1f}" for share in shares]
    return heights[0] + "".join(f"H{(at + 1) * step:.1f}V{high}" for at, high in enumerate([*heights[1:], heights[-1]]))


def _svg(
    name: str, text: str, height: int, *, bars: Sequence[Mapping[str, object]] = (), steps: object = None
) -> "Markup":
    return html(
        "ml_assets.monitoring.drift", "picture.svg",
        name=name, text=text, height=height, width=_WIDTH, left=_LABEL, bars=bars, steps=steps,
    )  # fmt: skip


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
