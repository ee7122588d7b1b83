"""Progress on standard error; silent where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def display() -> Progress:
    """A progress display: spinner, description, bar, elapsed time."""
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """One bar; the body is given a function of (done, all)."""
    with display() as shown:
        task = shown.add_task(title, total=0)

        def progress(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)

        yield progress
