"""Vectors in which texts about the same thing lie close together: latent semantic analysis, fitted in the loop.

Deerwester et al. (1990), Indexing by Latent Semantic Analysis, JASIS 41: the largest singular vectors of a tf-idf
matrix put words that stand in like company onto the same axes, so that a question in one wording finds a document in
another. A document is taken whole, however long: its vector is one sum over its terms, each dampened to 1 + ln(tf).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ml_assets.errors import DataError
from ml_assets.search.lexicon import Lexicon, lexicon, sample_texts
from ml_assets.search.terms import terms
from ml_assets.storage.files import atomic_path, part_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_FORMAT = "lsa-1"  # of the file; a change of what a vector means is another format


class Embedder(Protocol):
    """Turns texts and queries into vectors of one space, and knows the terms behind BM25."""

    @property
    def lexicon(self) -> Lexicon:
        """The statistics of the texts that it was fitted on."""

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what decides its vectors: two embedders with one fingerprint agree."""

    @property
    def size(self) -> int:
        """The length of a vector."""

    @property
    def model(self) -> Path | None:
        """The folder of the model that makes the vectors; None where they were fitted."""

    def documents(self, texts: Sequence[str], analysed: Sequence[Sequence[str]]) -> "Floats":
        """The vectors of texts with these terms, [texts, size]; of length one, or zero where no term is known."""

    def query(self, text: str, asked: Mapping[str, float]) -> "Floats":
        """The vector of a query, [size]; `asked` is what `Lexicon.query_terms` made of its terms."""

    def save(self, path: Path) -> None:
        """Write it as one file, without pickle; a reader meets the whole file or none."""


@dataclass(frozen=True, eq=False)
class LsaEmbedder:
    """Terms to vectors by a matrix.

    Args:
        lexicon: its terms.
        components: the right singular vectors, [terms, size].
    """

    lexicon: Lexicon
    components: "Floats"

    @property
    def size(self) -> int:
        """See `Embedder`."""
        return int(self.components.shape[1])

    @property
    def model(self) -> Path | None:
        """See `Embedder`."""
        return None

    @cached_property
    def fingerprint(self) -> str:
        """See `Embedder`."""
        digest = sha256(_FORMAT.encode())
        for name, value in sorted(self._arrays().items()):
            digest.update(f"{name} {value.dtype} {value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        return digest.hexdigest()

    def documents(self, texts: Sequence[str], analysed: Sequence[Sequence[str]]) -> "Floats":
        """See `Embedder`; the texts themselves are not looked at."""
        del texts
        return _unit(np.asarray(tf_idf(self.lexicon, map(Counter, analysed)) @ self.components))

    def query(self, text: str, asked: Mapping[str, float]) -> "Floats":
        """See `Embedder`."""
        del text
        return np.asarray(_unit(np.asarray(tf_idf(self.lexicon, [asked]) @ self.components))[0])

    def save(self, path: Path) -> None:
        """See `Embedder`."""
        write_arrays(path, {"format": np.array(_FORMAT), "fingerprint": np.array(self.fingerprint), **self._arrays()})

    def _arrays(self) -> dict[str, Any]:
        return pack_lexicon(self.lexicon) | {"components": self.components}


def fit(
    texts: Iterable[str], *, size: int = 256, words: int = 32_768, sample: int = 20_000, seed: int = 0
) -> LsaEmbedder:
    """An embedder for texts like these: a function of the set of texts and of the arguments, not of their order.

    Args:
        texts: consumed as they come; memory is bounded by the sample and by `words` x `size` numbers.
        size: of a vector; fewer where the texts have fewer directions.
        words: the most terms that it knows: the most frequent ones.
        sample: the most texts that are looked at, drawn by their hashes.
        seed: of the randomized decomposition (Halko, Martinsson & Tropp 2011).

    Raises:
        DataError: no two texts share a word.
    """
    from sklearn.decomposition import TruncatedSVD  # a second, and only where something is fitted

    bags = [terms(text) for text in sample_texts(texts, sample)]
    statistics = lexicon(bags, most=words)
    matrix = tf_idf(statistics, map(Counter, bags))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = matrix.multiply(1 / np.maximum(lengths, 1e-12)[:, None]).tocsr()
    with np.errstate(divide="ignore", invalid="ignore"):  # of a ratio of variances that nobody reads
        decomposition = TruncatedSVD(min(size, *matrix.shape), random_state=seed).fit(matrix)
    return LsaEmbedder(statistics, np.ascontiguousarray(decomposition.components_.T, np.float32))


def learn_lexicon(texts: Iterable[str], *, words: int = 32_768, sample: int = 20_000) -> Lexicon:
    """The terms of texts like these, as `fit` learns them, for vectors that come from elsewhere.

    Raises:
        DataError: no two texts share a word.
    """
    return lexicon((terms(text) for text in sample_texts(texts, sample)), most=words)


def unpack_embedder(path: Path, held: Mapping[str, Any]) -> LsaEmbedder:
    """The fitted embedder of the arrays of a file.

    Raises:
        DataError: they are of another format, or not what their fingerprint says.
    """
    if (kind := str(held["format"])) != _FORMAT:
        raise DataError(f"{path} is an embedder of format {kind!r}, not {_FORMAT!r}: fit and index again")
    embedder = LsaEmbedder(lexicon_of(held), held["components"])
    if embedder.fingerprint != str(held["fingerprint"]):
        raise DataError(f"{path} does not hold what its fingerprint {held['fingerprint']} says: fit and index again")
    return embedder


def tf_idf(known: Lexicon, counts: Iterable[Mapping[str, float]]) -> Any:  # noqa: ANN401 - scipy has no types
    """Sublinear tf-idf of bags of terms as a sparse matrix, [bags, terms]; unknown terms are left out."""
    from scipy.sparse import csr_matrix

    ends, places, values = [0], list[int](), list[float]()
    for bag in counts:
        pairs = [(known.places[term], count) for term, count in bag.items() if term in known.places]
        places += [place for place, _ in pairs]
        values += [count for _, count in pairs]
        ends.append(len(places))
    times, at = np.array(values, np.float64), np.array(places, np.int32)
    idf = np.log1p((known.documents - known.frequency + 0.5) / (known.frequency + 0.5))
    dampened = np.where(times > 1, 1 + np.log(np.maximum(times, 1)), times)
    return csr_matrix(
        ((dampened * idf[at]).astype(np.float32), at, np.array(ends, np.int64)), (len(ends) - 1, len(known.words))
    )


def pack_lexicon(known: Lexicon) -> dict[str, Any]:
    """A lexicon as arrays."""
    letters = np.frombuffer("\n".join(known.words).encode(), np.uint8)
    scale = np.array([known.documents, known.length], np.float64)
    return {"words": letters, "frequency": known.frequency, "scale": scale}


def lexicon_of(held: Mapping[str, Any]) -> Lexicon:
    """The lexicon of `pack_lexicon` arrays."""
    words = tuple(held["words"].tobytes().decode().split("\n"))
    return Lexicon(words, held["frequency"], int(held["scale"][0]), float(held["scale"][1]))


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Arrays as an .npz under another name first, so that nobody meets a part of it."""
    with atomic_path(path, part=part_of(path, shared=True), sync=True) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _unit(vectors: "NDArray[Any]") -> "Floats":
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9), np.float32)
