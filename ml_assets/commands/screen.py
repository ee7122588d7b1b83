"""The screen belongs to the command: what libraries and child processes write goes to the log."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ml_assets.escaping import printable
from ml_assets.redaction import redact

_MOST = 4_000_000
"""Bytes after which the log is begun anew; the one before is kept as `.old`."""


_log = Path(os.devnull)


class UnforeseenError(Exception):
    """Something failed in a way that a user cannot put right; its message is one line and names the log."""


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a text: names of files, cells and errors stand in it, and none of them is for a terminal to obey."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{plain(text)}\n")
    stream.flush()


def reveal(secret: str) -> None:
    """Print a secret as it is, for a command that is there to show it: `echo` would hide it."""
    sys.stdout.write(f"{secret}\n")
    sys.stdout.flush()


def plain(text: object) -> str:
    """What a terminal prints and obeys nothing of, in as many lines as it has; no secret of a URL."""
    return printable(redact(str(text)), keep="\n\t")


def log_to(data: Path) -> Path:
    """From now on the log of this process, for warnings of libraries and tracebacks, is in this data folder."""
    global _log  # noqa: PLW0603 - of the process, as the descriptors that `quiet` turns to it
    _log = data / "logs" / "ml-assets.log"
    return _log


def log_path() -> Path:
    """The log of this process; nothing is kept before `log_to` was called."""
    return _log


@contextmanager
def quiet() -> Iterator[IO[str]]:
    """Send to the log what anybody writes to standard output and error, Python or not.

    Yields:
        Standard error as it was.
    """
    _flush()
    originals, log = [os.dup(1), os.dup(2)], _opened()
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        with os.fdopen(os.dup(originals[1]), "w", encoding="utf-8", errors="replace") as screen:
            yield screen
    finally:
        _flush()
        for number, original in enumerate(originals, start=1):
            os.dup2(original, number)
            os.close(original)
        os.close(log)


def keep(text: str) -> Path | None:
    """Add a text to the log, below the time and the command; the log, or None where it cannot be written."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        log = _file()
    except OSError:
        return None
    with os.fdopen(log, "w", encoding="utf-8", errors="replace") as file:
        file.write(plain(f"{now} {' '.join(sys.argv[1:])}\n{text.rstrip()}\n"))
    return log_path()


def keep_traceback(error: BaseException) -> Path | None:
    """Add a traceback to the log."""
    return keep("".join(traceback.format_exception(error)))


def _opened() -> int:
    """The log, or nothing where the data folder cannot be written: the command says that, and more to the point."""
    try:
        return _file()
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _file() -> int:
    if _log == Path(os.devnull):
        raise FileNotFoundError("the log has no place yet")
    path = _log
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _MOST:
        path.replace(path.with_suffix(".old"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
