"""Why a document is taken for what it is: its words that speak most for the class."""

import re
from collections import Counter
from collections.abc import Mapping

_WORD = re.compile("[a-z]+")


def reasons(text: str, terms: Mapping[str, float], most: int = 5) -> tuple[str, ...]:
    """The words of a text that speak most for a class; weight times frequency, ties by the alphabet.

    Args:
        text: as `features.normal` writes it.
        terms: word → weight, of the class.
        most: how many words at the most.
    """
    counts = Counter(_WORD.findall(text))
    found = {word: weight * counts[word] for word, weight in terms.items() if word in counts and weight > 0}
    return tuple(sorted(found, key=lambda word: (-found[word], word))[:most])
