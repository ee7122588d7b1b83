"""Columns apart by any number of blanks, as in tables of fixed width: one blank is left between two cells."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_assets.errors import DataError

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival

BLANK = " "
"""The separator that says so."""

_EDGE = re.compile(rb"^[ \t]+|[ \t]+(?=\r?(?:\n|\Z))", re.MULTILINE)
_RUN = re.compile(rb"[ \t]+")


def single_blanks(arrival: "Arrival", blocks: Iterator[bytes], quote: str) -> Iterator[bytes]:
    """The text with one blank between two cells, and none at either end of a line; quoted cells stay as they are.

    Raises:
        DataError: a quoted cell goes on in the next line, where its blanks could not be told from separators.
    """
    rest, mark = b"", quote.encode()
    for block in blocks:
        text = rest + block
        cut = text.rfind(b"\n") + 1
        yield _single(arrival, text[:cut], mark)
        rest = text[cut:]
    yield _single(arrival, rest, mark)


def _single(arrival: "Arrival", text: bytes, mark: bytes) -> bytes:
    if not mark or mark not in text:
        return _RUN.sub(b" ", _EDGE.sub(b"", text))
    return b"\n".join(_line(arrival, line, mark) for line in text.split(b"\n"))


def _line(arrival: "Arrival", line: bytes, mark: bytes) -> bytes:
    parts = _EDGE.sub(b"", line).split(mark)
    if len(parts) % 2 == 0:
        raise DataError(
            f"{arrival.name}: {line[:80].decode(errors='replace')!r} opens a quotation mark that its line does not "
            "close: write `format: {quote: ''}` if marks are plain text"
        )
    return mark.join(_RUN.sub(b" ", part) if nr % 2 == 0 else part for nr, part in enumerate(parts))
