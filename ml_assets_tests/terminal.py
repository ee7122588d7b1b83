"""A command at a pseudo-terminal: what a person sees, how long nothing moved, what Ctrl-C does."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")
_LOOK = 0.02
# Ctrl-C is a signal to those whom the terminal controls; whoever runs the tests in the background has it ignored.
_CONTROL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True)
class Session:
    """What came of a command.

    Args:
        code: the exit code.
        text: everything that was written, without escape sequences.
        screen: what is left of it: a line that was drawn over or erased is not.
        silence: the longest time in seconds without a byte.
        ending: seconds from Ctrl-C to the end; 0 without.
    """

    code: int
    text: str
    screen: str
    silence: float
    ending: float = 0.0

    @property
    def lines(self) -> list[str]:
        """The lines that are left."""
        return [line.rstrip() for line in self.screen.splitlines() if line.strip()]


def at_terminal(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    columns: int = 80,
    term: str = "xterm-256color",
    press: str | None = None,
    after: float = 0.0,
    cwd: Path | None = None,
    timeout: float = 300,
) -> Session:
    """Run a command with a pseudo-terminal as its standard input, output and error, and as its controlling one.

    Args:
        command: program and arguments.
        environment: its variables; `TERM` is set.
        columns: the width.
        term: `TERM`.
        press: Ctrl-C is typed once this pattern has been written; None = never.
        after: seconds from then on.
        cwd: where it runs.
        timeout: seconds after which it is killed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    plain = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", _CONTROL, *map(str, command)], env=plain | {"TERM": term}, cwd=cwd,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    started, written, moments, pressed = time.monotonic(), b"", [time.monotonic()], 0.0
    try:
        for chunk in _chunks(ours, process):
            if chunk:
                written += chunk
                moments.append(time.monotonic())
            if press is not None and not pressed and re.search(press, plain_text(written)):
                time.sleep(after)
                os.write(ours, b"\x03")
                pressed = time.monotonic()
            assert time.monotonic() - started < timeout, plain_text(written)
        code = process.wait(10)
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
    silence = max(later - sooner for sooner, later in zip(moments, [*moments[1:], time.monotonic()], strict=True))
    text = plain_text(written)
    return Session(code, text, screen(written), silence, time.monotonic() - pressed if pressed else 0.0)


def plain_text(written: bytes) -> str:
    """Bytes of a terminal without escape sequences."""
    return _ESCAPE.sub("", written.decode(errors="replace"))


def screen(written: bytes) -> str:
    """What is left at a terminal that is high enough: carriage returns, erased lines and steps upward are followed."""
    rows, row, column = [""], 0, 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", written.decode(errors="replace")):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part.endswith("A") and part.startswith("\x1b["):
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            rows[row] = ""
        elif part and not part.startswith("\x1b["):
            line = rows[row].ljust(column)
            rows[row], column = line[:column] + part + line[column + len(part) :], column + len(part)
    return "\n".join(rows)


def _chunks(terminal: int, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """What is written, as it comes; nothing every now and then."""
    while True:
        ended = process.poll() is not None  # before the look: what it wrote at its end is then there
        ready, _, _ = select.select([terminal], [], [], _LOOK)
        if not ready:
            yield b""
            if ended:
                return
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux: the other side is closed
            return
        if not chunk:
            return
        yield chunk
