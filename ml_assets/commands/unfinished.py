"""A history that is being written: until it is whole, `ml-assets run` does not take the part for the whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = ".unfinished.json"


@dataclass(frozen=True)
class Unfinished:
    """What was being written.

    Args:
        end: of the history, as ISO text; empty where files are appended.
        command: what writes the rest; empty where `ml-assets run` does that by itself.
    """

    end: str
    command: str


@contextmanager
def writing(folder: Path, end: str, command: str) -> Iterator[None]:
    """Mark a folder until the body ends; whoever is killed in it leaves the mark."""
    mark = folder / _NAME
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(asdict(Unfinished(end, command))), encoding="utf-8")
    yield
    mark.unlink(missing_ok=True)


def unfinished(folder: Path) -> Unfinished | None:
    """What was being written to a folder when somebody ended it; None where all is whole."""
    mark = folder / _NAME
    try:
        return Unfinished(**json.loads(mark.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # killed while it wrote the mark: nothing else was written yet
        return Unfinished("", "")
