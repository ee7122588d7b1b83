"""A file as a document, in this process. What comes from strangers is better read by `reader.Reader`."""

import re
from collections.abc import Callable
from pathlib import Path

from ml_assets.documents import html as markup
from ml_assets.documents import mail, office, pdf
from ml_assets.documents import plain_text as plain
from ml_assets.documents.document import LIMITS, Document, Kind, Page, ReadingLimits, UnreadableError
from ml_assets.documents.file_type import kind_of
from ml_assets.documents.ocr import read_picture
from ml_assets.documents.picture import frames, pictures

Progress = Callable[[int, int], None]  # (pages done, pages in all)
UNNAMED = "the document"
"""What messages call a file of which only the content is there."""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")  # of an object in this process: it tells nobody anything
_MEMORY = ("bad_alloc", "memory", "allocate", "failed to map segment")  # as C++ libraries say that there is none left


def read(content: bytes | Path, limits: ReadingLimits = LIMITS, progress: Progress | None = None) -> Document:
    """Read a file: its kind is told from the content, whatever its name says.

    Args:
        content: the file, or where it is.
        limits: what it may cost. Time and memory are not limited here.
        progress: is told (pages done, pages in all) before each page.

    Raises:
        UnreadableError: it cannot be read; `code` says why.
    """
    data, name = load(content, limits)
    return read_bytes(data, name, limits, progress or (lambda _done, _pages: None))


def load(content: bytes | Path, limits: ReadingLimits) -> tuple[bytes, str]:
    """The bytes of a file, and what messages call it.

    Raises:
        UnreadableError: `missing`, or `too-large`, before it is read.
    """
    if isinstance(content, bytes):
        require_size(len(content), UNNAMED, limits)
        return content, UNNAMED
    try:
        if not content.is_file():  # a device has no end
            raise UnreadableError("missing", f"{content} is no file: check the path")
        require_size(content.stat().st_size, content.name, limits)
        return content.read_bytes(), content.name
    except OSError as error:
        raise UnreadableError("missing", f"{content} cannot be opened ({error.strerror}): check the path") from error


def read_bytes(data: bytes, name: str, limits: ReadingLimits, progress: Progress) -> Document:
    """Read a file that is in memory.

    Args:
        data: the bytes of the file.
        name: of the file: its ending helps to tell the type.
        limits: on pages, pixels and time.
        progress: told pages done and all pages.

    Raises:
        UnreadableError: it cannot be read; whatever a library raises over a file is turned into one.
    """
    try:
        kind = kind_of(data, name)
        pages, title = _pages(kind, data, name, limits, progress)
    except UnreadableError:
        raise
    except Exception as error:  # parsers of five formats meet hostile input: what they raise is not foreseeable
        raise _unreadable(error, name) from error
    characters = len(title or "") + sum(len(page.text) for page in pages)
    if characters > limits.characters:
        raise UnreadableError(
            "too-long",
            f"{name} has {characters:,} characters, more than {limits.characters:,}: split it, or raise "
            "Limits.characters",
        )
    return Document(kind, len(data), pages, title)


def _pages(
    kind: Kind, data: bytes, name: str, limits: ReadingLimits, progress: Progress
) -> tuple[tuple[Page, ...], str | None]:
    readers: dict[Kind, Callable[[], tuple[tuple[Page, ...], str | None]]] = {
        "pdf": lambda: pdf.pages(data, name, limits, progress),
        "docx": lambda: office.pages(data, name, limits),
        "html": lambda: markup.pages(data),
        "email": lambda: mail.pages(data, name),
        "mht": lambda: mail.read_web_archive(data, name),
        "text": lambda: (plain.pages(data, name, limits), None),
    }
    return readers[kind]() if kind in readers else (_recognised(data, name, limits, progress), None)


def _recognised(data: bytes, name: str, limits: ReadingLimits, progress: Progress) -> tuple[Page, ...]:
    count, pages_read = frames(data, name, limits), []
    for done, picture in enumerate(pictures(data, name, limits)):
        progress(done, count)
        pages_read.append(read_picture(picture, limits.threads))
    return tuple(pages_read)


def require_size(size: int, name: str, limits: ReadingLimits) -> None:
    """Refuse a file by its size, before it is read.

    Raises:
        UnreadableError: `too-large`.
    """
    if size > limits.size:
        raise UnreadableError(
            "too-large", f"{name} has {size:,} bytes, more than {limits.size:,}: split it, or raise Limits.size"
        )


def _unreadable(error: Exception, name: str) -> UnreadableError:
    message = str(error).lower()
    if isinstance(error, MemoryError) or any(word in message for word in _MEMORY):
        return UnreadableError("memory", f"{name} needs more memory than there is: split it, or raise Limits.memory")
    reason = _ADDRESS.sub("", f"{type(error).__name__}: {error}".splitlines()[0])[:200]
    return UnreadableError("damaged", f"{name} cannot be read ({reason}): save it anew and send it again")
