"""Files of one's own into a drop zone, as they are."""

import filecmp
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

from ml_assets.errors import DataError
from ml_assets.storage.files import atomic_path

_WEEK = timedelta(days=7)


def deliver(source: Path, target: Path, as_of: date, progress: Callable[[int, int], None]) -> int:
    """Copy the files of a folder, with its subfolders, below `target`; what stands there already is left alone.

    They count as received in the week before `as_of`, so that the next run takes them up; `arrivals` beside `target`
    says so. Each appears whole, under its own name.

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
    files = sorted(path for path in source.rglob("*") if path.is_file() and not _hidden(path.relative_to(source)))
    if not files:
        raise DataError(f"{source} holds no files: name a folder with documents")
    new = [path for path in files if not _stands(path, target / path.relative_to(source))]
    if new:
        _announce(new, target.parent / "arrivals", as_of)
    for done, path in enumerate(new, start=len(files) - len(new) + 1):
        to = target / path.relative_to(source)
        _place(to, partial(shutil.copyfile, path))
        progress(done, len(files))
    return len(new)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _stands(path: Path, to: Path) -> bool:
    return to.exists() and filecmp.cmp(path, to, shallow=False)


def _announce(paths: Sequence[Path], folder: Path, as_of: date) -> None:
    """Say when the files arrive, before they do."""
    rows = [{"document_id": _sha(path), "received_at": _arrival(path, as_of)} for path in paths]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    name = f"delivered-{hashlib.sha256(lines.encode()).hexdigest()[:12]}.jsonl"
    _place(folder / name, lambda part: part.write_text(lines, encoding="utf-8"))


def _sha(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _arrival(path: Path, as_of: date) -> str:
    """When the file was last changed, if that was in the week before `as_of`; else the end of it that is nearer."""
    midnight = datetime.combine(as_of, time(), UTC)
    at = min(max(path.stat().st_mtime, (midnight - _WEEK).timestamp() + 1), midnight.timestamp() - 1)
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}"


def _place(to: Path, write: Callable[[Path], object]) -> None:
    with atomic_path(to) as part:
        write(part)
