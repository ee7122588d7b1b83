"""The part of a text that answers a query best, with what was found marked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from ml_assets.search.terms import TermSpan, spans

_LONG = 200  # characters
_READ = 60_000  # characters: some twenty pages, read in 20 ms
_ADJACENT = 0.5  # what a pair of the query's terms that stand together adds, as a share of their weights


def snippet(text: str, weights: Mapping[str, float]) -> str:
    """About 200 characters of a text as HTML: the window whose distinct terms of the query weigh most.

    Terms that stand together, as in a phrase, count half as much again, and are one mark. A word is marked when its
    stem is one of the query's. Only the first 60,000 characters are looked at.

    Args:
        text: plain text.
        weights: the terms of the query and how much each says.

    Returns:
        Escaped text with `<mark>…</mark>`; the beginning of the text, unmarked, where no term is in it.
    """
    matches = [span for span in spans(text[:_READ]) if span.term in weights]
    start, end = _window(text, _best(matches, weights))
    body = _marked(text, start, end, [span for span in matches if start <= span.start and span.end <= end])
    return f"{'…' if start else ''}{body}{'…' if end < len(text.rstrip()) else ''}"


def _best(found: Sequence[TermSpan], weights: Mapping[str, float]) -> Sequence[TermSpan]:
    """The heaviest run of spans that fits; the first of equals."""
    best, most, first = (0, 0), 0.0, 0
    counts = Counter[str]()
    for last, span in enumerate(found):
        counts[span.term] += 1
        while span.end - found[first].start > _LONG and first < last:
            counts[found[first].term] -= 1
            first += 1
        weight = sum(weights[term] for term, count in counts.items() if count)
        weight += _ADJACENT * _together(found[first : last + 1], weights)
        if weight > most + 1e-9:
            best, most = (first, last + 1), weight
    return found[slice(*best)]


def _together(inside: Sequence[TermSpan], weights: Mapping[str, float]) -> float:
    pairs = {(a.term, b.term) for a, b in pairwise(inside) if b.start - a.end in {1, -1}}  # a blank, or a shared letter
    return sum(min(weights[a], weights[b]) for a, b in pairs if a != b)


def _window(text: str, inside: Sequence[TermSpan]) -> tuple[int, int]:
    """A window around the spans, between words."""
    low, high = (inside[0].start, inside[-1].end) if inside else (0, 0)
    start = max(0, low - max(0, _LONG - (high - low)) // 2) if inside else 0
    end = min(len(text), max(high, start + _LONG))
    if start:
        start = next((at + 1 for at in range(start, low) if text[at].isspace()), low)
    if end < len(text):
        end = next((at for at in range(end, max(high, start), -1) if text[at].isspace()), end)
    return start, end


def _marked(text: str, start: int, end: int, inside: Sequence[TermSpan]) -> str:
    """Escaped text in which each run of found words is one mark; white space becomes one space."""
    parts, at = list[str](), start
    for low, high in _runs(text, inside):
        parts += [_plain(text[at:low]), "<mark>", _plain(text[low:high]), "</mark>"]
        at = high
    return "".join([*parts, _plain(text[at:end])]).strip()


def _runs(text: str, inside: Sequence[TermSpan]) -> list[tuple[int, int]]:
    windows: list[tuple[int, int]] = []
    for span in inside:
        if windows and not text[windows[-1][1] : span.start].strip():
            windows[-1] = (windows[-1][0], max(windows[-1][1], span.end))
        else:
            windows.append((span.start, span.end))
    return windows


def _plain(text: str) -> str:
    """Escaped, with each run of white space as one space, also at its ends."""
    words = " ".join(f"|{text}|".split())
    return escape(words[1:-1])
