"""A sentence-transformers model from a local folder as the embedder: an extra, `pip install ml-assets[embeddings]`."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import DataError
from ml_assets.search.embedding import lexicon_of, pack_lexicon, write_arrays
from ml_assets.search.lexicon import Lexicon

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = "sentences-1"


@dataclass(frozen=True, eq=False)
class SentenceEmbedder:
    """See `embedding.Embedder`. Longer texts than the model takes are cut by it: only their beginning counts.

    Args:
        model: the folder of the model, on this machine; nothing is downloaded.
        lexicon: the terms behind BM25, as of a fitted embedder.
    """

    model: Path
    lexicon: Lexicon

    @property
    def size(self) -> int:
        """See `Embedder`."""
        return int(self._encoder.get_sentence_embedding_dimension())

    @cached_property
    def fingerprint(self) -> str:
        """See `Embedder`: the model's files and the lexicon."""
        digest = sha256(_FORMAT.encode())
        for path in sorted(path for path in self.model.rglob("*") if path.is_file()):
            digest.update(str(path.relative_to(self.model)).encode())
            with path.open("rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        for _, value in sorted(pack_lexicon(self.lexicon).items()):
            digest.update(value.tobytes())
        return digest.hexdigest()

    def documents(self, texts: Sequence[str], analysed: Sequence[Sequence[str]]) -> "NDArray[np.float32]":
        """See `Embedder`; the terms are not looked at."""
        del analysed
        return np.asarray(self._encoder.encode(list(texts), normalize_embeddings=True), np.float32)

    def query(self, text: str, asked: Mapping[str, float]) -> "NDArray[np.float32]":
        """See `Embedder`."""
        del asked
        return np.asarray(self.documents([text], [])[0])

    def save(self, path: Path) -> None:
        """See `Embedder`; the model stays in its folder."""
        description = {"format": _FORMAT, "folder": str(self.model), "fingerprint": self.fingerprint}
        write_arrays(path, {name: np.array(value) for name, value in description.items()} | pack_lexicon(self.lexicon))

    @cached_property
    def _encoder(self) -> Any:  # noqa: ANN401 - an extra: its types are not there
        try:
            library = importlib.import_module("sentence_transformers")
        except ImportError as error:
            raise DataError(
                f"{self.model} needs sentence-transformers: pip install 'ml-assets[embeddings]', or use embedding.fit"
            ) from error
        return library.SentenceTransformer(str(self.model), local_files_only=True)


def sentence_embedder(folder: Path, lexicon: Lexicon) -> SentenceEmbedder:
    """An embedder from a model's folder.

    Raises:
        DataError: the folder or the library is not there.
    """
    if not folder.is_dir():
        raise DataError(f"no sentence-transformers model at {folder}: name the folder of a saved model")
    embedder = SentenceEmbedder(folder, lexicon)
    _ = embedder.size  # says at once when the library is absent
    return embedder


def unpack_sentence_embedder(held: Mapping[str, Any]) -> SentenceEmbedder:
    """The embedder that was saved.

    Raises:
        DataError: as `sentence_embedder`, or the model has other files by now, and so gives other vectors.
    """
    embedder = sentence_embedder(Path(str(held["folder"])), lexicon_of(held))
    if embedder.fingerprint != str(held["fingerprint"]):
        raise DataError(
            f"the model at {embedder.model} is not the one that the documents were indexed with: index again"
        )
    return embedder
