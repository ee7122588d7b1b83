"""What tests that start real processes share."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from filelock import FileLock

R = TypeVar("R")


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of a process over a data folder of its own.

    Settings of this process are left out: mlflow exports the tracking URI of a test that trained here to every child.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ML_ASSETS", "MLFLOW"))}
    return inherited | {"ML_ASSETS_DATA": str(data)} | more


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made by the first process of tests that asks for it; the others wait, and only read it.

    Args:
        factory: of this process.
        name: of the folder, one for each content.
        make: fills it.
    """
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made-once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of who failed
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@contextmanager
def tracking(backend: str, folder: Path, *, artifacts: str | None, port: int = 0) -> Iterator[str]:
    """MLflow's tracking server over a database, killed in the end; its URL.

    Args:
        backend: the URI of the database.
        folder: for its log, and for the artifacts that it serves itself.
        artifacts: where clients write artifacts; None: they send them to the server.
        port: of TCP; 0: any that is free.
    """
    chosen = port or free_port()
    where = ["--default-artifact-root", artifacts] if artifacts else ["--artifacts-destination", f"{folder}/served"]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(chosen), "--workers", "1",
        "--backend-store-uri", backend, *where,
    ]  # fmt: skip
    quiet = environment(folder, MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    with (folder / "mlflow.log").open("ab") as said:
        process = subprocess.Popen(command, env=quiet, stdout=said, stderr=said, start_new_session=True)
    try:
        yield answering(f"http://127.0.0.1:{chosen}", "/health")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def race(function: Callable[..., R], arguments: Sequence[tuple[object, ...]]) -> list[R]:
    """What a function gives in as many processes as there are arguments, all at once.

    Not a `multiprocessing.Pool`, which is left by ending its processes: one that is ended while it holds their common
    lock keeps the others, and the test, waiting for ever.
    """
    with ProcessPoolExecutor(len(arguments), mp_context=get_context("spawn")) as pool:
        return [each.result() for each in [pool.submit(function, *given) for given in arguments]]


def answering(url: str, path: str, seconds: float = 180) -> str:
    """The URL, as soon as it answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url + path, timeout=5):  # noqa: S310 - of this machine
                return url
        except (URLError, OSError):
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.1)


def free_port() -> int:
    """A port of TCP that nobody listens at."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def over(data: Path) -> list[int]:
    """The living processes that were started over a data folder, and all that those have started."""
    wanted, found = f"ML_ASSETS_DATA={data}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # of another user, or gone
            if wanted in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parts[2]))
    return found


def gone(data: Path, seconds: float = 10) -> bool:
    """Whether none of them is left, after a while at the latest: what was killed needs a moment to be gone."""
    end = time.monotonic() + seconds
    while over(data) and time.monotonic() < end:
        time.sleep(0.05)
    return not over(data)
