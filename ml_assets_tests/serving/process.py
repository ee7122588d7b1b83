"""`ml-assets serve` as a user starts it: a process group of its own, asked over HTTP, ended whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from ml_assets.settings import PROJECT
from ml_assets_tests.processes import environment, free_port

COMMAND = Path(sys.executable).with_name("ml-assets")
PATIENCE = 60.0
"""Seconds until a server that does not start, or a state that does not come, fails a test; CI has two busy cores."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Server:
    """A server under way.

    Args:
        process: its parent, the leader of a session.
        url: without a slash at the end.
        client: with connections that are kept.
        output: a file of what its processes have written.
    """

    process: "subprocess.Popen[bytes]"
    url: str
    client: httpx2.Client
    output: Path

    @property
    def parent(self) -> int:
        """The process that follows the registry."""
        return self.process.pid

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """The processes that answer, the oldest first; those of a parent that has died are nobody's and not here."""
        return sorted(pid for pid in _children(self.parent) if "spawn_main" in _command(pid))

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, json: Any, **options: Any) -> httpx2.Response:
        return self.client.post(path, json=json, **options)

    def health(self) -> dict[str, str]:
        """What is degraded, and why."""
        found: dict[str, str] = self.get("/health").json()["degraded"]
        return found

    def log(self) -> str:
        """What its processes have written."""
        return self.output.read_text(errors="replace")

    def wait(self, what: str, look: Callable[[], Found | None], patience: float = PATIENCE) -> Found:
        """What `look` finds, once it finds something; a connection that is refused is nothing."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with suppress(httpx2.TransportError):
                if found := look():
                    return found
            time.sleep(0.05)
        with suppress(httpx2.TransportError):
            what = f"{what} (degraded: {self.health()})"
        pytest.fail(f"{what} did not come within {patience:g} s\n{self.log()[-3000:]}")

    def ready(self) -> bool:
        """Whether it says that it is."""
        if self.process.poll() is not None:
            pytest.fail(f"the server has ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        return self.get("/ready").status_code == 200

    def alive(self) -> bool:
        """Whether it answers at all."""
        if self.process.poll() is not None:
            pytest.fail(f"the server has ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        return self.get("/health").status_code == 200

    def stop(self, patience: float = 15) -> None:
        """As Ctrl-C does; then by force, with all that is left of its group."""
        for kind in (signal.SIGCONT, signal.SIGTERM):  # one that a test has stopped could not end
            self.process.send_signal(kind)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self.parent, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(
    data: Path, workers: int = 1, *, ready: bool = True, port: int = 0, host: str = "127.0.0.1", **variables: str
) -> Iterator[Server]:
    """A server over a data folder.

    Args:
        data: its folder; releases are put there before, by `released.release`.
        workers: processes that answer.
        ready: wait until it says that it is, and not only until it answers.
        port: 0: one that is free.
        host: to listen on.
        variables: of its environment, such as ML_ASSETS_ONLINE_STORE.
    """
    data.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [str(COMMAND), "serve", "--host", host, "--port", str(port), "--workers", str(workers)]
    url, output = f"http://{host}:{port}", data / f"server-{port}.log"
    with output.open("ab") as said, httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment(data, **variables), stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
        server = Server(process, url, client, output)
        try:
            server.wait("the server", server.ready if ready else server.alive)
            yield server
        finally:
            server.stop()


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return _stat(pid)[0] in {"Z", "X"}
    except OSError:
        return True


def _children(parent: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end while it is looked at
            if _stat(int(entry.name))[1] == str(parent):
                yield int(entry.name)


def _stat(pid: int) -> list[str]:
    """State and parent, and what follows: the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
