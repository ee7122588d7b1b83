"""The lock of a Dagster instance: `ml-assets up` holds it, and every process that it starts holds it, too."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ml_assets.commands.services import UpError
from ml_assets.settings import Settings

PATIENCE = 5.0
"""Seconds that processes which were killed with an `up` have to be gone."""


@contextmanager
def alone(settings: Settings) -> Iterator[int]:
    """Two daemons on one instance would start every scheduled run twice.

    Yields:
        The descriptor that holds the lock: it is free when nobody who inherited it is left.

    Raises:
        UpError: somebody holds it.
    """
    path, until = settings.dagster / "up.lock", time.monotonic() + PATIENCE
    with path.open("ab") as file:
        while not _locked(file):
            holders = _holders(path)
            if time.monotonic() > until or any(map(_is_up, holders)):
                raise UpError(_said(settings.data, path, holders))
            time.sleep(0.05)
        yield file.fileno()


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(data: Path, path: Path, found: list[int]) -> str:
    if leaders := [pid for pid in found if _is_up(pid)]:
        how = f"stop it with Ctrl-C where it runs or `kill {leaders[0]}`"
        return f"another `ml-assets up` (process {leaders[0]}) runs on {data}: {how}, or set ML_ASSETS_DATA"
    pids = " ".join(map(str, found)) or f"$(lsof -t {path})"
    return f"of an `ml-assets up` on {data} that was killed some processes are left: end them with `kill -9 {pids}`"


def _holders(path: Path) -> list[int]:
    """The processes that have a file open, as far as this user may know; none where there is no /proc."""
    lock, pids = path.stat(), set[int]()
    for each in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # of another user, or gone
            if os.path.samestat(each.stat(), lock):
                pids.add(int(each.parts[2]))
    return sorted(pids - {os.getpid()})


def _is_up(pid: int) -> bool:
    """Whether it is an `ml-assets up`, and not one of its services."""
    with suppress(OSError):
        return b"up" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
