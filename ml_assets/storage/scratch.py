"""A folder for the temporary files of a process and its children, which is gone with it.

Whoever is killed leaves its folder, without the lock: the next process that makes one removes it.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "ml_assets-scratch-"  # whatever else begins with our name may be somebody's data
_NEW = 5.0  # seconds in which an empty folder may be one that is not locked yet


@contextmanager
def scratch() -> Iterator[Path]:
    """Make the folder the place of temporary files, for this process and those that it starts, until the body ends."""
    before, folder_before = os.environ.get("TMPDIR"), tempfile.tempdir
    _remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        yield folder
    finally:
        tempfile.tempdir = folder_before
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # of somebody else, or removed by another process that starts now
            if _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    """Whether a folder of this user is locked by nobody, and will not be in a moment."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid() or (not any(folder.iterdir()) and time.time() - status.st_mtime < _NEW):
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)
    return True
