"""Lines are read in order, wherever they stand; no line is lost."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.documents.decode import Decode
from ml_assets.documents.document import Page
from ml_assets.documents.layout import TextLine, reading_order_text
from ml_assets.documents.orientation import Boxes, skew, straighten_boxes, turn_boxes, vertical
from ml_assets.documents.pdf_text_layer import doubtful, english, is_broken, prefers_ocr
from ml_assets_tests.documents import made

CHARACTERS = ["blank", *"abcdefgh", " "]
PLACES = st.tuples(st.integers(0, 800), st.integers(0, 1000), st.integers(5, 400), st.integers(8, 40))


def line(text: str, left: float, top: float, width: float, height: float = 20) -> TextLine:
    return TextLine(text, 1.0, left, top, left + width, top + height)


@given(places=st.lists(PLACES, max_size=30))
def test_every_line_is_read_once(places: list[tuple[int, int, int, int]]) -> None:
    lines = [line(f"w{number}", *place) for number, place in enumerate(places)]
    assert Counter(reading_order_text(lines).split()) == Counter(line.text for line in lines)


def test_columns_are_read_one_after_the_other_below_their_heading() -> None:
    left = [line(f"left{row}", 100, 200 + 30 * row, 300) for row in range(6)]
    right = [line(f"right{row}", 450, 203 + 30 * row, 300) for row in range(6)]
    heading, footer = line("heading", 150, 100, 500), line("footer", 300, 500, 300)
    read = reading_order_text([*right, footer, *left, heading]).split("\n")
    assert read == ["heading", *(item.text for item in left), *(item.text for item in right), "footer"]


def test_rows_of_a_table_and_numbered_items_stay_rows() -> None:
    items = [line(f"({row})", 100, 100 + 30 * row, 30) for row in range(5)]
    texts = [line(f"text{row}", 150, 101 + 30 * row, 500) for row in range(5)]
    prices = [line(f"{row}.00", 700, 99 + 30 * row, 40) for row in range(5)]
    read = reading_order_text([*prices, *texts, *items]).split("\n")
    assert read == [f"({row}) text{row} {row}.00" for row in range(5)]


def lying(count: int = 12) -> Boxes:
    """Boxes of upright lines on a page of 800 × 1000."""
    tops, widths = 50 + 40 * np.arange(count), 300 + 20 * np.arange(count)
    corners = [[(60, top), (60 + wide, top), (60 + wide, top + 20), (60, top + 20)]
               for top, wide in zip(tops, widths, strict=True)]  # fmt: skip
    return np.array(corners, np.float32)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turning_back_and_forth_leaves_boxes_where_they_were(degrees: int) -> None:
    there = turn_boxes(lying(), (800, 1000), degrees)
    size = (1000, 800) if degrees in {90, 270} else (800, 1000)
    np.testing.assert_allclose(turn_boxes(there, size, (360 - degrees) % 360), lying(), atol=1e-3)


@pytest.mark.parametrize("degrees", [90, 270])
def test_lines_that_run_up_or_down_are_told(degrees: int) -> None:
    assert vertical(turn_boxes(lying(), (800, 1000), degrees))
    assert not vertical(lying())


@given(degrees=st.floats(-8, 8))
def test_the_skew_of_a_tilted_page_is_found(degrees: float) -> None:
    assert skew(straighten_boxes(lying(), degrees)) == pytest.approx(-degrees, abs=0.05)


def columns(text: str, spaces: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """What a model says that is sure of each character, with a blank after it, and shy of spaces."""
    rows = []
    for sign in text:
        sure = np.zeros(len(CHARACTERS), np.float32)
        if sign == " ":
            sure[0], sure[-1] = 1 - spaces, spaces
        else:
            sure[CHARACTERS.index(sign)] = 1
        blank = np.zeros(len(CHARACTERS), np.float32)
        blank[0] = 1
        rows += [sure, blank]
    return np.array(rows, np.float32).reshape(-1, len(CHARACTERS))


@given(text=st.text("abcdefgh ", max_size=30), spaces=st.sampled_from([0.3, 0.6, 1.0]))
def test_what_the_model_is_sure_of_is_decoded_with_spaces_that_it_is_shy_of(text: str, spaces: float) -> None:
    decoded, _ = Decode(CHARACTERS)(columns(text, spaces))
    assert decoded == " ".join(text.split())


def test_a_line_of_blanks_is_nothing() -> None:
    assert Decode(CHARACTERS)(columns(" ", 0.0)) == ("", 0.0)


def shifted(text: str) -> str:
    """As a font gives it whose characters are numbered otherwise than Unicode's."""
    return "".join(chr(33 + (ord(sign) - 33 + 29) % 94) if sign > " " else sign for sign in text)


LEASE = "\n".join(made.LEASE)
FRENCH = "Le locataire paie un loyer mensuel de mille euros, payable le premier jour de chaque mois civil. " * 2


def test_a_layer_is_trusted_unless_something_speaks_against_it() -> None:
    assert english(LEASE)
    assert not doubtful(LEASE, covered=0.0, hidden=False)
    assert not doubtful(LEASE, covered=1.0, hidden=False)
    assert doubtful("", covered=0.0, hidden=False)
    assert doubtful("Received 2024-03-01", covered=1.0, hidden=False)
    assert doubtful(shifted(LEASE), covered=0.0, hidden=False)
    assert doubtful(LEASE.replace("e", "\ue012"), covered=0.0, hidden=False)


def seen(text: str, confidence: float = 0.95) -> Page:
    return Page(text, "ocr", confidence)


def test_the_picture_overrules_gibberish_but_not_another_language() -> None:
    assert prefers_ocr("", seen(LEASE), hidden=False)
    assert prefers_ocr(shifted(LEASE), seen(LEASE), hidden=False)
    assert prefers_ocr("Received 2024-03-01", seen(LEASE), hidden=False)
    assert not prefers_ocr(FRENCH, seen(FRENCH.replace("loyer", "lover")), hidden=False)
    assert not prefers_ocr(FRENCH, seen("Jle Jocafarje qaje nn lover"), hidden=False)
    assert is_broken("a\ufffdb")


def test_of_two_ocrs_ours_stands_where_it_is_confident() -> None:
    assert doubtful(LEASE, covered=1.0, hidden=True)
    assert prefers_ocr(LEASE, seen(LEASE.replace("rent", "rant")), hidden=True)
    assert not prefers_ocr(LEASE, seen(LEASE, confidence=0.6), hidden=True)
    assert not prefers_ocr(LEASE, seen("RESIDENTIAL LEASE"), hidden=True)
