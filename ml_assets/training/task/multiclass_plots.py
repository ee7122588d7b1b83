"""One picture of the evaluation of a model of several classes: confusion, calibration, coverage and importance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.training.explain import Importance
from ml_assets.training.metrics import calibration
from ml_assets.training.plots import GREY, INK, drawable, png
from ml_assets.training.task.binary_plots import STYLES, canvas, importances, labels
from ml_assets.training.task.multiclass import ClassPredictions, pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]


def figure(
    y: "Codes",
    named: Mapping[str, ClassPredictions],
    classes: Sequence[str],
    importance: Mapping[str, Importance],
    title: str,
) -> bytes:
    """A PNG of 900 x 700 pixels, at most about 60 kB.

    Args:
        y: the number of the true class of each test row, [n].
        named: what up to four models say of them; the first is the candidate.
        classes: their names.
        importance: of the candidate.
        title: above the picture.
    """
    picture, axes = canvas(title)
    first = next(iter(named.values()))
    _confusion(axes[0, 0], pairs(y, first.code, len(classes)), classes)
    _calibration(axes[0, 1], first, y)
    _coverage(axes[1, 0], named, y)
    importances(axes[1, 1], importance, "loss of accuracy when shuffled")
    return png(picture)


def _confusion(panel: "Axes", counts: "NDArray[np.float64]", classes: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            ink = "white" if shares[row, column] > 0.55 else INK
            panel.text(column, row, f"{counts[row, column]:,.0f}", ha="center", va="center", fontsize=8.5, color=ink)
    labels(panel, "Rows of each class", "named", "true")
    panel.set_xticks(range(len(classes)), [*map(drawable, classes)], rotation=20, ha="right")
    panel.set_yticks(range(len(classes)), [*map(drawable, classes)])
    panel.grid(visible=False)


def _calibration(panel: "Axes", named: ClassPredictions, y: "Codes") -> None:
    bins = calibration(named.right(y), named.confidence)
    color, line, width = STYLES[0]
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    panel.plot(bins.mean, bins.rate, line, color=color, linewidth=width, marker="o", markersize=3.5)
    low = max(0.0, float(min(bins.mean.min(), bins.rate.min())) - 0.05)
    panel.set(xlim=(low, 1.01), ylim=(low, 1.01))
    labels(panel, f"Calibration ({len(bins.rows)} bins)", "mean confidence", "share of right answers")


def _coverage(panel: "Axes", named: Mapping[str, ClassPredictions], y: "Codes") -> None:
    """Accuracy of the surest share of rows.

    El-Yaniv & Wiener (2010), On the Foundations of Noise-free Selective Classification.
    """
    for (name, model), (color, line, width) in zip(named.items(), STYLES, strict=False):
        order = np.argsort(-model.confidence, kind="stable")
        right = np.cumsum(model.right(y)[order]) / np.arange(1, len(y) + 1)
        legend = f"{name}  accuracy {right[-1]:.3f}"
        panel.plot(np.arange(1, len(y) + 1) / len(y), right, line, color=color, linewidth=width, label=legend)
    labels(panel, "Accuracy of the surest", "share of rows that are answered", "share of right answers")
    panel.set(xlim=(-0.01, 1.01), ylim=(None, 1.01))
    panel.legend(fontsize=8.5, frameon=False, loc="center right")
