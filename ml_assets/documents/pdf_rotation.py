"""Pages of a PDF whose text runs up, down or upside down, as when a landscape table is printed on portrait paper.

PDFium parts lines by their places as if each ran to the right: of others the words at line ends are fused, and lines
come in reverse. So a page is turned until its text lies upright, whatever the page says about its own rotation; where
it holds text of several directions, each is read upright by itself, the most frequent one first.
"""

from collections import Counter
from contextlib import closing
from math import degrees
from typing import Any

_SAMPLED = 400  # characters of a page whose direction is asked; a longer run of another direction is not missed
_NOT_A_LETTER = " \t\r\n\0\ufffe"
Pdf = Any  # pypdfium2 ships no types


def upright(pdf: Pdf, page: Pdf, number: int) -> tuple[Pdf, str]:
    """A page of a document, turned so that most of its text lies upright, and its text.

    Args:
        pdf: open; the page is changed in memory.
        page: its page of this number, which is closed where another stands in its place.
        number: from 0.
    """
    directions = _directions(page)
    if not directions or not (any(directions) or page.get_rotation()):
        return page, _straight(page)
    main, texts, turned = next(iter(directions)), [], 0
    for direction in directions:
        page, turned = _turned(pdf, page, number, (direction - turned) % 360), direction
        texts.append(_upright_only(page) if len(directions) > 1 else _straight(page))
    return _turned(pdf, page, number, (main - turned) % 360), "\n".join(texts)


def _straight(page: Pdf) -> str:
    """What lies within the page, of text that runs to the right."""
    with closing(page.get_textpage()) as text:
        return str(text.get_text_bounded())


def _directions(page: Pdf) -> dict[int, int]:
    """Of a sample of the characters: degrees clockwise by which they are turned → how many; the most frequent first."""
    with closing(page.get_textpage()) as text:
        count = text.count_chars()
        directions = (_direction(text, place) for place in range(0, count, max(1, count // _SAMPLED)))
        return dict(Counter(direction for direction in directions if direction is not None).most_common())


def _direction(text: Pdf, place: int) -> int | None:
    """Of a character to the next right angle; None of white space, and of what PDFium put in."""
    from pypdfium2 import raw

    angle = raw.FPDFText_GetCharAngle(text.raw, place)
    if angle < 0 or raw.FPDFText_IsGenerated(text.raw, place) == 1 or _letter(text, place) in _NOT_A_LETTER:
        return None
    return round(degrees(angle) / 90) % 4 * 90


def _letter(text: Pdf, place: int) -> str:
    from pypdfium2 import raw

    return chr(raw.FPDFText_GetUnicode(text.raw, place))


def _turned(pdf: Pdf, page: Pdf, number: int, direction: int) -> Pdf:
    """The page with all that is on it turned back by `direction`; its own rotation counts no more."""
    from pypdfium2 import raw

    if not direction and not page.get_rotation():
        return page
    left, bottom, right, top = page.get_cropbox()
    width, height = (top - bottom, right - left) if direction % 180 else (right - left, top - bottom)
    matrix = {
        0: (1, 0, 0, 1, -left, -bottom),
        90: (0, 1, -1, 0, top, -left),
        180: (-1, 0, 0, -1, right, top),
        270: (0, -1, 1, 0, -bottom, right),
    }[direction]
    page.set_rotation(0)
    raw.FPDFPage_TransFormWithClip(page.raw, raw.FS_MATRIX(*matrix), raw.FS_RECTF(0, height, width, 0))
    for set_box in (page.set_mediabox, page.set_cropbox):
        set_box(0, 0, width, height)
    page.close()
    return pdf[number]


def _upright_only(page: Pdf) -> str:
    """The characters that run to the right, lines as PDFium parts them; others part a line, too."""
    parts: list[str] = []
    with closing(page.get_textpage()) as text:
        for place in range(text.count_chars()):
            direction = _direction(text, place)
            if direction in {0, None}:
                parts.append(_letter(text, place))
            elif parts and parts[-1] != "\n":
                parts.append("\n")
    return "".join(parts).replace("\0", "")
