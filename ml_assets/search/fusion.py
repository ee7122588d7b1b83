"""One ranking from two: BM25, which knows the words, and vectors, which know what they are about.

Both parts are computed exactly for every candidate that either part brought up, so a document's score is a function of
the document, the query and the embedder alone: not of which index it is in, or of what else was filtered.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.search.lexicon import Lexicon

    Floats = NDArray[np.float64]

Mode = Literal["hybrid", "bm25", "vector"]
Fusion = Literal["reciprocal", "convex"]

_K1, _B = 1.2, 0.75  # Lucene's and Lance's
_K = 60  # Cormack, Clarke & Büttcher (2009)
_DIGITS = 6  # scores that agree to here are a tie: the last bits of a sum depend on the order of its terms


def bm25(lexicon: "Lexicon", asked: Mapping[str, float], documents: Sequence[Sequence[str]]) -> "Floats":
    """Okapi BM25 of analysed documents, [documents]: Robertson & Zaragoza (2009), eq. 3.15, times (k1 + 1).

    Args:
        lexicon: term statistics; they are the embedder's, so a score does not change when documents are added.
        asked: the terms of the query and their weights.
        documents: the terms of each document.
    """
    weights = {term: weight * lexicon.idf(term) * (_K1 + 1) for term, weight in asked.items()}
    return np.array([_score(weights, words, lexicon.length) for words in documents], np.float64)


def _score(weights: Mapping[str, float], words: Sequence[str], mean: float) -> float:
    counts = Counter(words)
    longer = _K1 * (1 - _B + _B * len(words) / mean)
    return sum(weight * counts[term] / (counts[term] + longer) for term, weight in weights.items() if term in counts)


def fuse(lexical: "Floats", semantic: "Floats", *, mode: Mode, fusion: Fusion, weight: float = 0.2) -> "Floats":
    """The score of each candidate, [candidates]; NaN = the mode has nothing to say for it.

    Args:
        lexical: BM25; zero where no term of the query is in the document.
        semantic: cosine similarity.
        mode: both parts, or one alone.
        fusion: `reciprocal`: the sum of 1 / (60 + rank) over both parts (Cormack, Clarke & Büttcher 2009, Reciprocal
            Rank Fusion); `convex`: a weighted mean of the scores, each over its largest (Bruch, Gai & Ingber 2023, An
            Analysis of Fusion Functions for Hybrid Retrieval, there "theoretical min-max").
        weight: of the vectors in `convex`, 0 to 1.
    """
    words, sense = (np.where(np.round(part, _DIGITS) > 0, part, np.nan) for part in (lexical, semantic))
    if mode != "hybrid":
        return words if mode == "bm25" else sense
    part = _reciprocal if fusion == "reciprocal" else _relative
    shares = (1.0, 1.0) if fusion == "reciprocal" else (1 - weight, weight)
    both = np.stack([share * part(scores) for share, scores in zip(shares, (words, sense), strict=True)])
    return np.where(np.isnan(both).all(axis=0), np.nan, np.nansum(both, axis=0))


def _reciprocal(scores: "Floats") -> "Floats":
    """1 / (60 + rank); documents with the same score share the best of their ranks."""
    rounded = np.round(scores, _DIGITS)
    ordered = np.sort(-rounded[~np.isnan(rounded)])
    ranks = np.searchsorted(ordered, -rounded) + 1.0
    return np.asarray(np.where(np.isnan(scores), np.nan, 1 / (_K + ranks)))


def _relative(scores: "Floats") -> "Floats":
    return scores / np.nanmax(scores) if np.isfinite(scores).any() else scores


def order(scores: "Floats", ids: Sequence[str]) -> list[int]:
    """The candidates with a score, best first; ties by id."""
    rounded = np.round(scores, _DIGITS)
    return sorted(np.flatnonzero(~np.isnan(scores)).tolist(), key=lambda at: (-rounded[at], ids[at]))
