"""A server as a process group of its own: started, watched through /proc, and ended whatever happens."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from benchmarks.process import PROJECT, BenchmarkError

_PATIENCE = 120  # seconds until a server must answer
_GRACE = 15  # seconds that it has to end by itself
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class _Seen:
    """What /proc says of a process: whose child it is, when it began, and what it has taken."""

    pid: int
    parent: int
    session: int
    began: int
    cpu: float
    resident: float


class Server:
    """A server under way.

    Args:
        process: its first process, the leader of a session.
        port: on 127.0.0.1.
        said: what it has written.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, said: IO[bytes]) -> None:
        self.port = port
        self._process = process
        self._said = said

    def await_until(self, answers: Callable[[], bool]) -> None:
        """Ask until it answers.

        Raises:
            BenchmarkError: it ended, or took too long.
        """
        started = time.perf_counter()
        while not answers():
            if self._process.poll() is not None or time.perf_counter() - started > _PATIENCE:
                raise BenchmarkError(f"{self._process.args!r} does not answer:\n{self.output()}")
            time.sleep(0.1)

    def output(self) -> str:
        """The end of what it has written."""
        self._said.flush()
        return Path(self._said.name).read_text(errors="replace")[-4000:]

    def cpu(self) -> float:
        """Seconds of processors that all its processes have taken, those that have ended included."""
        return sum(self.taken().values())

    def taken(self) -> dict[int, float]:
        """Seconds of processors of each process."""
        return {seen.pid: seen.cpu for seen in self._tree()}

    def resident(self, pid: int) -> float:
        """MiB of one of its processes.

        Raises:
            BenchmarkError: it has ended.
        """
        found = [seen.resident for seen in self._tree() if seen.pid == pid]
        if not found:
            raise BenchmarkError(f"process {pid} has ended under load:\n{self.output()}")
        return found[0]

    def end(self) -> None:
        """Ask all its processes to end, then make them."""
        tree = self._tree()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        left = {(seen.pid, seen.began) for seen in [*tree, *self._tree()]} & {(it.pid, it.began) for it in _seen()}
        for pid, _ in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _tree(self) -> list[_Seen]:
        """Its session, and what descends from it in others."""
        everybody = _seen()
        found = {seen.pid: seen for seen in everybody if seen.session == self._process.pid}
        while more := {seen.pid: seen for seen in everybody if seen.parent in found and seen.pid not in found}:
            found |= more
        return list(found.values())


@contextmanager
def started(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Server]:
    """A server by its command, in which `{port}` stands for a free one.

    Args:
        command: what to run in the project's folder.
        variables: of its environment, beside ours.
    """
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="server-", suffix=".log") as said, _told():
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in command],
            env={**os.environ, **variables}, cwd=PROJECT, stdout=said, stderr=said, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        server = Server(process, port, said)
        try:
            yield server
        finally:
            server.end()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _told() -> Iterator[None]:
    """Whoever ends this process ends the servers too: SIGTERM becomes an exception, as Ctrl-C is one."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _seen() -> list[_Seen]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(_parsed(path.read_text()))
    return found


def _parsed(stat: str) -> _Seen:
    """See proc(5). The name may hold anything, so what counts comes after its last bracket; zombies have no memory."""
    pid, fields = int(stat.split(" ", 1)[0]), stat[stat.rindex(")") + 2 :].split()
    parent, session, began, pages = (int(fields[i]) for i in (1, 3, 19, 21))
    cpu = sum(int(fields[i]) for i in (11, 12, 13, 14)) / _TICKS
    return _Seen(pid, parent, session, began, cpu, pages * _PAGE / 1024**2)
