"""Reading takes time in proportion to what is read, whatever it is made of, and what is read is bounded."""

import gc
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from ml_assets.documents.document import LIMITS, ReadingLimits, UnreadableError
from ml_assets.documents.read import read
from ml_assets.examples.documents.extract import facts
from ml_assets.search.terms import terms
from ml_assets_tests.documents import made

pytestmark = pytest.mark.timeout(60)

ROOM = ReadingLimits(characters=1 << 30, pages=1 << 30)
SMALL = 1 << 15  # bytes: enough for a quadratic loop to take minutes of four times as many
HEADS = {
    "text": b"x",
    "html": b"<html><body>",
    "preformatted": b"<html><pre>",
    "email": b"From: a\nTo: b\nMIME-Version: 1.0\nMessage-ID: <a@b>\n\n",
    "parts": b"MIME-Version: 1.0\nTo: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n",
    "archived": b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\n",
    "header": b"MIME-Version: 1.0\nTo: a\n",
}
PIECES = (
    b" ",
    b"\t",
    b"\n",
    b"\xa0",
    b"a",
    b" \n",
    b"a\t",
    b"<",
    b"<!---->",
    b"&amp;",
    b"\r",
    b"a: b\n\tc\n",
    b"\xcc\x81",
)


def spent(work: Callable[[], object]) -> float:
    """Seconds of the processor, without those of a collector that walks all that other tests have imported."""
    gc.disable()
    try:
        began = time.process_time()
        with suppress(UnreadableError):  # there may be nothing in it
            work()
        return time.process_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize("head", HEADS)
def test_a_file_of_one_thing_takes_as_long_as_it_is(head: str) -> None:
    for piece in PIECES:
        small, large = (HEADS[head] + piece * (size // len(piece)) + b"x" for size in (SMALL, 4 * SMALL))
        before = spent(lambda content=small: read(content, ROOM))  # type: ignore[misc]
        assert spent(lambda content=large: read(content, ROOM)) < 10 * before + 0.5, piece  # type: ignore[misc]


@pytest.mark.parametrize("look", [facts, terms])
def test_what_is_found_in_a_text_takes_as_long_as_it_is(look: Callable[[str], object]) -> None:
    for piece in (
        *(piece.decode("latin-1") for piece in PIECES),
        "A B ",
        "1,",
        "$1 ",
        "between A and ",
        "By: ___",
        "Dear A ",
    ):
        small, large = (piece * (size // len(piece)) for size in (SMALL, 4 * SMALL))
        before = spent(lambda text=small: look(text))  # type: ignore[misc]
        assert spent(lambda text=large: look(text)) < 10 * before + 0.5, piece  # type: ignore[misc]


@pytest.mark.parametrize("piece", [b"<!---->", b"<!-- --> ", b"<!--", b"<!-- --><!--"])
def test_what_a_file_is_does_not_take_for_ever(piece: bytes) -> None:
    """Two hundred bytes of comments once took longer than anybody waits: each doubled it."""
    assert read(piece * 400 + b"x").kind == "text"
    assert read(b"<?xml version='1.0'?> <!-- a --> <!-- b --><html><body>Hello").kind == "html"


def test_blanks_are_left_out_as_ever() -> None:
    assert read(b"a \t\n b\xc2\xa0 \n\n\n\nc  d\n").text == "a\n b\n\nc  d"
    assert read(b"<html><pre>a \t b\n \t\n\n c </pre>").text == "a\tb\nc"


LONG = {
    "text": b"ab " * 400,
    "html": b"<html><p>" + b"ab " * 400,
    "title": b"<html><title>" + b"ab " * 400 + b"</title><p>x",
}


@pytest.mark.parametrize("name", LONG)
def test_the_characters_of_a_document_are_bounded(name: str) -> None:
    with pytest.raises(UnreadableError, match=r"has 1,\d\d\d characters, more than 1,000: split it") as caught:
        read(LONG[name], ReadingLimits(characters=1000))
    assert caught.value.code == "too-long"
    assert read(LONG[name], ReadingLimits(characters=1300))


def test_a_document_of_pages_is_bounded_as_a_whole() -> None:
    content = made.pdf([made.LEASE] * 5)
    whole = len(read(content).text)
    with pytest.raises(UnreadableError, match="characters"):
        read(content, ReadingLimits(characters=whole // 2))
    assert LIMITS.characters >= 500 * 5000  # as many pages as there may be, full of text
