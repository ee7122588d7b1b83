"""Files of strangers as documents: read in child processes that a bad file can neither hang nor take down with it."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Any, Self

from ml_assets.documents.document import LIMITS, Document, ReadingLimits, UnreadableError
from ml_assets.documents.extractor import Extractor
from ml_assets.documents.read import UNNAMED, load
from ml_assets.documents.sandbox import Sandbox

_AHEAD = 2  # files for each process that are loaded before they are asked for


class DocumentReader:
    """A context manager that reads files in child processes; any number of threads may use it.

    A child is started when it is needed, kept for the next file, and replaced when a file killed it.

    Args:
        limits: of each file; time and memory are those of the child.
        processes: children at once; default: as many as there are processors for `limits.threads` each.
    """

    def __init__(self, limits: ReadingLimits = LIMITS, processes: int | None = None) -> None:
        self._limits = limits
        self._processes = processes or max(1, (os.cpu_count() or 1) // limits.threads)
        self._lock = threading.Lock()
        self._children: set[Sandbox] = set()
        self._idle: LifoQueue[Sandbox | None] = LifoQueue()  # the child used last is asked next; None = not started
        for _ in range(self._processes):
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def limits(self) -> ReadingLimits:
        """Of each file."""
        return self._limits

    @property
    def pids(self) -> list[int]:
        """The children that are running."""
        with self._lock:
            return [child.pid for child in self._children if child.alive]

    def read(self, content: bytes | Path) -> Document:
        """Read a file; waits while all children are busy.

        Args:
            content: the file, or where it is.

        Raises:
            UnreadableError: it cannot be read; `code` says why.
        """
        data, name = load(content, self._limits)
        with self._child() as child:
            return child.read(data, name)

    def extract(self, text: str, extractor: Extractor) -> dict[str, Any]:
        """Facts that an extractor finds in the text of a document, by column; waits while all children are busy.

        Raises:
            UnreadableError: `extractor`: it fails on this text; `timeout`, `memory`, `crashed`.
        """
        with self._child() as child:
            return child.extract(text, UNNAMED, extractor)

    def read_all(self, contents: Iterable[bytes | Path]) -> Iterator[Document | UnreadableError]:
        """Read many files, as many at once as there are children; in their order, each a document or its error."""
        waiting: deque[Future[Document | UnreadableError]] = deque()
        with ThreadPoolExecutor(self._processes) as pool:
            for content in contents:
                waiting.append(pool.submit(self._tried, content))
                if len(waiting) >= _AHEAD * self._processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def close(self) -> None:
        """End the children; a file that is being read is given up."""
        with self._lock:
            children, self._children = self._children, set()
        for child in children:
            child.end()

    def _tried(self, content: bytes | Path) -> Document | UnreadableError:
        try:
            return self.read(content)
        except UnreadableError as error:
            return error

    @contextmanager
    def _child(self) -> Iterator[Sandbox]:
        child = self._idle.get()
        try:
            if child is None or not child.alive:
                child = self._started(child)
            yield child
        finally:
            self._idle.put(child)

    def _started(self, dead: Sandbox | None) -> Sandbox:
        with self._lock:
            if dead:
                self._children.discard(dead)
                dead.end()
            child = Sandbox(self._limits)
            self._children.add(child)
            return child
