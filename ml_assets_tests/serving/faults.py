"""What a server depends on, and how it is taken away: a Redis to kill, a wire to cut, a disk to fill."""

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.processes import free_port


@dataclass
class Redis:
    """A Redis of the test's own, which has everything on disk: it can be killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not _answers(self.port):
            assert time.monotonic() < until
            time.sleep(0.05)

    def send(self, kind: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(kind)
        if kind is signal.SIGKILL:
            self.process.wait()

    def follow(self, host: str, port: str) -> None:
        """Become a replica of another one, or of none: `NO`, `ONE`."""
        with self.client() as client:
            client.execute_command("REPLICAOF", host, port)

    def client(self) -> Any:
        from redis import Redis as Client

        return Client(port=self.port)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
        probe.settimeout(1)
        probe.sendall(b"PING\r\n")
        return probe.recv(10).startswith(b"+PONG")
    return False


@contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """A Redis that answers."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server is installed")
    folder.mkdir()
    made = Redis(folder)
    made.start()
    try:
        yield made
    finally:
        made.send(signal.SIGKILL)


class Wire:
    """A TCP proxy: everything goes to a server, until the wire is cut, or nothing moves on it any more.

    Args:
        port: of the server, on this machine.
    """

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._target = port
        self._flows = threading.Event()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        """Let connections through, new ones and those that hang."""
        self._flows.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def hang(self) -> None:
        """Nothing moves; connections stay open, and new ones are accepted."""
        self._flows.clear()

    def cut(self) -> None:
        """Connections break, and new ones are refused."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self._listener.close()
            self._listener = None
        while self._open:
            _end(self._open.pop())

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._open += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(some)
        _end(source)
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # `close` alone leaves a thread in `recv`
    connection.close()


@contextmanager
def wire(port: int) -> Iterator[Wire]:
    """A proxy as long as it is used."""
    made = Wire(port)
    try:
        yield made
    finally:
        made.mend()
        made.cut()


def fill(disk: Path) -> Path:
    """A file that takes all the space that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0" * 4096)
    return ballast


def remount(disk: Path, mode: str) -> None:
    """Make a disk `ro` or `rw`."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


def move_away(file: Path) -> Path:
    """Rename a file with what SQLite keeps beside it; `bring_back` undoes it."""
    for part in _parts(file):
        part.rename(part.with_name(f"away-{part.name}"))
    return file.with_name(f"away-{file.name}")


def bring_back(away: Path) -> None:
    """Put a file back in the place of whatever is there now."""
    file = away.with_name(away.name.removeprefix("away-"))
    for part in _parts(file):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    for part in _parts(away):
        part.rename(part.with_name(part.name.removeprefix("away-")))


def _parts(file: Path) -> list[Path]:
    return [part for end in ("", "-wal", "-shm") if (part := file.with_name(file.name + end)).exists()]
