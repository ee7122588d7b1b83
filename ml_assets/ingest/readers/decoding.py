"""The bytes of a text file as UTF-8: decompressed, decoded, without a byte order mark."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.errors import DataError

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival
    from ml_assets.spec.text_format import TextFormat

BLOCK = 8 << 20
"""Bytes of text in memory at once; no row is longer."""

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet: deliver what it holds as CSV",
    b"PAR1": "Parquet: name it .parquet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet: save it as CSV",
    b"%PDF": "a PDF: declare `read: documents`",
}
_MARKS = {  # UTF-32 first: its mark begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class Utf8(io.RawIOBase):
    """A readable stream over blocks of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill the buffer as far as the next block goes; 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


@contextmanager
def utf8_blocks(arrival: "Arrival", text: "TextFormat") -> Iterator[Iterator[bytes]]:
    """The text in blocks of UTF-8 that end anywhere. UTF-8 itself is passed on as it is, valid or not.

    Raises:
        DataError: it is no text, or not in the declared encoding.
    """
    with arrival.open() as raw:
        head = raw.read(len(max(_MARKS, key=len)) + 2)
        raw.seek(0)
        source = _decompressed(arrival, raw, head, text)
        first = source.read(BLOCK)
        mark = next((mark for mark in _MARKS if first.startswith(mark)), b"")
        encoding = _MARKS.get(mark) or text.encoding or _default(arrival, first)
        if text.encoding and not mark:
            _require_declared(arrival, first, encoding)
        blocks = _blocks(first[len(mark) :], source)
        yield blocks if codecs.lookup(encoding).name == "utf-8" else _decoded(arrival, blocks, encoding)


def text_lines(arrival: "Arrival", text: "TextFormat") -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1.

    Raises:
        DataError: a line is not UTF-8, or longer than a block.
    """
    number, rest = 0, b""
    with utf8_blocks(arrival, text) as blocks:
        for block in blocks:
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number += 1
                if decoded := _line(arrival, number, line):
                    yield number, decoded
            if len(rest) > BLOCK:
                raise DataError(
                    f"{arrival.name}: line {number + 1} is longer than {BLOCK:,} bytes: deliver it in parts"
                )
    if decoded := _line(arrival, number + 1, rest):
        yield number + 1, decoded


def not_utf8(arrival: "Arrival", number: int, line: bytes) -> DataError:
    """What is said of a line that is not UTF-8, with what it would be in the encoding of Windows."""
    excerpt = line.decode("cp1252", "replace").strip()
    excerpt = next((word for word in excerpt.split() if not word.isascii()), excerpt)[:40]
    return DataError(
        f"{arrival.name}: line {number} is not UTF-8; as cp1252 it reads {excerpt!r}: "
        "write `format: {encoding: cp1252}` if that is right, another encoding if it is not, or save the file as UTF-8"
    )


def _line(arrival: "Arrival", number: int, line: bytes) -> str:
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        raise not_utf8(arrival, number, line) from None


def _decompressed(arrival: "Arrival", raw: IO[bytes], head: bytes, text: "TextFormat") -> Any:  # noqa: ANN401 - several readers
    for begin, what in _NO_TEXT.items():
        if head.startswith(begin):
            raise DataError(f"{arrival.name}: is {what}")
    detected = next((kind for begin, kind in _COMPRESSED.items() if head.startswith(begin)), "none")
    if detected == "bz2" and not head[3:4].isdigit():
        detected = "none"
    match text.compression or detected:
        case "gzip":
            return gzip.open(raw)
        case "bz2":
            return bz2.open(raw)
        case "xz":
            return lzma.open(raw)
        case "zstd":
            return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return raw


def _default(arrival: "Arrival", first: bytes) -> str:
    """UTF-8, unless every other byte is NUL."""
    start = first[:200]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(start) > 1 and start[offset::2].count(0) > len(start) // 4:
            raise DataError(
                f"{arrival.name}: looks like UTF-16 without its byte order mark: write `format: {{encoding: {name}}}`, "
                "or save the file as UTF-8"
            )
    return "utf-8"


def _require_declared(arrival: "Arrival", first: bytes, encoding: str) -> None:
    """Text that is not plain ASCII and yet valid UTF-8 is UTF-8: read in another encoding it is garbled in silence."""
    if codecs.lookup(encoding).name == "utf-8" or first.isascii() or 0 in first:
        return
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return
    raise DataError(
        f"{arrival.name}: is UTF-8, and the source declares {encoding}: deliver one encoding, or leave "
        "`encoding` out of `format`"
    )


def _blocks(first: bytes, source: Any) -> Iterator[bytes]:  # noqa: ANN401 - several readers
    block = first
    while block:
        yield bytes(block)
        block = source.read(BLOCK)


def _decoded(arrival: "Arrival", blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DataError(
            f"{arrival.name}: is not {encoding} ({error}): write its encoding, `format: {{encoding: …}}`, "
            "or save the file as UTF-8"
        ) from None
