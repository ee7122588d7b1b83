"""The watchdog of the event loop: ends a run of ONNX Runtime there that takes too long."""

import threading
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

LATEST = 1.0
"""Seconds after which an answer is too late, however busy the machine is."""

_LOOK = 0.01  # seconds between two looks, while there is something to watch
_IDLE = 100  # looks at nothing, after which it sleeps until it is woken


class WatchedRun(NamedTuple):
    """A run under way.

    Args:
        run: options of ONNX Runtime.
        clock: of the processor time of its thread.
        work: what that clock shows when the run has worked for too long.
        latest: when it is too late all the same, by the monotonic clock.
    """

    run: Any
    clock: int
    work: float
    latest: float

    def is_late(self) -> bool:
        """Tell whether it is to end."""
        return time.clock_gettime(self.clock) > self.work or time.monotonic() > self.latest


class Watchdog:
    """A thread that is started by the first run. One run is watched at a time, for there is one event loop.

    While ONNX Runtime works it holds no lock of Python, so the watchdog sees it; it ends between two of its nodes.
    Work counts, as in the threads, and not what a busy machine lets it wait.
    """

    def __init__(self) -> None:
        self._due: WatchedRun | None = None
        self._thread: threading.Thread | None = None
        self._asleep = threading.Event()
        self._wake = threading.Event()
        self._closed = False

    def watch(self, run: Any, seconds: float) -> Self:  # noqa: ANN401 - onnxruntime has no types
        """Watch a run of this thread while the context is open; after so many seconds of work it is told to end."""
        clock = time.pthread_getcpuclockid(threading.get_ident())
        latest = time.monotonic() + max(seconds, LATEST)
        self._due = WatchedRun(run, clock, time.thread_time() + seconds, latest)
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_on, name="watchdog", daemon=True)
            self._thread.start()
        elif self._asleep.is_set():
            self._wake.set()
        return self

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._due = None

    def _look_on(self) -> None:
        looks = 0
        while not self._closed:
            time.sleep(_LOOK)
            looks = 0 if self._look() else looks + 1
            if looks > _IDLE:
                self._sleep()
                looks = 0

    def _look(self) -> bool:
        """Look once; false: there was nothing to watch."""
        due = self._due
        if due is not None and due.is_late():
            due.run.terminate = True
        return due is not None

    def _sleep(self) -> None:
        self._wake.clear()
        self._asleep.set()
        if self._due is None and not self._closed:  # else somebody has come who did not see that this sleeps
            self._wake.wait()
        self._asleep.clear()
