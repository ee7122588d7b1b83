"""The files of a replay: models, scores and measured facts, each under a name of everything it depends on.

A file appears whole or not at all (written beside, then renamed), so a replay that was killed at any moment is simply
run again: what stands is never done twice, and never half.
"""

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.storage.files import write_whole
from ml_assets.storage.lake import fingerprint_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Raised when the code gives another answer for the same key, or keeps it otherwise: everything is then done anew.
_FORMAT = "v1"
_WRITING = "_writing"


@dataclass(frozen=True)
class ReplayStore:
    """Files below `root`, one folder for each kind: `<data>/replay/<model>`."""

    root: Path

    def sweep(self) -> None:
        """Remove what a killed replay was writing; the caller holds the lock of the model's replays."""
        shutil.rmtree(self.root / _WRITING, ignore_errors=True)

    def read(self, *name: str) -> bytes | None:
        """A file; None where there is none."""
        try:
            return self._path(*name).read_bytes()
        except FileNotFoundError:
            return None

    def holds(self, *name: str) -> bool:
        """Return whether a file is there."""
        return self._path(*name).is_file()

    def remove(self, *name: str) -> None:
        """Remove a file, if it is there."""
        self._path(*name).unlink(missing_ok=True)

    def write(self, *name: str, content: bytes) -> None:
        """A file, whole or not at all."""
        write_whole(self._path(*name), content, part=self.root / _WRITING / str(os.getpid()))

    def fact(self, kind: str, *parts: object, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain JSON
        """The result of `make` as plain JSON: computed once for the same `parts`, which have a stable `repr`.

        >>> from tempfile import mkdtemp
        >>> store = ReplayStore(Path(mkdtemp()))
        >>> [store.fact("sum", 1, 2, make=lambda: made) for made in (3, 4)]
        [3, 3]
        """
        name = f"{fingerprint_of(kind, *parts):016x}.json"
        content = self.read("facts", kind, name)
        if content is None:
            content = json.dumps(make()).encode()
            self.write("facts", kind, name, content=content)
        return json.loads(content)

    def vector(self, kind: str, *parts: object, make: "Callable[[], NDArray[np.float64]]") -> "NDArray[np.float64]":
        """The result of `make` as an array of numbers, computed once like a fact."""
        import numpy as np

        name = f"{fingerprint_of(kind, *parts):016x}.npy"
        content = self.read(kind, name)
        if content is not None:
            vector: NDArray[np.float64] = np.load(io.BytesIO(content), allow_pickle=False)
            return vector
        numbers, buffer = make(), io.BytesIO()
        np.save(buffer, numbers, allow_pickle=False)
        self.write(kind, name, content=buffer.getvalue())
        return numbers

    def _path(self, *name: str) -> Path:
        return self.root.joinpath(_FORMAT, *name)
