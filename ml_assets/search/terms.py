"""How text becomes terms: the one analysis behind BM25, the embedding, and the marks in a snippet.

A word is lower-cased, freed of accents and reduced to its Snowball stem ("amended", "amendments" → "amend") by the
tokenizer of Lance's full-text index; English stop words are left out. A number is one term however it is written
("$12,500.00", "12500" → "12500"), so that an amount is found by its value.

Chinese, Japanese, Thai and the like put no spaces between words, and Korean puts particles to them: there a term is a
character or a pair of neighbours, so that a document is found by a part of what it says. A query asks for pairs, and
for a character only where it stands alone.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# Thai, Lao, Burmese, Khmer; Hangul; radicals and ideographs; kana.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3"
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
    "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
)
# Marks that are part of a word: accents that are written by themselves, Hebrew and Arabic points, Indic vowels.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_LETTERS = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS}])+"
_WORD = re.compile(rf"\d+(?:,\d{{3}})+(?:\.\d+)?|\d+\.\d+|(?P<unspaced>[{_UNSPACED}]+)|{_LETTERS}(?:['’]{_LETTERS})*")
_NUMBER = re.compile(r"[\d,.]+")
_APOSTROPHE = re.compile(r"['’]s?\b|\s")
# Classes of combining marks (Unicode, table 4-3) that a search looks past: accents, Hebrew and Arabic points.
_POINTS, _ACCENTS = range(10, 37), range(200, 241)
_KEPT = 1 << 17  # words whose term is remembered: far more than a language has, some 20 MB


class TermSpan(NamedTuple):
    """Where a term stands in a text."""

    start: int
    end: int
    term: str


def terms(text: str) -> list[str]:
    """The terms of a text, in its order."""
    return [span.term for span in spans(text)]


def asked_terms(query: str) -> list[str]:
    """The terms that a query asks for, in its order: of scripts without spaces only the longest ones."""
    return [span.term for span in _spans(query, shortest=2)]


def spans(text: str) -> Iterator[TermSpan]:
    """The terms of a text with their places in it; pairs of characters overlap."""
    return _spans(text, shortest=1)


def _spans(text: str, shortest: int) -> Iterator[TermSpan]:
    for match in _WORD.finditer(text):
        parts = _parts(match, shortest) if match["unspaced"] else ((match.start(), match.end()),)
        for start, end in parts:
            if stem := term(text[start:end]):
                yield TermSpan(start, end, stem)


def _parts(run: re.Match[str], shortest: int) -> Iterator[tuple[int, int]]:
    """The characters and pairs of a run that is written without spaces; pairs only, where there are any."""
    first, last = run.span()
    for start in range(first, last):
        if shortest == 1 or last - first == 1:
            yield start, start + 1
        if start + 1 < last:
            yield start, start + 2


@lru_cache(maxsize=_KEPT)
def term(word: str) -> str:
    """The term of one word; empty for a stop word, and for what is longer than any word."""
    plain = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", word))
    return _number(plain) if _NUMBER.fullmatch(plain) else _stem(plain if plain.isascii() else _folded(plain))


def _folded(word: str) -> str:
    """Without case and accents, in every script; of a final sigma the usual one."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    others = (letter for letter in letters if unicodedata.combining(letter) not in {*_POINTS, *_ACCENTS})
    return unicodedata.normalize("NFKC", "".join(others))


def _number(written: str) -> str:
    """Without thousands separators, leading zeros, and decimals that are zero."""
    whole, _, decimals = written.replace(",", "").partition(".")
    rest = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


def _stem(word: str) -> str:
    from lancedb import tokenize  # a second, and only where text is analysed

    return "".join(token.text for token in tokenize(word, base_tokenizer="whitespace"))
