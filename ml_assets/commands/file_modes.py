"""Whose files: what the loop writes is for its user alone; what a user asks for elsewhere is as open as they say."""

import os
from contextlib import suppress
from pathlib import Path

_PRIVATE = 0o077
_typed = list[int]()  # the umask of whoever typed the command


def keep_private() -> None:
    """From now on files of this process and its children are 0600 and folders 0700: entities, features, texts."""
    before = os.umask(_PRIVATE)
    if not _typed:
        _typed.append(before)


def hand_over(path: Path) -> None:
    """Give a file, or a folder with all that is in it, the modes that the user's own umask would have given it."""
    umask = _typed[0] if _typed else _PRIVATE
    for each in (path, *(path.rglob("*") if path.is_dir() else ())):
        with suppress(OSError):  # of a file system without modes
            each.chmod((0o777 if each.is_dir() else 0o666) & ~umask)


def others_may(data: Path) -> list[Path]:
    """What of a data folder others on this machine may enter or read; a drop zone may be open to a group."""
    if not data.exists() or not _open(data, _PRIVATE):
        return []
    return sorted(
        each
        for each in data.iterdir()
        if each.name not in {"README.md", ".gitignore"} and _open(each, 0o007 if each.name == "incoming" else _PRIVATE)
    )


def _open(path: Path, to: int) -> bool:
    return not path.is_symlink() and bool(path.stat().st_mode & to)
