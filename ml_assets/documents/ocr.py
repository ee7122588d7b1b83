"""Text from the picture of a page, however it lies: RapidOCR finds the lines, `recognise` reads them.

The models come inside RapidOCR's wheel; nothing is downloaded. No picture is turned: each line is cut out along its own
box, with the corner first that is its top left when the page lies upright, and the order of lines is found on turned
coordinates. So a page is straightened without being looked at twice, and without the blur of being turned.
"""

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.documents.document import Page
from ml_assets.documents.layout import TextLine, reading_order_text
from ml_assets.documents.orientation import Boxes, as_read, sides, skew, straighten_boxes, turn_boxes, vertical
from ml_assets.documents.picture import Grey
from ml_assets.documents.plain_text import tidy
from ml_assets.documents.recognise import Recogniser, recogniser

if TYPE_CHECKING:
    from rapidocr import RapidOCR

_SIDE = 2400  # pixels of the longer side; 200 dots an inch of A4 have 2,339
_DETECTED_SIDE = 1280  # pixels of the longer side when lines are looked for; they are read from the full picture
_INK, _PAPER = 0.1, 90  # percentiles of the grey values
_CONTRAST = 24  # between them; an empty page has less
_ISOLATED, _SPECKLED = 40, 0.001  # grey values that make a speck, and the share of specks that is worth a filter
_SURE = 0.9  # mean confidence of lines that are certainly not read upside down
_SAMPLE = 8  # widest lines that are read both ways where that is in doubt
_LEAST = 0.5  # confidence of a line below which it is a smudge
_READING = threading.Lock()  # the models use all their threads for one page


def read_picture(picture: Grey, threads: int = 2) -> Page:
    """The text of a page's picture.

    Args:
        picture: [height, width], 0 = black.
        threads: of the models, at most the number of processors.
    """
    enhanced = enhance_contrast(limit_size(picture))
    if enhanced is None:
        return Page("", "ocr", 0.0)
    with _READING:
        boxes = boxes_in(enhanced, threads)
        return _read(enhanced, boxes, recogniser(threads)) if len(boxes) else Page("", "ocr", 0.0)


def limit_size(picture: Grey) -> Grey:
    """A picture of at most 2,400 pixels a side: more costs time and is not read better."""
    import cv2

    height, width = picture.shape
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def enhance_contrast(picture: Grey) -> Grey | None:
    """A picture without speckle whose ink is black and whose paper is white; None for an empty page."""
    import cv2

    clean = np.asarray(cv2.medianBlur(picture, 3), np.uint8)
    ink, paper = np.percentile(clean[::2, ::2], (_INK, _PAPER))
    ink = ink if paper - ink >= _CONTRAST else clean.min()  # a single line of text is less than a thousandth of a page
    if paper - ink < _CONTRAST:
        return None
    cleaned = clean if speckle(picture) > _SPECKLED else picture  # the filter costs thin strokes of what needs none
    stretched = (cleaned.astype(np.float32) - ink) * (255 / (paper - ink))
    return np.asarray(np.clip(stretched, 0, 255), np.uint8)


def speckle(picture: Grey) -> float:
    """Share of the pixels that differ much from all eight around them: dust and noise, never a stroke of a letter."""
    import cv2

    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    darker = cv2.subtract(cv2.erode(picture, ring), picture)
    lighter = cv2.subtract(picture, cv2.dilate(picture, ring))
    return float((np.maximum(darker, lighter) > _ISOLATED).mean())


def boxes_in(picture: Grey, threads: int) -> Boxes:
    """The boxes of the lines in a picture, [n, 4, 2]."""
    colour = np.repeat(picture[:, :, None], 3, axis=2)
    detected: Any = detector(threads)(colour, use_det=True, use_cls=False, use_rec=False)
    return np.zeros((0, 4, 2), np.float32) if detected.boxes is None else np.asarray(detected.boxes, np.float32)


@functools.cache
def detector(threads: int) -> "RapidOCR":
    """The model that finds lines, loaded at its first call."""
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(threads)
    return RapidOCR(
        params={
            "Global.log_level": "critical",  # "nothing found" is no warning to us
            "Global.max_side_len": _SIDE,
            "Det.limit_type": "max",
            "Det.limit_side_len": _DETECTED_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
    )


def _read(picture: Grey, boxes: Boxes, model: Recogniser) -> Page:
    rotation = 90 if vertical(boxes) else 0
    lines = _said(picture, as_read(boxes, rotation), model)
    if _mean(lines) < _SURE and _upside_down(picture, as_read(boxes, rotation), model):
        rotation += 180
        lines = _said(picture, as_read(boxes, rotation), model)
    return _page(turn_boxes(boxes, (picture.shape[1], picture.shape[0]), rotation), lines, rotation)


def _page(boxes: Boxes, said: Sequence[tuple[str, float]], rotation: int) -> Page:
    degrees = skew(boxes)
    places = straighten_boxes(boxes, degrees)
    low, high = places.min(axis=1), places.max(axis=1)
    lines = [
        TextLine(text, score, *map(float, (*low[i], *high[i])))
        for i, (text, score) in enumerate(said)
        if text and score >= _LEAST
    ]
    confidence = _mean([(line.text, line.score) for line in lines])
    return Page(tidy(reading_order_text(lines)), "ocr", confidence, rotation, round(degrees, 2))


def _said(picture: Grey, boxes: Boxes, model: Recogniser) -> list[tuple[str, float]]:
    return model([_cut(picture, box) for box in boxes])


def _cut(picture: Grey, box: Any) -> Grey:  # noqa: ANN401 - an array of one box
    """A line as an upright picture."""
    import cv2

    width, height = (max(1, round(float(side[0]))) for side in sides(box[None]))
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    change = cv2.getPerspectiveTransform(box, upright)
    cut = cv2.warpPerspective(picture, change, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, dtype=np.uint8)


def _upside_down(picture: Grey, boxes: Boxes, model: Recogniser) -> bool:
    """Whether the widest lines are read with more confidence when they are turned over."""
    widest = boxes[np.argsort(-sides(boxes)[0])[:_SAMPLE]]
    here, there = (_mean(_said(picture, way, model)) for way in (widest, as_read(widest, 180)))
    return there > here


def _mean(said: Sequence[tuple[str, float]]) -> float:
    """Mean confidence, weighted by characters; 0 without any."""
    characters = sum(len(text) for text, _ in said)
    return min(1.0, sum(len(text) * score for text, score in said) / max(characters, 1))
