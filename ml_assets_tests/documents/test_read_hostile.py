"""A file that cannot be read costs an error with its code, and nothing of the file after it."""

import io
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ml_assets.documents.document import Document, ReadingLimits, UnreadableError
from ml_assets.documents.read import read
from ml_assets.documents.reader import DocumentReader
from ml_assets_tests.documents import made

GOOD = "\n".join(made.LEASE).encode()

SECRET = "opens it"  # noqa: S105 - of a file made here


def compound_file() -> bytes:
    """The head of a Word file that is encrypted: an OLE container with a stream of that name."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + "EncryptedPackage".encode("utf-16-le") + bytes(512)


def entity_bomb() -> bytes:
    names = [f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10)]
    xml = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "ha">{"".join(names)}]><d>&e9;</d>'
    return made.with_part(made.docx(), "word/document.xml", xml.encode())


def encrypted_zip() -> bytes:
    """A DOCX whose entries are marked as encrypted."""
    content = bytearray(made.docx())
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(head)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(head, place + 4)
    return bytes(content)


def other_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("notes.txt", "hello")
    return stream.getvalue()


def picture_bomb() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(stream, "PNG")
    return stream.getvalue()


def long_tiff() -> bytes:
    return made.encoded([np.full((8, 8), 255, np.uint8)] * 501, "TIFF")


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "no byte": ("empty", lambda: b""),
    "only white space": ("empty", lambda: b" \r\n\t" * 10),
    "a PDF without pages": ("empty", lambda: made.empty_pdf(0)),
    "an encrypted PDF": ("encrypted", lambda: made.pdf([made.LEASE], password=SECRET)),
    "an encrypted DOCX": ("encrypted", compound_file),
    "a DOCX in an encrypted zip": ("encrypted", encrypted_zip),
    "half a PDF": ("damaged", lambda: made.pdf([made.LEASE])[:1200]),
    "a PDF of nothing but its header": ("damaged", lambda: b"%PDF-1.7\nstartxref\n0\n%%EOF"),
    "half a PNG": ("damaged", lambda: made.encoded([made.rendered(made.pdf([made.LEASE]))], "PNG")[:5000]),
    "half a DOCX": ("damaged", lambda: made.docx()[:9000]),
    "a DOCX that is no XML": ("damaged", lambda: made.with_part(made.docx(), "word/document.xml", b"<w:document")),
    "10,000 pages": ("too-many-pages", lambda: made.empty_pdf(10_000)),
    "501 pages of TIFF": ("too-many-pages", long_tiff),
    "501 form feeds": ("too-many-pages", lambda: b"a\f" * 501),
    "a zip bomb": ("bomb", lambda: made.with_part(made.docx(), "word/media/a.bin", bytes(30 << 20))),
    "an entity bomb": ("bomb", entity_bomb),
    "a picture bomb": ("bomb", picture_bomb),
    "random bytes": ("unknown-kind", lambda: np.random.default_rng(1).bytes(5000)),
    "a zip of something else": ("unknown-kind", other_zip),
    "an old Word file": ("unknown-kind", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)),
    "RTF": ("unknown-kind", lambda: b"{\\rtf1 hello}"),
    "51 MiB": ("too-large", lambda: b"a" * (51 << 20)),
}  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(processes=1) as reader:
        yield reader


@pytest.mark.parametrize("name", list(HOSTILE))
def test_each_is_refused_by_its_code_and_the_next_file_is_read(name: str, reader: DocumentReader) -> None:
    code, make = HOSTILE[name]
    with pytest.raises(UnreadableError) as caught:
        reader.read(make())
    assert caught.value.code == code, str(caught.value)
    assert "the document" in str(caught.value)
    assert reader.read(GOOD).text.encode() == GOOD


@pytest.mark.parametrize("name", ["half a DOCX", "an encrypted PDF", "random bytes"])
def test_without_a_child_the_answer_is_the_same(name: str) -> None:
    code, make = HOSTILE[name]
    with pytest.raises(UnreadableError) as caught:
        read(make())
    assert caught.value.code == code


def test_html_called_pdf_is_read_as_html(reader: DocumentReader, tmp_path: Path) -> None:
    (tmp_path / "invoice.pdf").write_bytes(b"<html><body>Log in first</body></html>")
    assert reader.read(tmp_path / "invoice.pdf").kind == "html"


def test_a_picture_that_would_fill_memory_within_a_pdf_is_refused() -> None:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS, kept = None, Image.MAX_IMAGE_PIXELS
    try:
        content = made.scanned(np.zeros((9000, 9000), np.uint8))
    finally:
        Image.MAX_IMAGE_PIXELS = kept
    with pytest.raises(UnreadableError, match="page 1 of the document holds a picture of 9,000 × 9,000") as caught:
        read(content)
    assert caught.value.code in {"bomb", "too-many-pixels"}


def slow_file() -> bytes:
    """Twenty pages that need OCR: half a minute of work."""
    return made.scanned(made.rendered(made.pdf([made.LEASE])), pages=20)


@pytest.mark.slow
def test_a_page_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(slow_file())
    with DocumentReader(ReadingLimits(seconds_per_page=0.05), processes=1) as reader:
        assert reader.read(GOOD).kind == "text"
        (child,) = reader.pids
        with pytest.raises(UnreadableError, match=r"scan\.pdf took more than 0\.05 s") as caught:
            reader.read(tmp_path / "scan.pdf")
        assert caught.value.code == "timeout"
        assert reader.read(GOOD).kind == "text"
        assert child not in reader.pids


@pytest.mark.slow
def test_a_file_that_needs_too_much_memory_is_given_up() -> None:
    with DocumentReader(ReadingLimits(memory=400 << 20), processes=1) as reader:
        with pytest.raises(UnreadableError) as caught:
            reader.read(slow_file())
        assert caught.value.code in {"memory", "crashed"}
        assert reader.read(GOOD).kind == "text"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV], ids=["killed", "segmentation fault"])
def test_a_child_that_dies_costs_one_file(how: signal.Signals) -> None:
    with DocumentReader(processes=1) as reader:
        assert reader.read(GOOD).kind == "text"
        (child,) = reader.pids
        killer = threading.Timer(1.5, os.kill, (child, how))
        killer.start()
        with pytest.raises(UnreadableError, match=how.name) as caught:
            reader.read(slow_file())
        killer.join()
        assert caught.value.code == "crashed"
        assert reader.read(GOOD).kind == "text"


def test_a_child_that_was_killed_between_two_files_is_replaced(reader: DocumentReader) -> None:
    assert reader.read(GOOD).kind == "text"
    for child in reader.pids:
        os.kill(child, signal.SIGKILL)
        while child in reader.pids:
            time.sleep(0.01)
    assert reader.read(GOOD).kind == "text"


def test_many_files_come_back_in_their_order_with_the_errors_in_their_places() -> None:
    with DocumentReader(processes=2) as reader:
        answers = list(reader.read_all([GOOD, b"", made.pdf([["one"]]), b"{\\rtf1}", made.docx(["two"])] * 3))
    shown = [answer.text if isinstance(answer, Document) else answer.code for answer in answers]
    assert shown == [GOOD.decode(), "empty", "one", "unknown-kind", "two"] * 3


def test_when_a_reader_is_closed_its_children_are_gone() -> None:
    with DocumentReader(processes=1) as reader:
        reader.read(GOOD)
        (child,) = reader.pids
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_sees_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    with DocumentReader(processes=1) as reader:
        reader.read(GOOD)
        (child,) = reader.pids
        environment = Path(f"/proc/{child}/environ")
        if not environment.exists():
            pytest.skip("this system shows no environment of a process")
        assert b"secret" not in environment.read_bytes()
        assert b"ORT_DISABLE_TELEMETRY=1" in environment.read_bytes().split(b"\0")
