"""Small pictures of the monitoring reports, as PNG."""

from typing import TYPE_CHECKING, Any

from ml_assets.monitoring.predictions.class_mix import Compared
from ml_assets.spec.names import REVIEW
from ml_assets.training.plots import BLUE, GREY, INK, ORANGE, drawable, frame, png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ml_assets.monitoring.performance.groups import MetricRow
    from ml_assets.monitoring.performance.table import PerformanceReport
    from ml_assets.monitoring.predictions.table import PredictionReport

_CLASSES, _NAME = 10, 24  # how many classes are shown, and how many characters of a name


def performance(report: "PerformanceReport", metric: str, title: str = "") -> bytes:
    """A PNG of 900 x 350 pixels: the metric over the scored as-of dates, and the calibration of the pooled window."""
    picture, (over_time, calibrated) = _canvas(title)
    _over_time(over_time, [row for row in report.history if row.metric == metric and row.value is not None], metric)
    _calibration(calibrated, report.row("calibration_error", "measured"))
    return png(picture)


def predictions(report: "PredictionReport", title: str = "") -> bytes:
    """A PNG: scores beside the reference, and the share of missing and stale values; 900 x 350 pixels.

    Where there are classes, their mix stands between the two: 1350 x 350 pixels.
    """
    parts = (_histogram, _classes, _gaps) if report.classes else (_histogram, _gaps)
    picture, panels = _canvas(title, len(parts))
    for draw, panel in zip(parts, panels, strict=True):
        draw(panel, report)
    return png(picture)


def _canvas(title: str, wide: int = 2) -> "tuple[Figure, Any]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(4.5 * wide, 3.5), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    if title:
        picture.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left", fontweight="bold")
    panels: Any = picture.subplots(1, wide)
    for panel in panels:
        frame(panel, 8)
    return picture, panels


def _labels(panel: "Axes", title: str, x: str, y: str) -> None:
    panel.set_title(title, fontsize=10, loc="left", color=INK)
    panel.set_xlabel(x, fontsize=8.5, color=INK)
    panel.set_ylabel(y, fontsize=8.5, color=INK)


def _empty(panel: "Axes", words: str) -> None:
    panel.set_axis_off()
    panel.text(0.5, 0.5, words, ha="center", color=GREY, fontsize=9.5, transform=panel.transAxes)


def _over_time(panel: "Axes", rows: "Sequence[MetricRow]", metric: str) -> None:
    _labels(panel, f"{metric} of predictions", "scored as-of date", metric)
    if not rows:
        _empty(panel, "neither measured nor estimated yet")
        return
    for kind, color, line in (("estimated", ORANGE, "--"), ("measured", BLUE, "-")):
        ordered = sorted((row for row in rows if row.kind == kind), key=lambda row: row.last)
        days: list[Any] = [row.last for row in ordered]
        values: list[Any] = [row.value for row in ordered]
        panel.plot(days, values, line, color=color, marker="o", markersize=3, label=kind)
        if kind == "measured":
            low: list[Any] = [row.value if row.low is None else row.low for row in ordered]
            high: list[Any] = [row.value if row.high is None else row.high for row in ordered]
            panel.fill_between(days, low, high, color=color, alpha=0.18, linewidth=0)
    promised: list[Any] = sorted({(row.last, row.evaluated) for row in rows if row.evaluated is not None})
    steps: list[Any] = [[each[i] for each in promised] for i in (0, 1)]
    panel.plot(*steps, color=GREY, linewidth=1, label="evaluation", drawstyle="steps-post")
    panel.tick_params(axis="x", rotation=30)
    panel.legend(fontsize=8, frameon=False)


def _calibration(panel: "Axes", row: "MetricRow | None") -> None:
    if row is None or not row.bins:
        _empty(panel, "calibration: no labels are mature yet")
        return
    means, rates = [mean for mean, _, _ in row.bins], [rate for _, rate, _ in row.bins]
    top = max(*means, *rates) * 1.08
    panel.plot([0, top], [0, top], color=GREY, linewidth=1)
    panel.plot(means, rates, color=BLUE, marker="o", markersize=3.5)
    _labels(panel, f"Calibration, measured on {row.rows:,} rows", "mean score", "observed rate")
    panel.set(xlim=(0, top), ylim=(0, top))


def _histogram(panel: "Axes", report: "PredictionReport") -> None:
    if not report.histogram:
        _empty(panel, "nothing was scored")
        return
    edges = [report.histogram[0].low, *(each.high for each in report.histogram)]
    panel.stairs([each.share for each in report.histogram], edges, fill=True, color=BLUE, alpha=0.45, label="scores")
    reference = [each.reference for each in report.histogram]
    panel.stairs(reference, edges, color=ORANGE, linewidth=1.5, label="in the evaluation")
    if report.threshold is not None and report.threshold <= edges[-1]:
        panel.axvline(report.threshold, color=INK, linewidth=1, linestyle=":", label="threshold")
    _labels(panel, f"Scores of {report.rows:,} entities", "score", "share of entities")
    panel.legend(fontsize=8, frameon=False)


def _classes(panel: "Axes", report: "PredictionReport") -> None:
    """The largest classes, the most frequent one on top; below them what goes to review, which is of all classes."""
    order = sorted(report.classes, key=lambda each: (-_largest(each), each.name))
    classes = [*order[:_CLASSES], Compared(REVIEW, report.review_share, report.reference_review_share)][::-1]
    places, now = range(len(classes)), [each.share or 0 for each in classes]
    bars = panel.barh(places, now, color=[GREY, *[BLUE] * (len(classes) - 1)], alpha=0.6)
    style: Any = {"color": ORANGE, "marker": "D", "markersize": 5, "linestyle": "none", "clip_on": False}
    (marks,) = panel.plot([each.reference or 0 for each in classes], places, **style)
    panel.set_yticks(places, [drawable(each.name, _NAME) for each in classes])
    panel.grid(visible=False, axis="y")
    panel.set(xlim=(0, min(1, 1.08 * max(map(_largest, classes)))))
    some = f"{_CLASSES} of {len(order)} classes" if len(order) > _CLASSES else "Classes named"
    _labels(panel, some, "share of entities", "")
    above: Any = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.97), "ncols": 2, "columnspacing": 1}
    panel.legend([bars[-1], marks], ["now", "in the evaluation"], fontsize=8, frameon=False, **above)


def _largest(of: Compared) -> float:
    return max(of.share or 0, of.reference or 0)


def _gaps(panel: "Axes", report: "PredictionReport") -> None:
    shares = [*((each.name, each.share, BLUE) for each in report.missing),
              *((f"{each.name} (stale)", each.share, ORANGE) for each in report.stale)]  # fmt: skip
    largest = sorted(shares, key=lambda each: (-each[1], each[0]))[:10][::-1]
    if not largest:
        _empty(panel, "no features")
        return
    places = range(len(largest))
    panel.set_yticks(places, [drawable(name) for name, _, _ in largest])
    panel.barh(places, [share for _, share, _ in largest], color=[color for *_, color in largest])
    panel.grid(visible=False, axis="y")
    panel.set(xlim=(0, 1))
    _labels(panel, "Missing values, stale views", "share of entities", "")
