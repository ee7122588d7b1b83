"""Which terms documents have, and how much each says: the statistics behind BM25 and the embedding."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALIKE = 0.45  # Dice's coefficient of two words' letter triples: "tenent" and "tenant" have 0.5
_NEAREST = 3
_SHORTEST = 4  # letters: a shorter word has too few triples to tell a slip from another word


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The terms of a sample of documents.

    Args:
        words: the terms that more than one document has, the most frequent ones; sorted.
        frequency: how many documents of the sample have each, [words].
        documents: the size of the sample.
        length: the mean number of terms of a document.
    """

    words: tuple[str, ...]
    frequency: "NDArray[np.int64]"
    documents: int
    length: float

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Each word's place in `words`."""
        return {word: place for place, word in enumerate(self.words)}

    def idf(self, term: str) -> float:
        """Robertson & Zaragoza (2009), The Probabilistic Relevance Framework, eq. 3.14; + 1 keeps it above zero."""
        place = self.places.get(term)
        has = 0 if place is None else int(self.frequency[place])
        return math.log(1 + (self.documents - has + 0.5) / (has + 0.5))

    def query_terms(self, words: Iterable[str], exists: Callable[[str], bool] = lambda _: False) -> dict[str, float]:
        """The terms to look for, with weights: each of the query's own 1, and what a misspelt one may have meant less.

        A term that is neither in the lexicon nor in any document is taken for a slip of the pen; its neighbours in
        the lexicon count by their likeness.

        Args:
            words: the terms of a query.
            exists: whether a document has a term; asked about those that the lexicon does not have.
        """
        own = dict.fromkeys(words, 1.0)
        near: dict[str, float] = {}
        for word in own.keys() - self.places.keys():
            alike = self.near(word)
            if alike and not exists(word):
                near |= {other: max(likeness, near.get(other, 0.0)) for other, likeness in alike.items()}
        return near | own

    def near(self, word: str) -> dict[str, float]:
        """The words that are spelt most like one, with Dice's coefficient of their letter triples (at least 0.45)."""
        if len(word) < _SHORTEST or any(letter.isdigit() for letter in word):
            return {}
        triples = _triples(word)
        shared = Counter(place for triple in triples for place in self._spelt.get(triple, ()))
        alike = {self.words[p]: 2 * n / (len(triples) + len(_triples(self.words[p]))) for p, n in shared.items()}
        best = heapq.nsmallest(_NEAREST, alike.items(), key=lambda found: (-found[1], found[0]))
        return {other: likeness for other, likeness in best if likeness >= _ALIKE}

    @cached_property
    def _spelt(self) -> Mapping[str, list[int]]:
        """The places of the words that have each letter triple; numbers have none."""
        postings = defaultdict[str, list[int]](list)
        for place, word in enumerate(self.words):
            if not any(letter.isdigit() for letter in word):
                for triple in _triples(word):
                    postings[triple].append(place)
        return postings


def _triples(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def sample_texts(texts: Iterable[str], size: int) -> list[str]:
    """A random sample of texts that depends on the texts alone, not on their order; the same text counts once.

    The `size` texts with the smallest hashes (bottom-k sketch: Cohen & Kaplan 2007, Summarizing data using bottom-k
    sketches). Memory is bounded by the sample.
    """
    smallest: list[tuple[int, str]] = []  # the largest hash on top
    hashes = set[int]()
    for text in texts:
        rank = -int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        if rank in hashes or (len(smallest) == size and rank <= smallest[0][0]):
            continue
        hashes.add(rank)
        heapq.heappush(smallest, (rank, text))
        if len(smallest) > size:
            hashes.remove(heapq.heappop(smallest)[0])
    return [text for _, text in sorted(smallest)]


def lexicon(documents: Iterable[list[str]], *, most: int) -> Lexicon:
    """The lexicon of analysed documents; `most` bounds its words.

    Raises:
        DataError: there is no word that two documents share.
    """
    counts, number, length = Counter[str](), 0, 0
    for words in documents:
        counts.update(set(words))
        number += 1
        length += len(words)
    shared = [(-has, word) for word, has in counts.items() if has > 1]
    if not shared:
        raise DataError(f"no two of {number} documents share a word: fit an embedder on more documents with text")
    words = sorted(word for _, word in heapq.nsmallest(most, shared))
    return Lexicon(tuple(words), np.array([counts[word] for word in words], np.int64), number, length / number)
