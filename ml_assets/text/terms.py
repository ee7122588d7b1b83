"""How text becomes terms: the one analysis behind BM25, the embedding, and the marks in a snippet.

A word is lower-cased, freed of accents and reduced to its Snowball stem ("amended", "amendments" → "amend") by the
tokenizer of Lance's full-text index; English stop words are left out. A number is one term however it is written
("$12,500.00", "12500" → "12500"), so that an amount is found by its value.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"[\d,.]+")
_APOSTROPHE = re.compile(r"['’]s?\b|\s")
_KEPT = 1 << 17  # words whose term is remembered: far more than a language has, some 20 MB


class Span(NamedTuple):
    """Where a word stands in a text, and its term."""

    start: int
    end: int
    term: str


def terms(text: str) -> list[str]:
    """The terms of a text, in its order."""
    return [found for found in map(term, _WORD.findall(text)) if found]


def spans(text: str) -> Iterator[Span]:
    """The terms of a text with their places in it."""
    for match in _WORD.finditer(text):
        if found := term(match[0]):
            yield Span(match.start(), match.end(), found)


@lru_cache(maxsize=_KEPT)
def term(word: str) -> str:
    """The term of one word; empty for a stop word, and for what is longer than any word."""
    plain = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", word))
    return _number(plain) if _NUMBER.fullmatch(plain) else _stem(plain)


def _number(written: str) -> str:
    """Without thousands separators, leading zeros, and decimals that are zero."""
    whole, _, decimals = written.replace(",", "").partition(".")
    rest = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


def _stem(word: str) -> str:
    from lancedb import tokenize  # a second, and only where text is analysed

    return "".join(token.text for token in tokenize(word, base_tokenizer="whitespace"))
