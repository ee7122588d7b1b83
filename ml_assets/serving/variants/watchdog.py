"""The watchdog of the event loop: ends a run of ONNX Runtime there that takes too long."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

LATEST = 1.0
"""Seconds after which an answer is too late, however busy the machine is."""

_LOOKS = 4  # while a run takes as long as it may
_SHORTEST, _LONGEST = 0.01, 0.1  # seconds between two looks, while there is something to watch
_IDLE = 1.0  # seconds without a run, after which it sleeps until it is woken
_HOPELESS = 10.0  # seconds after which a run that was told to end, and does not, is given up


def thread_clock() -> int:
    """The clock of this thread's processor time, which others can read; where there is none, that of the time.

    macOS has none: a machine that is busy then makes answers late, and nothing fails for the want of a clock.
    """
    find = getattr(time, "pthread_getcpuclockid", None)
    return time.CLOCK_MONOTONIC if find is None else int(find(threading.get_ident()))


class WatchedRun(NamedTuple):
    """A run under way.

    Args:
        run: options of ONNX Runtime.
        clock: of the work of its thread.
        seconds: of work that it may take.
        release: that answers.
    """

    run: Any
    clock: int
    seconds: float
    release: str


class Watchdog:
    """A thread that is started by the first run. One run is watched at a time, for there is one event loop.

    While ONNX Runtime works it holds no lock of Python, so the watchdog sees it; it ends between two of its nodes.
    Work counts, as in the threads, and not what a busy machine lets it wait. All that a run costs its own thread is to
    leave word of itself: its time counts from the look that finds it, a quarter of the deadline later at the most.

    Args:
        give_up: told the release whose run does not end, in the thread of the watchdog; nobody is answered any more.
    """

    def __init__(self, give_up: Callable[[str], None]) -> None:
        self._give_up = give_up
        self._due: WatchedRun | None = None
        self._clock: tuple[int, int] = (0, 0)  # of which thread, and its clock
        self._thread: threading.Thread | None = None
        self._is_asleep = False
        self._wake = threading.Event()
        self._closed = False

    def watch(self, run: Any, seconds: float, release: str) -> Self:  # noqa: ANN401 - onnxruntime has no types
        """Watch a run of this thread while the context is open.

        Args:
            run: its options.
            seconds: of work, after which it is told to end.
            release: that answers.
        """
        thread = threading.get_ident()
        if self._clock[0] != thread:
            self._clock = thread, thread_clock()
        self._due = WatchedRun(run, self._clock[1], seconds, release)
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_on, name="watchdog", daemon=True)
            self._thread.start()
        elif self._is_asleep:
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
        pause, last = _SHORTEST, time.monotonic()
        while not self._closed:
            time.sleep(pause)
            due = self._due
            if due is not None:
                pause, last = min(max(due.seconds / _LOOKS, _SHORTEST), _LONGEST), time.monotonic()
                with suppress(OSError):  # its thread has ended, and the clock with it
                    self._await_end(due, pause)
            elif time.monotonic() - last > _IDLE:
                self._sleep()
                last = time.monotonic()

    def _await_end(self, due: WatchedRun, pause: float) -> None:
        """Look at one run until it is over."""
        work, latest = time.clock_gettime(due.clock) + due.seconds, time.monotonic() + max(due.seconds, LATEST)
        while self._due is due and not self._closed:
            now = time.monotonic()
            if time.clock_gettime(due.clock) > work or now > latest:
                due.run.terminate = True
            if now > latest + _HOPELESS:
                self._give_up(due.release)
            time.sleep(pause)

    def _sleep(self) -> None:
        self._wake.clear()
        self._is_asleep = True
        if self._due is None and not self._closed:  # else somebody has come who did not see that this sleeps
            self._wake.wait()
        self._is_asleep = False
