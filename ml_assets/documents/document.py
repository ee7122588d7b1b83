"""Documents: a file that was read as pages, and the limits within which it is read."""

from dataclasses import dataclass
from typing import Literal

from ml_assets.errors import DataError

Kind = Literal["pdf", "png", "jpeg", "tiff", "docx", "html", "text", "email", "mht"]
Code = Literal[
    "empty", "unknown-kind", "encrypted", "damaged", "too-large", "too-many-pages", "too-many-pixels", "bomb",
    "dynamic-form", "portfolio", "too-long", "missing", "timeout", "memory", "crashed", "extractor",
]  # fmt: skip

READER = 2
"""Raised when what was refused may be read, or read otherwise, by this release: it is then tried again."""


@dataclass(frozen=True)
class Page:
    r"""One page as it was read.

    Args:
        text: lines separated by `\n`, in reading order.
        method: "text": a text layer or markup; "ocr": recognised from the picture.
        confidence: 0 to 1. 1.0 for a text layer; for OCR the mean of the recognised lines, weighted by their
            characters; 0.0 for a page that holds nothing.
        rotation: degrees clockwise by which the picture was turned to be read: 0, 90, 180 or 270.
        skew: degrees clockwise by which it was straightened after that.
    """

    text: str
    method: Literal["text", "ocr"]
    confidence: float
    rotation: int = 0
    skew: float = 0.0


@dataclass(frozen=True)
class Document:
    """A file that was read.

    Args:
        kind: what the content is, whatever the file's name says.
        size: bytes of the file.
        pages: in order; DOCX, HTML and e-mails have one, plain text one for each form feed.
        title: the one that the file states about itself.
    """

    kind: Kind
    size: int
    pages: tuple[Page, ...]
    title: str | None = None

    @property
    def text(self) -> str:
        """The pages, joined by form feeds."""
        return "\f".join(page.text for page in self.pages)

    @property
    def ocr_pages(self) -> int:
        """How many of the pages were recognised from a picture."""
        return sum(page.method == "ocr" for page in self.pages)

    @property
    def ocr_confidence(self) -> float | None:
        """The mean over those pages by their characters; one without any counts as one character. None without any."""
        pages = [(page.confidence, max(1, len(page.text))) for page in self.pages if page.method == "ocr"]
        total = sum(weight for _, weight in pages)
        return sum(confidence * weight for confidence, weight in pages) / total if pages else None


@dataclass(frozen=True)
class ReadingLimits:
    """Limits on the cost of reading a document.

    Args:
        size: bytes of a file.
        pages: pages of a document; more are refused before the first is rendered.
        pixels: pixels of one picture, and of one rendered page.
        seconds: wall time for opening a document, or for all of one that is not in pages.
        seconds_per_page: wall time for each page of a PDF or picture; OCR takes about 1.5 s on two cores.
        memory: bytes of address space of a child process; OCR of a page of A4 takes about 1.3 GiB of it.
        characters: of a document, its title included.
        unpacked: bytes that a zip-based file may unpack to.
        ratio: how many times its packed size a zip-based file may unpack to.
        threads: of the OCR models.
    """

    size: int = 50 << 20
    pages: int = 500
    pixels: int = 50_000_000
    seconds: float = 30.0
    seconds_per_page: float = 20.0
    memory: int = 2 << 30
    characters: int = 5_000_000
    unpacked: int = 200 << 20
    ratio: int = 200
    threads: int = 2


class UnreadableError(DataError):
    """A file that cannot be read, or costs more than it may.

    Args:
        code: stable, for statistics and branching; the message is for people.
        message: names the file, the value and the remedy.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code

    def __reduce__(self) -> "tuple[type[UnreadableError], tuple[Code, str]]":
        """Pickled whole: it crosses from the child process to its parent."""
        return type(self), (self.code, str(self))


LIMITS = ReadingLimits()


def too_many(pages: int, name: str, limits: ReadingLimits) -> UnreadableError:
    """The error for a document with more pages than it may have."""
    return UnreadableError(
        "too-many-pages", f"{name} has {pages:,} pages, more than {limits.pages:,}: split it, or raise Limits.pages"
    )
