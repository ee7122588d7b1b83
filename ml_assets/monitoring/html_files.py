"""HTML pages in a folder: each appears whole or not at all, and a bounded number of each kind is kept."""

from collections.abc import Callable
from pathlib import Path

from ml_assets.storage.files import atomic_path, part_of

EVIDENTLY = ".evidently.html"
"""How the name of Evidently's pages ends; ours end in `.html`."""


def write(path: Path, save: Callable[[Path], object], keep: int) -> None:
    """Write a page under another name and rename it, then delete all but the last `keep` pages of its kind.

    Args:
        path: the page; its folder holds the pages of one model.
        save: writes a file of the name that it is given.
        keep: at least 1.
    """
    with atomic_path(path, part=part_of(path, shared=True)) as part:
        save(part)
    prune(path.parent, keep, evidently=path.name.endswith(EVIDENTLY))


def prune(folder: Path, keep: int, *, evidently: bool = False) -> list[Path]:
    """Delete all but the last `keep` pages of a kind written to a folder; returns what was deleted."""
    pages = [path for path in folder.glob("*.html") if path.name.endswith(EVIDENTLY) is evidently]
    by_age = sorted(pages, key=lambda path: (path.stat().st_mtime_ns, path.name))
    old = by_age[: max(len(by_age) - keep, 0)]
    for path in old:
        path.unlink(missing_ok=True)
    return old
