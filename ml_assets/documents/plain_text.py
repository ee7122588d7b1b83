"""Plain text: which encoding it is in, and what is removed from every text, wherever it comes from."""

import codecs
import re
import unicodedata

from ml_assets.documents.document import Page, ReadingLimits, too_many

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NULS = 0.3  # share of every second byte that is zero in UTF-16 of a western language; in UTF-8 none is
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_BREAK = re.compile(r"\r\n?|[\x85\u2028\u2029\v]")
# Looked for where blanks begin and without giving any back, so that a file of blanks takes no longer than another.
_TRAILING = re.compile(r"(?<![ \t\xa0])[ \t\xa0]++$", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")


def decode_text(content: bytes) -> str:
    """Bytes as text: by their mark, else UTF-16 where zeros say so, else UTF-8, else Windows-1252, else Latin-1."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    for encoding in (*_utf_16(content), "utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def controls(text: str) -> int:
    """How many characters are neither written nor white space."""
    return len(_CONTROL.findall(text)) + text.count("\ufffd")


def tidy(text: str) -> str:
    r"""Text with `\n` for every line break, ligatures spelt out, and without control characters and form feeds."""
    text = _BREAK.sub("\n", text).replace("\f", "\n").replace("\u00ad", "")
    text = _LIGATURE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = _TRAILING.sub("", _CONTROL.sub("", text))
    return _EMPTY_LINES.sub("\n\n", unicodedata.normalize("NFC", text)).strip("\n")


def page(text: str) -> Page:
    """A page whose text was written down, not recognised."""
    tidied = tidy(text)
    return Page(tidied, "text", 1.0 if tidied.strip() else 0.0)


def pages(content: bytes, name: str, limits: ReadingLimits) -> tuple[Page, ...]:
    """Plain text, a page for each form feed.

    Raises:
        UnreadableError: `too-many-pages`.
    """
    parts = decode_text(content).split("\f")
    if len(parts) > limits.pages:
        raise too_many(len(parts), name, limits)
    return tuple(page(part) for part in parts)


def _utf_16(content: bytes) -> tuple[str, ...]:
    half = len(content) // 2
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) < _NULS * half or not half or len(content) % 2:
        return ()
    return ("utf-16-le",) if odd > even else ("utf-16-be",)
