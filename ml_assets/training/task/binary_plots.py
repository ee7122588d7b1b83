"""One picture of an evaluation: ranking, calibration, gains and importance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.training.explain import Importance
from ml_assets.training.metrics import Curves
from ml_assets.training.plots import BLUE, GREEN, GREY, INK, ORANGE, PINK, drawable, frame, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ((BLUE, "-", 2.2), (ORANGE, "--", 1.7), (GREEN, "-.", 1.7), (PINK, ":", 1.9))
_FEATURES = 10


def figure(curves: Mapping[str, Curves], importance: Mapping[str, Importance] | None = None, title: str = "") -> bytes:
    """A PNG of 900 x 700 pixels, at most about 60 kB.

    Args:
        curves: up to four score vectors by name; the first is the candidate, the others stand beside it.
        importance: of the candidate; without it the fourth quarter says so.
        title: above the picture.

    Raises:
        TrainingError: no curves, or more than four.
    """
    if not 1 <= len(curves) <= len(STYLES):
        raise TrainingError(f"{len(curves)} score vectors in one picture: pass one to {len(STYLES)}")
    picture, axes = canvas(title)
    _roc(axes[0, 0], curves)
    _calibration(axes[0, 1], curves)
    _gains(axes[1, 0], curves)
    importances(axes[1, 1], importance or {})
    return png(picture)


def canvas(title: str) -> "tuple[Figure, Any]":
    """An empty picture of two rows of two panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    picture = Figure(figsize=(9, 7), dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    FigureCanvasAgg(picture)
    if title:
        picture.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    # Each row has its own layout: the names of features then take no room from the plots above them.
    rows: Any = picture.subfigures(2, 1)
    axes = np.array([row.subplots(1, 2) for row in rows])
    for panel in axes.flat:
        frame(panel)
    return picture, axes


def labels(panel: "Axes", title: str, x: str, y: str) -> None:
    """Write the title of a panel and of its axes.

    Args:
        panel: of a picture.
        title: of the panel.
        x: of the horizontal axis.
        y: of the vertical axis.
    """
    panel.set_title(title, fontsize=10.5, loc="left", color=INK)
    panel.set_xlabel(x, fontsize=9, color=INK)
    panel.set_ylabel(y, fontsize=9, color=INK)


def _roc(panel: "Axes", curves: Mapping[str, Curves]) -> None:
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for (name, each), (color, line, width) in zip(curves.items(), STYLES, strict=False):
        panel.plot(each.fpr, each.tpr, line, color=color, linewidth=width, label=f"{name}  AUC {each.roc_auc:.3f}")
    labels(panel, "Ranking (ROC)", "false positive rate", "true positive rate")
    _unit(panel)
    panel.legend(fontsize=8.5, frameon=False, loc="lower right")


def _calibration(panel: "Axes", curves: Mapping[str, Curves]) -> None:
    top = max(float(max(c.calibration.mean.max(), c.calibration.rate.max())) for c in curves.values()) * 1.08
    panel.plot([0, top], [0, top], color=GREY, linewidth=1)
    for (name, each), (color, line, width) in zip(curves.items(), STYLES, strict=False):
        bins = each.calibration
        panel.plot(bins.mean, bins.rate, line, color=color, linewidth=width, marker="o", markersize=3.5, label=name)
    first = next(iter(curves.values())).calibration
    few, many = int(first.rows.min()), int(first.rows.max())
    rows = f"{many:,}" if few == many else f"{few:,} to {many:,}"
    labels(panel, f"Calibration ({len(first.rows)} bins of {rows} rows)", "mean score", "observed rate")
    panel.set(xlim=(0, top), ylim=(0, top))
    panel.legend(fontsize=8.5, frameon=False, loc="upper left")


def _gains(panel: "Axes", curves: Mapping[str, Curves]) -> None:
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for (name, each), (color, line, width) in zip(curves.items(), STYLES, strict=False):
        lift = float(np.interp(0.1, each.share, each.captured)) / 0.1
        panel.plot(
            each.share,
            each.captured,
            line,
            color=color,
            linewidth=width,
            label=f"{name}  top 10 %: lift {lift:.2f}",
        )
    panel.axvline(0.1, color=GREY, linewidth=0.8, linestyle=":")
    base = next(iter(curves.values())).base_rate
    labels(
        panel,
        f"Gains (base rate {base:.3f})",
        "share of rows, highest scores first",
        "share of positives found",
    )
    _unit(panel)
    panel.legend(fontsize=8.5, frameon=False, loc="lower right")


def _unit(panel: "Axes") -> None:
    panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def importances(
    panel: "Axes", importance: Mapping[str, Importance], unit: str = "loss of ROC AUC when shuffled"
) -> None:
    """The ten features that matter most, with the standard deviation of their importance."""
    labels(panel, "Permutation importance", unit, "")
    if not importance:
        panel.set_axis_off()
        panel.text(0.5, 0.5, "not measured", ha="center", color=GREY, fontsize=10, transform=panel.transAxes)
        return
    top = sorted(importance.items(), key=lambda item: (-item[1].mean, item[0]))[:_FEATURES][::-1]
    places = range(len(top))
    panel.set_yticks(places, [drawable(name) for name, _ in top])
    panel.barh(
        places,
        [each.mean for _, each in top],
        xerr=[each.std for _, each in top],
        color=STYLES[0][0],
        height=0.62,
        error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2},
    )
    panel.grid(visible=False, axis="y")
    panel.axvline(0, color=GREY, linewidth=1)
    if len(importance) > len(top):
        panel.set_title(
            f"Permutation importance (top {len(top)} of {len(importance)})",
            fontsize=10.5,
            loc="left",
            color=INK,
        )
