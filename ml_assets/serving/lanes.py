"""Lanes: a small thread pool for each kind of slow work, so that one kind does not hold up another."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ml_assets.serving.document_features import READERS
from ml_assets.serving.problem import unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """A thread pool with a bounded queue; who finds it full, or waits too long, is refused.

    Args:
        name: what is done here, as a sentence about too much of it says: "documents are being read".
        threads: at work at once.
        queue: that may wait.
        patience: seconds for which somebody waits for a thread.
    """

    def __init__(self, name: str, threads: int, queue: int, patience: float = 10.0) -> None:
        self._name = name
        self._most = threads + queue
        self._patience = patience
        self._inside = 0
        self._free = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name.partition(" ")[0])

    async def run(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Do work in a thread and return its result.

        Raises:
            Problem: 503, there is too much to do; or what the work raises.
        """
        if self._inside >= self._most:
            raise unavailable("busy", f"{self._most} {self._name}, or wait for it", "try again, or add workers")
        self._inside += 1
        try:
            await self._thread()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*given, **named))
            finally:
                self._free.release()
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Take no more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _thread(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            what = f"so many {self._name} that no turn came within {self._patience:g} s"
            raise unavailable("busy", what, "try again, or add workers") from None


class Lanes:
    """The lanes of a worker. A release is loaded in the threads of asyncio itself, which nothing else uses."""

    def __init__(self) -> None:
        self.unpacking = Lane("bodies are being unpacked", 1, 8)
        self.reading = Lane("files are being read", READERS, 8)
        self.describing = Lane("documents are being scored", 2, 64)
        self.searching = Lane("searches are under way", 4, 64)
        self.explaining = Lane("answers are being explained", 2, 64)
        self.tracing = Lane("questions for lineage are under way", 2, 64)

    def close(self) -> None:
        """Give the threads back."""
        for lane in (self.unpacking, self.reading, self.describing, self.searching, self.explaining, self.tracing):
            lane.close()
