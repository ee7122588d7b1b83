"""Releases that end the process that tries them: a crash of ONNX Runtime raises nothing, so it leaves a file behind."""

import fcntl
import logging
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEATHS = 2
"""Processes that may die of a release; then it is refused."""

_LOG = logging.getLogger("ml_assets.serving")
_PROVEN = 100  # answers of a process after which a release is not suspected any more


class CrashWatch:
    """Marks on disk while a process tries a release, which it has locked: who finds one unlocked, finds a death.

    A process that is killed between two attempts leaves none: the release is not to blame. Used by several threads.

    Args:
        folder: of the marks; the workers of a server share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._answers: Counter[str] = Counter()
        self._attempts: Counter[str] = Counter()
        self._locked: dict[str, int] = {}

    @contextmanager
    def attempt(self, release: str) -> Iterator[None]:
        """Mark a release as being tried; one that has answered often enough is not suspected any more."""
        if self._answers[release] >= _PROVEN:
            yield
            return
        self._begin(release)
        try:
            yield
            self._answers[release] += 1
        finally:
            self._end(release)

    def end_process(self, release: str) -> None:
        """End this process, which a release holds for ever: it counts as a death, and another process answers."""
        _LOG.error("release %s does not end its work in the event loop: this process ends, another one begins", release)
        self._begin(release)
        os.kill(os.getpid(), signal.SIGKILL)

    def deaths(self, release: str) -> int:
        """The number of processes that have died while they tried a release."""
        return sum(_is_abandoned(path) for path in self._folder.glob(f"{release}.*"))

    def refusal(self, release: str) -> str | None:
        """Why a release is not tried any more; None: it may be."""
        if (deaths := self.deaths(release)) < DEATHS:
            return None
        return f"{deaths} processes have died while they tried it; to try it again, remove {self._folder}/{release}.*"

    def _begin(self, release: str) -> None:
        with self._lock:
            self._attempts[release] += 1
            if self._attempts[release] == 1:
                self._locked[release] = self._mark(release)

    def _end(self, release: str) -> None:
        with self._lock:
            self._attempts[release] -= 1
            if not self._attempts[release]:
                self._path(release).unlink(missing_ok=True)
                os.close(self._locked.pop(release))

    def _path(self, release: str) -> Path:
        return self._folder / f"{release}.{self._process}"

    def _mark(self, release: str) -> int:
        """Make the file, and lock it before it has its name: nobody finds it unlocked."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(release)
        part = path.with_name(f".{path.name}")
        descriptor = os.open(part, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        part.rename(path)
        return descriptor


def _is_abandoned(path: Path) -> bool:
    """Tell whether nobody holds a mark."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:  # it was removed meanwhile
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return path.exists()
    finally:
        os.close(descriptor)
