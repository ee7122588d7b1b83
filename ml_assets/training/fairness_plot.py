"""One picture of a fairness report: each group's difference to all others, with its interval and the limit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.decisions.fairness import BASE_RATE, FairnessPolicy
from ml_assets.decisions.group_rates import GroupDifference
from ml_assets.training.plots import BLUE, GREY, INK, ORANGE, drawable, frame, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 24
"""Groups that are drawn, the largest of each attribute first."""


def figure(differences: Sequence[GroupDifference], policy: FairnessPolicy, title: str) -> bytes:
    """A PNG, a panel for each metric; the same report gives the same file.

    Args:
        differences: of every group and metric; one or more.
        policy: whose limit is drawn where it judges.
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = [*dict.fromkeys(each.metric for each in differences if each.metric != BASE_RATE)]
    groups = [*dict.fromkeys(each.group for each in differences)][:_MOST]
    picture = Figure(
        figsize=(2.6 * len(metrics) + 1.4, 1.3 + 0.27 * max(3, len(groups))), dpi=100, layout="constrained"
    )
    FigureCanvasAgg(picture)
    picture.suptitle(drawable(title, 100), fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    panels = picture.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        limit = policy.at_most if metric in policy.metrics else None
        of = {each.group: each for each in differences if each.metric == metric}
        _draw(panel, metric, [of[group] for group in groups], limit, policy.level)
    panels[0].set_yticks(range(len(groups)), [drawable(f"{group.name} ({group.entities:,})", 30) for group in groups])
    panels[0].set_ylim(len(groups) - 0.4, -0.6)
    return png(picture)


def _draw(
    panel: "Axes", metric: str, differences: Sequence[GroupDifference], limit: float | None, level: float
) -> None:
    """What is different beyond chance is a filled orange mark, what may be chance a hollow blue one."""
    frame(panel)
    panel.axvline(0.0, color=GREY, linewidth=1)
    if limit is not None:
        panel.axvspan(-limit, limit, color=GREY, alpha=0.15, linewidth=0)
    words = "shown only" if limit is None else f"limit ±{limit:g}"
    panel.set_title(f"{drawable(metric)}, {words}", fontsize=9.5, loc="left", color=INK)
    for place, each in enumerate(differences):
        if each.interval is None or each.p is None:
            panel.text(0.0, place, "too small", ha="center", va="center", fontsize=7.5, color=GREY)
            continue
        color, ends = (ORANGE if each.p <= level else BLUE), each.interval
        reach = [[ends.estimate - ends.low], [ends.high - ends.estimate]]
        face = color if each.p <= level else "white"
        panel.errorbar(
            [ends.estimate], [place], xerr=reach, fmt="o", color=color, markerfacecolor=face, markersize=5, capsize=2.5
        )
