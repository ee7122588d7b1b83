"""The drop zone of one model, as whatever fills it with files sees it: where, until when, and how far it has come."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from ml_assets.spec.cadence import Cadence

Progress = Callable[[int, int], None]
"""Told (done, all) of a long work."""

_MARK = ".unfinished.json"


class Bar(Protocol):
    """What shows the progress of a work while its body runs."""

    def __call__(self, title: str, unit: str = ..., kept: str = ..., /) -> AbstractContextManager[Progress]:
        """Show the work `title`; the body is given a function of (done, all), counted in `unit`."""


def silent(title: str, unit: str = "", kept: str = "", /) -> AbstractContextManager[Progress]:
    """A bar that shows nothing."""
    del title, unit, kept
    return nullcontext(lambda done, total: None)  # noqa: ARG005 - nobody looks


@dataclass(frozen=True)
class DropZone:
    """Where the files of one model go; the function that a `sample:` names is given one.

    Args:
        model: the model's name.
        folder: its folder of files, such as `data/incoming/churn`.
        cadence: the model's as-of dates.
        today: the calendar.
        command: what is typed to go on after an interruption; empty where `ml-assets run` goes on by itself.
        bar: shows progress.
    """

    model: str
    folder: Path
    cadence: Cadence
    today: date
    command: str = ""
    bar: Bar = silent

    @contextmanager
    def mark_unfinished(self, end: date | None = None) -> Iterator[None]:
        """Mark the folder as incomplete until the body ends; whoever is killed in it leaves the mark.

        Args:
            end: of the history that is written; None where files are appended to one.
        """
        mark = self.folder / _MARK
        self.folder.mkdir(parents=True, exist_ok=True)
        state = Unfinished("" if end is None else str(end), self.command)
        mark.write_text(json.dumps(asdict(state)), encoding="utf-8")
        yield
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class Unfinished:
    """A history of which only a part is written.

    Args:
        end: of the history, as ISO text; empty where files are appended.
        command: what writes the rest; empty where `ml-assets run` does that by itself.
    """

    end: str
    command: str


def unfinished_history(folder: Path) -> Unfinished | None:
    """The history that was being written to a folder when somebody ended it; None where all is whole."""
    mark = folder / _MARK
    try:
        return Unfinished(**json.loads(mark.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # killed while it wrote the mark: nothing else was written yet
        return Unfinished("", "")
