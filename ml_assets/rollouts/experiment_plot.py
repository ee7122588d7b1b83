"""One picture of an experiment: each variant's difference to the control over time, and by day since the exposure."""

from collections.abc import Sequence
from datetime import UTC
from itertools import cycle
from typing import TYPE_CHECKING

from ml_assets.rollouts.experiment_report import ExperimentReport
from ml_assets.training.plots import BLUE, GREEN, GREY, INK, PINK, drawable, frame, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ml_assets.decisions.interval import Interval

_COLORS = (BLUE, GREEN, PINK)
_DAY = 86_400


def figure(title: str, metric: str, reports: Sequence[ExperimentReport]) -> bytes:
    """A PNG, 1000 pixels wide; the same reports give the same file.

    Args:
        title: which experiment, and how it stands.
        metric: by which it is decided.
        reports: the measurements, in order; one or more.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(10, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    picture.suptitle(drawable(title, 100), fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    over_time, by_day = picture.subplots(1, 2)
    control, *others = [variant.name for variant in reports[-1].variants]
    for panel, words in ((over_time, "over time"), (by_day, "by day since the exposure")):
        frame(panel)
        panel.axhline(0.0, color=GREY, linewidth=1)
        panel.set_title(
            f"{drawable(metric)} a unit, minus that of {control}, {words}", fontsize=9.5, loc="left", color=INK
        )
    for name, color in zip(others, cycle(_COLORS), strict=False):
        _draw(over_time, *_history(reports, name), name, color)
        days = reports[-1].by_day.get(name, ())
        _draw(by_day, [float(day) for day in range(1, len(days) + 1)], days, name, color)
    _label_times(over_time)
    by_day.xaxis.get_major_locator().set_params(integer=True)
    if not reports[-1].by_day:
        by_day.set_axis_off()
        by_day.text(0.5, 0.5, "no unit's window has passed", ha="center", color=GREY, transform=by_day.transAxes)
    return png(picture)


def _history(reports: Sequence[ExperimentReport], name: str) -> "tuple[list[float], list[Interval]]":
    """Moments as matplotlib counts them, days since 1970, and the interval of each."""
    effects = [
        (report.at.replace(tzinfo=UTC).timestamp() / _DAY, effect.interval)
        for report in reports
        for effect in report.effects
        if effect.name == name
    ]
    return [time for time, _ in effects], [interval for _, interval in effects]


def _draw(panel: "Axes", places: Sequence[float], intervals: "Sequence[Interval]", name: str, color: str) -> None:
    """The interval as a band, or as a bar where there is one only."""
    estimates = [each.estimate for each in intervals]
    panel.fill_between(
        places, [each.low for each in intervals], [each.high for each in intervals], color=color, alpha=0.18
    )
    panel.plot(places, estimates, color=color, marker="o", markersize=3, linewidth=1.6, label=name)
    if len(intervals) == 1:
        only = intervals[0]
        panel.errorbar(
            places, estimates, [[only.estimate - only.low], [only.high - only.estimate]], color=color, capsize=3
        )
    if estimates:
        panel.legend(fontsize=8, frameon=False, loc="upper left")


def _label_times(panel: "Axes") -> None:
    import matplotlib.dates

    locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
