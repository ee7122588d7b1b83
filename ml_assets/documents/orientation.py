"""How a page lies, told from the boxes of its lines, and their coordinates as if it lay upright.

A box is four corners `[4, 2]` in pixels, x to the right and y downwards: as read, top left, top right, bottom right,
bottom left. Boxes are `[n, 4, 2]`.
"""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]

_LONG = 1.5  # times as wide as high: which way a line runs is beyond doubt
_WIDE = 5.0  # times as wide as high: its angle is


def sides(boxes: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Widths [n] and heights [n] of boxes, along their own edges."""
    return np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1), np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)


def vertical(boxes: Boxes) -> bool:
    """Whether most of the text, by area, runs up or down the picture."""
    width, height = sides(boxes)
    area = width * height
    return bool(area[height > _LONG * width].sum() > area[width > _LONG * height].sum())


def turn_boxes(boxes: Boxes, size: tuple[int, int], degrees: int) -> Boxes:
    """Boxes as they lie when the picture is turned clockwise, their corners in the order in which they are read then.

    Args:
        boxes: in the picture as it is.
        size: its width and height.
        degrees: 0, 90, 180 or 270.
    """
    x, y = boxes[..., 0], boxes[..., 1]
    width, height = size
    places = {0: (x, y), 90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}
    return as_read(np.stack(places[degrees], axis=-1), degrees)


def as_read(boxes: Boxes, degrees: int) -> Boxes:
    """Boxes in the same places, their first corner where a picture turned by `degrees` has its top left one."""
    return np.asarray(np.roll(boxes, degrees // 90, axis=1), np.float32)


def skew(boxes: Boxes) -> float:
    """Degrees clockwise by which upright text is to be straightened: the median of its lines, weighted by width."""
    width, height = sides(boxes)
    long = width > _WIDE * height
    if not long.any():
        return 0.0
    along = (boxes[:, 1] - boxes[:, 0] + boxes[:, 2] - boxes[:, 3])[long]
    angle = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    order = np.argsort(angle)
    half = np.searchsorted(np.cumsum(width[long][order]), width[long].sum() / 2)
    return -float(angle[order][half])


def straighten_boxes(boxes: Boxes, degrees: float) -> Boxes:
    """Boxes turned clockwise about the origin, as a skewed page is when it is straightened."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.asarray(boxes @ np.array([[cosine, sine], [-sine, cosine]]), np.float32)
