"""The common parts of all pictures: colours, the frame of a panel, names that can be drawn, and the PNG."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ml_assets.errors import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), Color Universal Design: told apart with any colour vision; line styles tell them apart in print.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
GREY, INK = "#8a8a8a", "#333333"


def frame(panel: "Axes", size: float = 8.5, *, grid: bool = True) -> None:
    """Two quiet axes and, behind the marks, a light grid.

    Args:
        panel: of a picture.
        size: of the letters at its ticks, in points.
        grid: whether it has one.
    """
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GREY)
    panel.tick_params(labelsize=size, colors=INK)
    if grid:
        panel.grid(color="#e8e8e8", linewidth=0.7)
    panel.set_axisbelow(True)


def drawable(name: str, most: int = 26) -> str:
    r"""A name as matplotlib takes it: one short line, and no formula between dollar signs.

    >>> drawable("price in $")
    'price in \\$'
    """
    return shorten(" ".join(name.split()), most).replace("$", r"\$")


def png(picture: "Figure") -> bytes:
    """64 colours are a quarter of the bytes; without date and version the same picture is the same file."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(picture)
    reduced = io.BytesIO()
    with _any_letters():
        canvas.draw()  # `savefig` would draw it twice, and write what is only read here
    full = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    few = full.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(reduced, "PNG", optimize=True)
    return reduced.getvalue()


@contextmanager
def _any_letters() -> Iterator[None]:
    """Letters that the font lacks (an emoji, say) are drawn as a box, and not worth a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        yield
