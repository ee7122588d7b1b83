"""Files of one's own into a drop zone, as they are."""

import filecmp
import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from ml_assets.errors import DataError

_WEEK = timedelta(days=7)


def deliver(source: Path, target: Path, as_of: date, progress: Callable[[int, int], None]) -> int:
    """Copy the files of a folder, with its subfolders, below `target`; what stands there already is left alone.

    They count as received in the week before `as_of`, so that the next run takes them up: a file says when it was
    changed, and not when it came. Each appears whole, under its own name.

    Args:
        source: the folder; hidden files are left out.
        target: of the drop zone.
        as_of: the last as-of date.
        progress: told files done and all files.

    Returns:
        How many files are new.

    Raises:
        DataError: there is no such folder, or nothing in it.
    """
    found = sorted(path for path in source.rglob("*") if path.is_file() and not _hidden(path.relative_to(source)))
    if not found:
        raise DataError(f"{source} holds no files: name a folder with documents")
    new = 0
    for done, path in enumerate(found, start=1):
        new += _copied(path, target / path.relative_to(source), as_of)
        progress(done, len(found))
    return new


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _copied(path: Path, to: Path, as_of: date) -> bool:
    if to.exists() and filecmp.cmp(path, to, shallow=False):
        return False
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    shutil.copyfile(path, part)
    midnight = datetime.combine(as_of, time(), UTC)
    at = min(max(path.stat().st_mtime, (midnight - _WEEK).timestamp() + 1), midnight.timestamp() - 1)
    os.utime(part, (at, at))
    part.replace(to)
    return True
