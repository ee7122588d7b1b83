"""One picture of a rollout: the challenger's share, the evidence against it, and the bounds of each ratio over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.guardrail import GuardrailResult
from ml_assets.training.plots import BLUE, GREEN, GREY, INK, ORANGE, PINK, frame, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (BLUE, GREEN, PINK, "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
_DAY = 86_400
_MARKS = {"advance": "^", "promote": "*", "roll_back": "X", "error": "s", "restart": "o", "close": "x"}
_WIDEST = 20.0
"""Times and parts of the champion's rate that a panel shows."""


@dataclass(frozen=True)
class RolloutPoint:
    """One look at a rollout.

    Args:
        at: when, naive UTC.
        action: what followed.
        share: of the challenger, from then on.
        results: what each guardrail said; none where nothing was counted.
    """

    at: datetime
    action: str
    share: float
    results: tuple[GuardrailResult, ...] = ()


def figure(title: str, points: Sequence[RolloutPoint]) -> bytes:
    """A PNG, 1000 pixels wide; the same looks give the same file.

    Args:
        title: which rollout, and how it stands.
        points: the looks, in order; one or more.
    """
    names = list(dict.fromkeys(each.name for point in points for each in point.results))
    compared = [name for name in names if any(each.ratio for each in _results(points, name))]
    picture, (share, evidence, *ratios) = _canvas(len(compared))
    picture.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    looks = dict(zip(names, zip(cycle(_COLORS), cycle(_LINES), strict=False), strict=False))
    _draw_share(share, points)
    _draw_evidence(evidence, points, looks)
    for panel, name in zip(ratios, compared, strict=True):
        _draw_ratio(panel, points, name, looks[name][0])
    for panel in (share, evidence, *ratios):
        _label_times(panel, points)
    return png(picture)


def _canvas(ratios: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [1.3, 2.2] + [2.6] * bool(ratios)
    picture = Figure(figsize=(10, sum(heights) + 0.9), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    grid = picture.add_gridspec(len(heights), max(1, ratios), height_ratios=heights)
    panels = [picture.add_subplot(grid[row, :]) for row in (0, 1)]
    panels += [picture.add_subplot(grid[2, column]) for column in range(ratios)]
    for panel in panels:
        frame(panel)
    return picture, panels


def _draw_share(panel: "Axes", points: Sequence[RolloutPoint]) -> None:
    times, shares = _times(points), [100 * point.share for point in points]
    panel.step(times, shares, where="post", color=INK, linewidth=1.6)
    panel.fill_between(times, shares, step="post", color=BLUE, alpha=0.15, linewidth=0)
    for action, mark in _MARKS.items():
        at = [i for i, point in enumerate(points) if point.action == action]
        if at:
            color = ORANGE if action in {"roll_back", "error"} else GREEN
            panel.plot(
                [times[i] for i in at], [shares[i] for i in at], mark, color=color, markersize=8,
                label=action.replace("_", " "), clip_on=False, zorder=3,
            )  # fmt: skip
    panel.set(ylim=(0, 105))
    panel.set_title("Units that the challenger answers, %", fontsize=10, loc="left", color=INK)
    _legend(panel)


def _draw_evidence(panel: "Axes", points: Sequence[RolloutPoint], looks: dict[str, tuple[str, Any]]) -> None:
    """Logarithms of the e-values as parts of their limits, so that all guardrails have one line."""
    for name, (color, line) in looks.items():
        series = [
            (time, min(max(each.log_e / each.limit, -1.0), 1.5))
            for time, point in zip(_times(points), points, strict=True)
            for each in point.results
            if each.name == name
        ]
        panel.plot(*_columns(series), color=color, linestyle=line, linewidth=1.7, label=name, **_mark(series))
    panel.axhline(1.0, color=ORANGE, linewidth=1.4, label="rolled back")
    panel.axhline(0.0, color=GREY, linewidth=0.8)
    panel.set(ylim=(-1.05, 1.55))
    title = "Evidence that the challenger is worse: ln e-value, as a part of the one that rolls back"
    panel.set_title(title, fontsize=10, loc="left", color=INK)
    _legend(panel)


def _draw_ratio(panel: "Axes", points: Sequence[RolloutPoint], name: str, color: str) -> None:
    rows = [
        (time, *map(_clip, (each.ratio.estimate, each.ratio.low, each.ratio.high)))
        for time, point in zip(_times(points), points, strict=True)
        for each in point.results
        if each.name == name and each.ratio
    ]
    times, estimates, lows, highs = _columns(rows)
    panel.fill_between(times, lows, highs, color=color, alpha=0.18, linewidth=0)
    panel.plot(times, estimates, color=color, linewidth=1.6, **_mark(rows))
    if len(rows) == 1:  # a band has no width there
        panel.vlines(times, lows, highs, color=color, alpha=0.5, linewidth=3)
    panel.axhline(1.0, color=GREY, linewidth=1)
    tolerated = next((each.needed for each in reversed(_results(points, name)) if each.needed), None)
    if tolerated:
        panel.axhline(_clip(tolerated), color=ORANGE, linewidth=1.2, linestyle="--")
    panel.set_yscale("log")
    panel.set(ylim=(1 / _WIDEST, _WIDEST))
    panel.set_yticks([0.1, 0.5, 1, 2, 10], ["0.1", "0.5", "1", "2", "10"])
    panel.minorticks_off()
    below = f"the champion's\ndashed: {_count(tolerated)} is tolerated" if tolerated else "what is tolerated"
    panel.set_title(f"{name}, times {below}", fontsize=10, loc="left", color=INK)


def _results(points: Sequence[RolloutPoint], name: str) -> list[GuardrailResult]:
    return [each for point in points for each in point.results if each.name == name]


def _clip(ratio: float) -> float:
    """Within the panel: an end may be 0 or infinite."""
    return min(max(ratio, 1 / _WIDEST), _WIDEST)


def _columns(rows: Sequence[tuple[float, ...]]) -> list[list[float]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]


def _count(times: float) -> str:
    return f"{times:.3g}" if times < 100 else f"{times:,.0f}"


def _mark(rows: Sequence[object]) -> dict[str, Any]:
    """A line of one look is a point, or nobody would see it."""
    return {"marker": "o", "markersize": 6} if len(rows) == 1 else {}


def _times(points: Sequence[RolloutPoint]) -> list[float]:
    """Moments as matplotlib counts them: days since 1970."""
    return [point.at.replace(tzinfo=UTC).timestamp() / _DAY for point in points]


def _legend(panel: "Axes") -> None:
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8, frameon=False, loc="upper left", ncols=6)


def _label_times(panel: "Axes", points: Sequence[RolloutPoint]) -> None:
    import matplotlib.dates

    ticks: Any = matplotlib.dates  # its classes have no types
    locator = ticks.AutoDateLocator(minticks=3, maxticks=7)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ticks.ConciseDateFormatter(locator))
    first, *_, last = [*_times(points)[:1], *_times(points)]
    panel.set_xlim(first, max(last, first + 60 / _DAY))
