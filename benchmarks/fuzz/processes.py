"""What a run holds and leaves: memory, descriptors and processes, as /proc has them."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean

_Process = tuple[int, str]  # its number, and when it began: numbers are used again


class Watched:
    """Samples of processes over a run.

    Args:
        warm: seconds after which everything has been used once.
    """

    def __init__(self, warm: float) -> None:
        self._began = time.monotonic()
        self._warm = warm
        self._samples: list[tuple[float, float, float]] = []

    def look(self, *pids: int) -> None:
        """Keep what processes hold now: MiB and open descriptors."""
        with suppress(OSError):  # one has ended
            sizes = [_resident(pid) for pid in pids]
            opened = [len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in pids]
            self._samples.append((time.monotonic() - self._began, sum(sizes), sum(opened)))

    def first_and_last(self, minute: float = 60.0) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean MiB and descriptors in the first minute once all is warm, and in the last one."""
        end = self._samples[-1][0]
        warm, length = min(self._warm, end / 2), min(minute, end / 3)
        first = [each for each in self._samples if warm <= each[0] <= warm + length]
        return _mean(first), _mean([each for each in self._samples if each[0] >= end - length])

    def minutes(self) -> list[float]:
        """Mean MiB of each minute."""
        last = int(self._samples[-1][0] // 60)
        sizes = [[each[1] for each in self._samples if each[0] // 60 == minute] for minute in range(last + 1)]
        return [round(fmean(each), 1) for each in sizes if each]


def _mean(samples: list[tuple[float, float, float]]) -> tuple[float, float]:
    return fmean(each[1] for each in samples), fmean(each[2] for each in samples)


class Started:
    """The processes that come to descend from this one while a body runs, also those whose parent has ended."""

    def __init__(self) -> None:
        self._before = _all().keys()
        self._seen: set[_Process] = set()

    def look(self) -> None:
        """Remember those that are there now."""
        parents = {pid: parent for (pid, _), parent in _all().items()}
        known = {pid for pid, _ in self._seen} | {os.getpid()}
        self._seen |= {process for process in _all().keys() - self._before if _descends(process[0], parents, known)}

    def left(self, patience: float = 10.0) -> list[str]:
        """The commands of those that are still there some seconds later."""
        until = time.monotonic() + patience
        while (found := self._seen & _all().keys()) and time.monotonic() < until:
            time.sleep(0.1)
        return [f"{pid} {_command(pid)}" for pid, _ in found]


@contextmanager
def started() -> Iterator[Started]:
    """Look twice a second who has come."""
    found, over = Started(), threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            found.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _descends(pid: int, parents: dict[int, int], known: set[int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid in known:
            return True
    return False


def _all() -> dict[_Process, int]:
    """All processes but those that have ended, and the parent of each."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stat = entry.read_text().rpartition(")")[2].split()
            if stat[0] not in {"Z", "X"}:
                found[int(entry.parent.name), stat[19]] = int(stat[1])
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")[:300]
    return ""


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("Rss:")[1].split()[0]) / 1024
