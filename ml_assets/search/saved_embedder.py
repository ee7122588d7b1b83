"""An embedder as a file: which kind it is of, the file says."""

from pathlib import Path
from typing import Any

import numpy as np

from ml_assets.errors import DataError
from ml_assets.search import embedding, sentences
from ml_assets.search.embedding import Embedder


def load(path: Path) -> Embedder:
    """The embedder that `Embedder.save` wrote.

    Raises:
        DataError: the file is missing, of another format, or does not hold what its fingerprint says.
    """
    arrays = _read(path)
    if str(arrays["format"]).startswith("sentences"):
        return sentences.unpack_sentence_embedder(arrays)
    return embedding.unpack_embedder(path, arrays)


def _read(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not an embedder ({error}): fit and index again") from error
