"""Whether a PDF's text layer says what the page shows: plain rules, and the picture decides where they doubt."""

import re
from collections import Counter

from ml_assets.documents.document import Page

# The commonest words of English, about a third of any running text (Kučera and Francis, 1967).
_COMMON = frozenset(
    [
        "the",
        "of",
        "and",
        "to",
        "in",
        "a",
        "that",
        "is",
        "was",
        "he",
        "for",
        "it",
        "with",
        "as",
        "his",
        "on",
        "be",
        "at",
        "by",
        "i",
        "this",
        "had",
        "not",
        "are",
        "but",
        "from",
        "or",
        "have",
        "an",
        "they",
        "which",
        "one",
        "you",
        "were",
        "her",
        "all",
        "she",
        "there",
        "would",
        "their",
        "we",
        "him",
        "been",
        "has",
        "when",
        "who",
        "will",
        "more",
        "no",
        "if",
        "out",
        "so",
        "said",
        "what",
        "up",
        "its",
        "about",
        "into",
        "than",
        "them",
        "can",
        "only",
        "other",
        "new",
        "some",
        "could",
        "time",
        "these",
        "two",
        "may",
        "then",
        "do",
        "any",
        "such",
        "shall",
    ]
)
_COMMON_SHARE = 0.08
_ENOUGH = 100  # characters in words; a share of fewer says nothing
_FIGURE = re.compile(r"[\d.,:;/%$€£§()+–-]+")
_AROUND = ".,;:!?()[]\"'“”‘’"
_TOKEN = re.compile(r"\w+")
_BROKEN = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")  # no character, one of a font's own, or a control
_BROKEN_SHARE = 0.02
_COVERED = 0.5  # share of the page's area under pictures
_STAMP = 60  # words that a layer beside a scan has when it is only a stamp, a header or a signature
_SAME = 0.5  # share of the words
_CONFIDENT = 0.8


def english(text: str) -> bool:
    """Whether enough words are among the commonest of English; figures are left out."""
    words = _words(text)
    return bool(words) and sum(word in _COMMON for word in words) >= _COMMON_SHARE * len(words)


def _words(text: str) -> list[str]:
    return [word.strip(_AROUND).lower() for word in text.split() if not _FIGURE.fullmatch(word)]


def is_broken(text: str) -> bool:
    """Whether more than 2 % of what is not white space are no characters that anybody could read."""
    characters = len("".join(text.split()))
    return len(_BROKEN.findall(text)) > _BROKEN_SHARE * characters


def doubtful(text: str, covered: float, *, hidden: bool) -> bool:
    """Whether a text layer must be held against the page's picture.

    Args:
        text: the layer.
        covered: share of the page's area under pictures, 0 to 1.
        hidden: most of the layer cannot be seen: it is somebody's OCR of the picture above it.
    """
    if not _TOKEN.search(text) or hidden or is_broken(text):
        return True
    if covered >= _COVERED and len(_TOKEN.findall(text)) < _STAMP:
        return True
    return sum(map(len, _words(text))) >= _ENOUGH and not english(text)


def prefers_ocr(layer: str, seen: Page, *, hidden: bool) -> bool:
    """Whether what OCR saw shall stand in place of a doubtful layer.

    It shall where the layer is empty or broken, where both are OCR and ours is confident, or where the two differ and
    what was seen is English, or more: a layer of a language that is read badly stays, and so does a column of figures.
    """
    if not layer.strip() or is_broken(layer):
        return True
    in_layer, in_picture = (Counter(token.lower() for token in _TOKEN.findall(text)) for text in (layer, seen.text))
    if hidden:
        return seen.confidence >= _CONFIDENT and in_picture.total() >= _SAME * in_layer.total()
    if (in_layer & in_picture).total() >= _SAME * in_picture.total():
        return False
    return english(seen.text) or in_picture.total() > 2 * in_layer.total()
