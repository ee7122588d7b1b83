"""Ctrl-C: the command ends soon, says what is done and how to go on, and exits with 130."""

import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CODE = 128 + signal.SIGINT

GRACE = 5.0
"""Seconds that work has to end after Ctrl-C. Whatever ends later is killed: the loop survives that."""


class StoppedError(Exception):
    """Ctrl-C ended the work; the message says what is done and how to go on."""


_pressed = threading.Event()
"""Whether Ctrl-C was pressed: a library, or Python itself in a callback, may swallow what a handler raises."""


def listen() -> None:
    """Take note of Ctrl-C from now on, whatever becomes of `KeyboardInterrupt`."""

    def note(*_: object) -> None:
        _pressed.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)


def ctrl_c_pressed() -> bool:
    """Whether Ctrl-C was pressed."""
    return _pressed.is_set()


def typed_command() -> str:
    """The command as it was typed, to be typed again."""
    return shlex.join(["ml-assets", *sys.argv[1:]])


def new_line() -> str:
    """What brings a terminal, which has shown `^C`, to the beginning of a line."""
    if not sys.stderr.isatty():
        return ""
    return "\n" if os.environ.get("TERM") in {"dumb", "unknown"} else "\r\x1b[2K"


def stopped_sentence() -> str:
    """What is said where nothing is known of the work."""
    return f"stopped; run `{typed_command()}` again to go on"


@contextmanager
def interruptible(sentence: Callable[[], str], noted: Callable[[], None], end: Callable[[str], None]) -> Iterator[None]:
    """Turn Ctrl-C in the body into `StoppedError`, whatever a library makes of it, and end what does not end.

    A thread is told of the signal by the system, so it acts also while the main thread is inside a library's own code.

    Args:
        sentence: what is done and how to go on.
        noted: called at once when Ctrl-C was pressed.
        end: called with the sentence before the process is killed.

    Raises:
        StoppedError: Ctrl-C was pressed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _pressed.is_set():
        raise StoppedError(sentence())
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(ours, sentence, noted, end), name="interrupt", daemon=True)
    watcher.start()
    try:
        yield
    except BaseException as error:
        _close(before, theirs, watcher)
        if _pressed.is_set() or isinstance(error, KeyboardInterrupt):
            raise StoppedError(sentence()) from None
        raise
    else:
        _close(before, theirs, watcher)
        if _pressed.is_set():
            raise StoppedError(sentence())
    finally:
        ours.close()


def _watch(
    ours: socket.socket, sentence: Callable[[], str], noted: Callable[[], None], end: Callable[[str], None]
) -> None:
    """End the process when Ctrl-C is pressed twice, or was pressed and the body goes on."""
    stopping = False
    while signals := _received(ours):
        if signal.SIGINT in signals:
            if stopping:
                end(sentence())
                os._exit(CODE)
            stopping = True
            _pressed.set()
            ours.settimeout(GRACE)
            noted()


def _received(ours: socket.socket) -> bytes:
    """The numbers of signals; none when the body has ended; that of Ctrl-C once more when it should have."""
    try:
        return ours.recv(64)
    except TimeoutError:
        return bytes([signal.SIGINT])


def _close(before: int, theirs: socket.socket, watcher: threading.Thread) -> None:
    signal.set_wakeup_fd(before)
    theirs.close()
    watcher.join()
