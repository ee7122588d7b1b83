"""Progress on standard error: an animated line at a terminal, plain lines at a dumb one, nothing elsewhere."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from ml_assets.commands.interrupt import interruptible, typed_command
from ml_assets.commands.screen import plain, quiet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Show = Callable[[str, int, int], None]
"""Told the step in progress, what is done, and all there is to do (0 where that is not known)."""


def nobody(step: str, done: int, total: int) -> None:
    """Nobody looks."""


_LOOK = 0.2
_COLUMNS, _KEPT = 80, 3
_HEARTBEAT = 1.5
"""Seconds after which a dumb terminal gets another line, at the latest."""


@dataclass
class Work:
    """What is being done.

    Args:
        title: what it is, for people: a model, or words that follow "while".
        unit: what is counted.
        kept: what becomes of the part that is done, as the end of a sentence.
        within: what the names of steps begin with in a sentence.
        step: the part in progress; after a colon, what of it.
        done: how many are done.
        total: of how many; 0 where that is not known.
        stopping: whether Ctrl-C was pressed.
    """

    title: str
    unit: str
    kept: str
    within: str = ""
    step: str = ""
    done: int = 0
    total: int = 0
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    def show(self, step: str, done: int, total: int) -> None:
        """Take note of the step, of what is done and of all there is."""
        self.step, self.done, self.total = plain(step), done, total

    @property
    def now(self) -> str:
        """The step, or that it is about to stop."""
        return "stopping …" if self.stopping else self.step

    @property
    def count(self) -> str:
        """`9/24`; empty where nothing is counted."""
        return f"{self.done:,}/{self.total:,}" if self.total else ""

    @property
    def elapsed(self) -> str:
        """`0:01:05`."""
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    def stopped_sentence(self) -> str:
        """What is done and how to go on."""
        step = self.step.partition(":")[0]
        where = f"in {self.within}{step}" if step else f"while {self.title}"
        done = f"{self.done:,} of {self.total:,} {self.unit} are {self.kept}; " if self.total else ""
        return f"stopped {where}; {done}run `{typed_command()}` again to go on"


@contextmanager
def show_work(title: str, unit: str = "steps", kept: str = "done and kept", within: str = "") -> Iterator[Show]:
    """Show that something is being done, and what; the body is given a function of (step, done, all).

    Meanwhile what libraries write goes to the log, and Ctrl-C ends the body with a sentence that says what is done.

    Args:
        title: what is done.
        unit: what is counted: `9 of 24 steps`.
        kept: what becomes of it: `9 of 24 steps are done and kept`.
        within: what the names of steps begin with in a sentence: `churn/`.

    Raises:
        StoppedError: Ctrl-C was pressed.
    """
    work = Work(title, unit, kept, within)

    def note_stop() -> None:
        work.stopping = True

    with quiet() as screen:

        def end(sentence: str) -> None:
            clear = "\r\x1b[K\x1b[?25h" if screen.isatty() else ""
            screen.write(f"{clear}ml-assets: {plain(sentence)}\n")
            screen.flush()

        with interruptible(work.stopped_sentence, note_stop, end), _displayed(work, screen):
            yield work.show


@contextmanager
def display_work(title: str) -> Iterator[Show]:
    """The same for a command that listens to signals itself."""
    work = Work(title, "", "")
    with quiet() as screen, _displayed(work, screen):
        yield work.show


@contextmanager
def bar(title: str, unit: str = "files", kept: str = "written") -> Iterator[Callable[[int, int], None]]:
    """The same for work that has no steps; the body is given a function of (done, all)."""
    with show_work(title, unit, kept) as show:
        yield lambda done, total: show("", done, total)


def _displayed(work: Work, screen: IO[str]) -> AbstractContextManager[object]:
    from rich.console import Console

    console = Console(file=screen, width=_columns(screen) - _KEPT)
    if not console.is_terminal:
        return nullcontext()
    return _refreshed(work, screen, None if console.is_dumb_terminal else _line(console))


def _columns(screen: IO[str]) -> int:
    """The width of the terminal. Rich asks the standard streams, and two of them are the log now."""
    try:
        return os.get_terminal_size(screen.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS


def _line(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True, justify="right")),
        TextColumn("{task.fields[elapsed]}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[step]}", markup=False, table_column=rest),
        console=console,
        transient=True,
        expand=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )


@contextmanager
def _refreshed(work: Work, screen: IO[str], line: "Progress | None") -> Iterator[None]:
    """Draw again and again until the body ends: one line that changes, or a line for each change."""
    ended = threading.Event()
    draw = _drawing(work, screen, line) if line else _printing(work, screen)

    def loop() -> None:
        while not ended.wait(_LOOK if line is None else _LOOK / 2):
            draw()

    thread = threading.Thread(target=loop, name="progress", daemon=True)
    try:
        if line:
            line.start()
        draw()
        thread.start()
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()
        if line:
            line.stop()


def _drawing(work: Work, screen: IO[str], line: "Progress") -> Callable[[], None]:
    task = line.add_task(work.title, total=None, count="", elapsed=work.elapsed, step="")

    def draw() -> None:
        # Not the whole width: the terminal writes `^C` behind the line, and would break it there.
        line.console.width = _columns(screen) - _KEPT
        line.update(
            task, completed=work.done, total=work.total or None, count=work.count, elapsed=work.elapsed, step=work.now
        )
        line.refresh()

    return draw


def _printing(work: Work, screen: IO[str]) -> Callable[[], None]:
    last, printed = float("-inf"), ""

    def draw() -> None:
        nonlocal last, printed
        now, text = time.monotonic(), f"{work.title} {work.count} {work.now}"
        if (text != printed and now - last > _LOOK) or now - last >= _HEARTBEAT:
            last, printed = now, text
            screen.write("  ".join(part for part in (work.title, work.count, work.elapsed, work.now) if part) + "\n")
            screen.flush()

    return draw
