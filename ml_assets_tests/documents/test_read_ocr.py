"""Pictures are read whatever way they lie, and a text layer only where it says what the page shows."""

import functools
from pathlib import Path

import numpy as np
import pytest

from ml_assets.documents.document import Page
from ml_assets.documents.ocr import read_picture
from ml_assets.documents.read import read
from ml_assets.documents.reader import DocumentReader
from ml_assets_tests.documents import made
from ml_assets_tests.real_data import ROOT

SCAN = ROOT / "documents" / "scan" / "primeenergy_scanned_agreement.pdf"
pytestmark = pytest.mark.slow


@functools.cache
def picture() -> made.Grey:
    return made.rendered(made.pdf([made.LEASE]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_picture_is_read(kind: str) -> None:
    document = read(made.encoded([picture()], kind))
    assert document.kind == kind.lower()
    (page,) = document.pages
    assert (page.method, page.rotation) == ("ocr", 0)
    assert page.confidence > 0.9
    assert made.found(page.text) >= 0.97


def test_the_pages_of_a_tiff_are_read_in_order() -> None:
    other = made.rendered(made.pdf([["A second page that follows the first one"]]))
    document = read(made.encoded([picture(), other], "TIFF"))
    assert [page.text.split()[0] for page in document.pages] == ["RESIDENTIAL", "A"]


def test_a_scanned_pdf_is_read() -> None:
    (page,) = read(made.scanned(picture())).pages
    assert page.method == "ocr"
    assert made.found(page.text) >= 0.97


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_page_is_turned_back(turns: int) -> None:
    page = read_picture(np.ascontiguousarray(np.rot90(picture(), turns)))  # counter-clockwise
    assert page.rotation == 90 * turns
    assert made.found(page.text) >= 0.97
    assert page.text.splitlines()[0] == made.LEASE[0]


@pytest.mark.parametrize("degrees", [-6, -2, 3, 7])
def test_a_tilted_page_is_straightened(degrees: int) -> None:
    import cv2

    height, width = picture().shape
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)  # counter-clockwise
    page = read_picture(np.asarray(cv2.warpAffine(picture(), tilt, (width, height), borderValue=255), np.uint8))
    assert page.skew == pytest.approx(degrees, abs=0.3)
    assert made.found(page.text) >= 0.95
    assert page.text.splitlines()[0] == made.LEASE[0]


def test_a_faded_grey_page_is_read() -> None:
    faded = (120 + picture() * (50 / 255)).astype(np.uint8)
    assert made.found(read_picture(faded).text) >= 0.95


def test_columns_are_not_interleaved() -> None:
    left, right = made.LEASE[1:7], made.LEASE[7:0:-1]
    texts = [(40.0, 700.0 - 20 * row, " ".join(line.split()[:6])) for row, line in enumerate(left)]
    texts += [(330.0, 700.0 - 20 * row, " ".join(line.split()[:6])) for row, line in enumerate(right[:6])]
    text = read_picture(made.rendered(made.drawn([texts]))).text.splitlines()
    assert [line.split()[0] for line in text] == [line.split()[0] for line in (*left, *right[:6])]


def test_gibberish_under_a_picture_is_not_believed_and_a_stamp_is_not_the_page() -> None:
    gibberish = ["".join(chr(33 + (ord(sign) + 29) % 94) for sign in line) for line in made.LEASE]
    for layer in (gibberish, ["Received 2024"]):
        (page,) = read(made.scanned(picture(), layer=layer)).pages
        assert page.method == "ocr"
        assert made.found(page.text) >= 0.97


@pytest.mark.parametrize("below", [False, True], ids=["invisible", "below the picture"])
def test_what_another_ocr_left_in_a_searchable_scan_is_read_anew(below: bool) -> None:
    layer = [line.replace("e", "c") for line in made.LEASE]
    (page,) = read(made.scanned(picture(), layer=layer, below=below)).pages
    assert page.method == "ocr"
    assert made.found(page.text) >= 0.97


def test_visible_text_over_a_picture_is_kept() -> None:
    layer = [*made.LEASE, *made.LEASE]
    (page,) = read(made.scanned(np.full_like(picture(), 255), layer=layer, mode=0)).pages
    assert page.method == "text"
    assert page.text.splitlines() == layer


def test_an_empty_page_has_nothing_and_says_so() -> None:
    assert read(made.empty_pdf(1)).pages == (Page("", "ocr", 0.0),)


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from ml_assets.documents import ocr, recognise

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    ocr.detector.cache_clear()
    recognise.recogniser.cache_clear()
    assert made.found(read_picture(picture()).text) >= 0.97


@pytest.mark.skipif(not SCAN.exists(), reason="needs documents/scan below ML_ASSETS_SHARED_DATA")
def test_the_genuine_scan_is_english() -> None:
    from ml_assets.documents.pdf_text_layer import english

    document = read(Path(SCAN))
    assert all(page.method == "ocr" for page in document.pages)
    assert all(english(page.text) for page in document.pages if len(page.text.split()) > 20)


def test_a_scan_is_read_within_the_default_limits_of_a_child() -> None:
    with DocumentReader(processes=1) as reader:
        assert all(made.found(page.text) >= 0.97 for page in reader.read(made.scanned(picture(), pages=2)).pages)
