"""One picture of a replay: the realised metric over time, who retrained when, and the area that each policy lost."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import cycle
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.metric import METRICS
from ml_assets.replay.result import Replay
from ml_assets.training.plots import BLUE, GREEN, INK, ORANGE, PINK, SKY, YELLOW, frame, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, INK)
_LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)))
_ROW = 0.36  # inches of a policy's row
_EPOCH = date(1970, 1, 1)

Look = tuple[str, Any]
"""The colour and the line style of a policy."""


def figure(replay: Replay) -> bytes:
    """A PNG, 1000 pixels wide; the same replay gives the same file."""
    order = _order(replay)
    looks = _looks(replay, order)
    picture, (compared, beside, ticks, bars) = _canvas(len(order))
    _title(picture, replay)
    _series(compared, replay, replay.metric, looks)
    compared.legend(fontsize=8.5, frameon=False, loc="best", ncols=3)
    _series(beside, replay, replay.beside, looks)
    _retrainings(ticks, replay, order, looks)
    _lost(bars, replay, order, looks)
    return png(picture)


def _order(replay: Replay) -> list[str]:
    """The policies, those that lost least first."""
    return sorted(replay.walks, key=lambda name: replay.costs[name].lost)


def _looks(replay: Replay, order: Sequence[str]) -> dict[str, Look]:
    """Colour and line of each policy; policies whose metric is the same at every date share one line."""
    styles = zip(cycle(_COLORS), cycle(_LINES), strict=False)
    looks: dict[tuple[float | None, ...], Look] = {}
    for name in order:
        series = tuple(replay.walks[name].values(replay.metric))
        if series not in looks:
            looks[series] = next(styles)
    return {name: looks[tuple(replay.walks[name].values(replay.metric))] for name in order}


def _canvas(policies: int) -> "tuple[Figure, tuple[Axes, Axes, Axes, Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights = (2.9, 2.0, _ROW * policies + 0.7)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03)
    picture = Figure(figsize=(10, sum(heights) + 0.3), dpi=100, layout=layout)
    FigureCanvasAgg(picture)
    grid = picture.add_gridspec(3, 2, height_ratios=heights, width_ratios=(1.7, 1))
    compared = picture.add_subplot(grid[0, :])
    beside = picture.add_subplot(grid[1, :], sharex=compared)
    ticks = picture.add_subplot(grid[2, 0])
    bars = picture.add_subplot(grid[2, 1], sharey=ticks)
    for panel in (compared, beside, ticks, bars):
        frame(panel, grid=False)
    return picture, (compared, beside, ticks, bars)


def _title(picture: "Figure", replay: Replay) -> None:
    title = f"{replay.model}: retraining policies, replayed from {replay.dates[0]} to {replay.dates[-1]}"
    picture.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")


def _series(panel: "Axes", replay: Replay, metric: str, looks: Mapping[str, Look]) -> None:
    """One line for each different course, the policy that lost most at the bottom."""
    shared: dict[Look, list[str]] = {}
    for name, look in looks.items():
        shared.setdefault(look, []).append(name)
    for depth, ((color, line), names) in enumerate(shared.items()):
        values = [float("nan") if value is None else value for value in replay.walks[names[0]].values(metric)]
        panel.plot(
            _numbers(replay.dates), values, color=color, linestyle=line, linewidth=1.9, marker="o", markersize=2.6,
            label=" = ".join(names), zorder=3 - depth / len(shared),
        )  # fmt: skip
    better = "higher" if METRICS[metric].direction > 0 else "lower"
    _labels(panel, f"Realised {metric} of the champion of each date ({better} is better)")
    panel.grid(color="#e8e8e8", linewidth=0.7)
    _dates(panel, replay)


def _retrainings(panel: "Axes", replay: Replay, order: Sequence[str], looks: Mapping[str, Look]) -> None:
    for row, name in enumerate(order):
        panel.axhline(row, color="#e8e8e8", linewidth=0.8, zorder=0)
        for shipped, marker in ((True, "|"), (False, "x")):
            days = [s.as_of for s in replay.walks[name].retrainings if s.training and s.training.shipped is shipped]
            size = 110 if shipped else 26
            panel.scatter(
                _numbers(days), [row] * len(days), s=size, marker=marker, color=looks[name][0], linewidths=1.8
            )
    refused = any(walk.refused for walk in replay.walks.values())
    _labels(panel, f"Retrainings{' (x: refused by a gate)' if refused else ''}")
    panel.set_yticks(range(len(order)), order)
    panel.set_ylim(len(order) - 0.4, -0.6)
    for label, name in zip(panel.get_yticklabels(), order, strict=True):
        label.set_color(looks[name][0])
        label.set_fontsize(9.5)
    panel.tick_params(axis="y", length=0)
    _dates(panel, replay)


def _lost(panel: "Axes", replay: Replay, order: Sequence[str], looks: Mapping[str, Look]) -> None:
    areas = [replay.costs[name].lost for name in order]
    panel.barh(range(len(order)), areas, color=[looks[name][0] for name in order], height=0.55)
    for row, name in enumerate(order):
        walk = replay.walks[name]
        done = f"{len(walk.retrainings)} trained, {walk.seconds:.0f} s" if walk.retrainings else "none trained"
        panel.annotate(
            f"{areas[row]:.3f}  ({done})", (areas[row], row),
            xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    _labels(panel, f"Area lost, {replay.metric} × weeks")
    panel.set_xlim(0, max([*areas, 1e-9]) * 2.2)
    panel.locator_params(axis="x", nbins=5)
    panel.tick_params(axis="y", length=0, labelleft=False)
    panel.grid(color="#e8e8e8", linewidth=0.7, axis="x")


def _dates(panel: "Axes", replay: Replay) -> None:
    import matplotlib.dates

    ticks: Any = matplotlib.dates  # its classes have no types
    locator = ticks.AutoDateLocator(minticks=3, maxticks=9)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ticks.ConciseDateFormatter(locator))
    first, last, until = _numbers([replay.dates[0], replay.dates[-1], replay.until])
    panel.set_xlim(first - (until - last) / 2, until)


def _numbers(days: Sequence[date]) -> list[float]:
    """Dates as matplotlib counts them: days since 1970."""
    return [float((day - _EPOCH).days) for day in days]


def _labels(panel: "Axes", title: str) -> None:
    panel.set_title(title, fontsize=10.5, loc="left", color=INK)
