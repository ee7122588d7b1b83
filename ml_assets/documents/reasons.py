"""Reasons of a classification: the terms of a document that speak most for its class."""

from collections import Counter
from collections.abc import Mapping
from math import log


def reasons(text: str, terms: Mapping[str, float], most: int = 5) -> tuple[str, ...]:
    """The terms of a text that speak most for a class: coefficient times 1 + ln(tf), ties by the alphabet.

    Args:
        text: as `scorer.normal` writes it: words and single blanks.
        terms: term → coefficient, of the class; a term is a word, or words with a blank between.
        most: how many terms at the most.

    >>> reasons("the lease of a tenant is a lease", {"lease": 1.0, "tenant": 2.0, "rider": 9.0})
    ('tenant', 'lease')
    """
    words = text.split()
    counts = Counter(words)
    for length in {term.count(" ") for term in terms} - {0}:
        counts.update(map(" ".join, zip(*(words[start:] for start in range(length + 1)), strict=False)))
    contributions = {
        term: weight * (1 + log(counts[term])) for term, weight in terms.items() if weight > 0 and counts[term]
    }
    return tuple(sorted(contributions, key=lambda term: (-contributions[term], term))[:most])
