"""Files that appear whole or not at all, and locks among the processes of one machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ml_assets.errors import MlAssetsError


def part_of(path: Path, *, shared: bool = False) -> Path:
    """Where a file is written before it is renamed: a hidden name beside it, whose ending no reader looks for.

    Args:
        path: the file.
        shared: others may write the same file at the same time, also from another container: no name is given twice.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part" if shared else f".{path.name}.part")


@contextmanager
def atomic_path(path: Path, *, part: Path | None = None, mode: int | None = None, sync: bool = False) -> Iterator[Path]:
    """Give the body a name to write to, and rename that to `path` when the body ends; nothing is left when it raises.

    Args:
        path: the file; its folder is created.
        part: the name to write to, on the same file system; default: `part_of(path)`.
        mode: the mode that the file is created with, by this process and none before; default: as the umask has it.
        sync: the content is on disk before the rename, so that a power failure leaves the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    part = part or part_of(path)
    for folder in (path.parent, part.parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        part.unlink(missing_ok=True)  # of a process that was killed
        if mode is not None:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield part
        if sync:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(
    path: Path, content: bytes | str, *, part: Path | None = None, mode: int | None = None, sync: bool = False
) -> Path:
    """Write a file, whole or not at all; returns `path`. Text is UTF-8, written as it is.

    Args:
        path: the file; its folder is created.
        content: what the file holds.
        part: as for `atomic_path`.
        mode: as for `atomic_path`.
        sync: as for `atomic_path`.

    Raises:
        OSError: the file cannot be written.

    >>> from tempfile import mkdtemp
    >>> path = write_whole(Path(mkdtemp()) / "notes" / "current.json", "{}")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('{}', ['current.json'])
    """
    with atomic_path(path, part=part, mode=mode, sync=sync) as hidden:
        hidden.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def hold_lock(path: Path | str, *, busy: MlAssetsError | None = None, patience: float = -1) -> Iterator[None]:
    """Hold a lock file among the processes of this machine; it is free again when its holder is killed.

    Args:
        path: the lock file; its folder is created, and it stays.
        busy: the error to raise at once where another process holds the lock; without one the lock is waited for.
        patience: seconds to wait; negative: for ever.

    Raises:
        MlAssetsError: `busy`.
        filelock.Timeout: the lock was not free within `patience`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience if busy is None else 0)
    except Timeout as error:
        if busy is None:
            raise
        raise busy from error
    try:
        yield
    finally:
        lock.release()
