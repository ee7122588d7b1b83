"""`python -m benchmarks.decisions_plot FILE`: how soon challengers are called worse, rightly and wrongly, as a PNG."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import decisions_simulated as simulated

SIMULATIONS, LOOKS, SIZE = 2_000, 60, 1_000
EQUAL = (0.05, 0.05)
WORSE = ((0.05, 0.09), (0.05, 0.07), (0.05, 0.06))


def draw(path: Path, simulations: int = SIMULATIONS) -> None:
    """Write the plot: on the left equal challengers, on the right worse ones, at a share of 10 %."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for test, label in ((simulated.z_test, "z-test at each look"), (simulated.exact, "the test that ships")):
        _line(left, simulated.found_at(1, simulations, LOOKS, SIZE, EQUAL, test), label)
    left.axhline(5, color="grey", linestyle="--", linewidth=1, label="promised: at most 5 %")
    left.set_title("Equal challengers that are rolled back (5 % errors)")
    for rates in WORSE:
        label = f"{100 * rates[0]:g} → {100 * rates[1]:g} % errors"
        _line(right, simulated.found_at(2, simulations, LOOKS, SIZE, rates), label)
    right.set_title("Worse challengers that are rolled back")
    right.set_ylim(0, 101)
    for axes in (left, right):
        axes.set_xlabel("looks, each after 1,000 units of which the challenger has 100")
        axes.set_ylabel("% so far")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _line(axes: Any, found: Sequence[int | None], label: str) -> None:  # noqa: ANN401 - matplotlib's
    looks = np.array([look for look in found if look is not None])
    so_far = [100 * float((looks <= look).sum()) / len(found) for look in range(LOOKS + 1)]
    axes.plot(so_far, label=label)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
