"""What a run leaves: memory, descriptors and processes, as /proc has them."""

import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean


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
        warm = min(self._warm, end / 2)
        length = min(minute, end / 3)
        first = [each for each in self._samples if warm <= each[0] <= warm + length]
        last = [each for each in self._samples if each[0] >= end - length]
        return tuple((fmean(each[1] for each in some), fmean(each[2] for each in some)) for some in (first, last))  # type: ignore[return-value]


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("Rss:")[1].split()[0]) / 1024


def of_folder(data: Path) -> list[int]:
    """The processes that were started over a data folder, their children included: it is in their environment."""
    wanted = f"ML_ASSETS_DATA={data}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def left(data: Path, patience: float = 10.0) -> int:
    """How many processes of a data folder are still there some seconds after the end."""
    until = time.monotonic() + patience
    while (found := of_folder(data)) and time.monotonic() < until:
        time.sleep(0.1)
    return len(found)
