import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ml_assets.commands import instance_lock as instance
from ml_assets.commands import running
from ml_assets.commands.instance_lock import alone
from ml_assets.commands.running import service_group
from ml_assets.commands.services import HOST, Service, UpError, require_free
from ml_assets.commands.up import watch
from ml_assets.settings import Settings
from ml_assets_tests.processes import environment, free_port, gone, over

_SLEEPS = "import time; time.sleep(60)"
# A service whose child does not listen to anybody.
_STUBBORN = (
    "import signal, subprocess, sys, time;"
    "child = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(60)';"
    "made = subprocess.Popen([sys.executable, '-c', child], stdout=subprocess.PIPE);"
    "made.stdout.readline(); print(1, file=sys.stderr, flush=True); time.sleep(60)"
)


def _service(name: str, code: str) -> Service:
    return Service(name, (sys.executable, "-c", code), "http://127.0.0.1:9", "/", Path(tempfile.mkdtemp()) / "log")


def _members(group: int) -> list[str]:
    """The living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pgrp) == group and state not in "ZX":
            found.append(path.parent.name)
    return found


def _left(group: int) -> list[str]:
    """Those that are there still after a while: what was killed needs a moment to be gone."""
    until = time.monotonic() + 10
    while (found := _members(group)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def test_a_taken_port_is_refused_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UpError, match=f"port {port} .*--port"):
            require_free(port)
    require_free(port)


def test_a_number_that_is_no_port_is_refused() -> None:
    with pytest.raises(UpError, match="70000 is no port"):
        require_free(70000)


def test_when_one_ends_the_command_ends_with_1_and_the_other_is_stopped(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with service_group() as services:
        for service in (_service("lasting", _SLEEPS), _service("short", "raise SystemExit(3)")):
            services.start(service)
        code = watch(services, threading.Event())
    assert code == 1
    assert "short ended by itself (exit code 3)" in capfd.readouterr().err
    assert [_left(process.pid) for process in services.processes.values()] == [[], []]


def test_told_to_stop_is_exit_code_0_and_nothing_is_left_of_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.5)  # the child uses up all that it is given
    told = threading.Event()
    with service_group() as services:
        process = services.start(_service("stubborn", _STUBBORN))
        while len(_members(process.pid)) < 2:
            time.sleep(0.05)
        told.set()
        assert watch(services, told) == 0
    assert _left(process.pid) == []


def test_what_was_started_is_stopped_when_something_else_breaks() -> None:
    def breaks() -> None:
        with service_group() as services:
            started.append(services.start(_service("lasting", _SLEEPS)).pid)
            raise KeyError("database")

    started: list[int] = []
    with pytest.raises(KeyError, match="database"):
        breaks()
    assert _left(started[0]) == []


# As `ml-assets up` does, with a service that hands on to its own child what it has inherited.
_HOLDING = """
import sys, time
from pathlib import Path
from ml_assets.commands.instance_lock import alone
from ml_assets.commands.running import Running
from ml_assets.commands.services import Service
from ml_assets.settings import Settings
with alone(Settings(data=Path(sys.argv[1]))) as lock:
    services = Running((lock,))
    process = services.start(Service("any", (sys.executable, "-c", sys.argv[2]), "", "", Path(sys.argv[1]) / "log"))
    print(process.pid, services._keeper.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed_with(tmp_path: Path) -> Iterator[Callable[..., list[int]]]:
    """Starts a service as `up` does, and kills that one; the processes that it had started: service and keeper."""
    (tmp_path / "dagster").mkdir()
    left: list[int] = []

    def start(code: str, *, without_keeper: bool = False) -> list[int]:
        command = [sys.executable, "-c", _HOLDING, str(tmp_path), code]
        with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            left.extend(map(int, process.stdout.readline().split()))
            while code == _STUBBORN and len(_members(left[0])) < 2:
                time.sleep(0.02)
            for pid in [left[1], process.pid] if without_keeper else [process.pid]:
                os.kill(pid, signal.SIGKILL)
        return left

    yield start
    for pid in left:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _try(data: Path) -> None:
    with alone(Settings(data=data)):
        pass


def test_who_kills_the_command_outright_kills_its_services_and_all_that_they_have_started(
    killed_with: Callable[..., list[int]], tmp_path: Path
) -> None:
    group, keeper = killed_with(_STUBBORN)
    assert _left(group) == _left(keeper) == []
    _try(tmp_path)


def test_the_instance_is_locked_as_long_as_a_service_lives(
    killed_with: Callable[..., list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "PATIENCE", 0.2)
    group, _ = killed_with(_SLEEPS, without_keeper=True)
    with pytest.raises(UpError, match=f"some processes are left: end them with `kill -9 {group}`$"):
        _try(tmp_path)
    (tmp_path / "other" / "dagster").mkdir(parents=True)
    _try(tmp_path / "other")
    os.kill(group, signal.SIGKILL)
    monkeypatch.setattr(instance, "PATIENCE", 60.0)  # a busy machine takes a while to end it
    _try(tmp_path)


_QUERY = """{
  assetNodes { groupName }
  sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "ml_assets"}) {
    ... on Sensors { results { name sensorState { status } } }
  }
  schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "ml_assets"}) {
    ... on Schedules { results { name scheduleState { status } } }
  }
}"""


@pytest.fixture
def ports() -> tuple[int, int, int]:
    return free_port(), free_port(), free_port()


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder of temporary files with a short path: the name of a socket in it may have 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path: Path, temporary: Path, ports: tuple[int, int, int]) -> Iterator[Start]:
    """Starts `ml-assets up` over the same data and ports each time."""
    own = environment(tmp_path / "data", PYTHONUNBUFFERED="1", TMPDIR=str(temporary))
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        with (tmp_path / "log").open("w") as log:
            started.append(subprocess.Popen(_up(ports), env=own, stdout=subprocess.PIPE, stderr=log, text=True))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def _up(ports: tuple[int, int, int]) -> list[str]:
    named = zip(("--port", "--mlflow-port", "--serve-port"), map(str, ports), strict=True)
    return [str(Path(sys.executable).parent / "ml-assets"), "up", *chain.from_iterable(named)]


# What a browser sends for pages of others: service, path, headers, and whether it comes with a body of JSON.
HOSTILE: list[tuple[int, str, dict[str, str], bool]] = [
    (0, "/", {"Host": "evil.example"}, False),
    (0, "/graphql?query=%7B__typename%7D", {"Sec-Fetch-Site": "cross-site"}, False),
    (0, "/graphql?query=%7B__typename%7D", {}, False),
    (0, "/graphql", {"Content-Type": "text/plain"}, True),
    (0, "/graphql", {"Content-Type": "application/json", "Origin": "http://evil.example"}, True),
    (1, "/", {"Host": "evil.example"}, False),
    (1, "/api/2.0/mlflow/experiments/search?max_results=1", {"Host": "10.evil.example"}, False),
    (1, "/api/2.0/mlflow/experiments/search?max_results=1", {"Host": "192.168.evil.example:5000"}, False),
    (
        1,
        "/api/2.0/mlflow/experiments/create",
        {"Content-Type": "application/json", "Origin": "http://evil.example"},
        True,
    ),
    (1, "/api/2.0/mlflow/experiments/create", {"Content-Type": "text/plain"}, True),
    (2, "/models", {"Host": "evil.example"}, False),
]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_answer_this_machine_alone_a_kill_leaves_nothing_and_it_starts_again_until_ctrl_c(
    start: Start, ports: tuple[int, int, int], tmp_path: Path, temporary: Path
) -> None:
    up, data = start(), tmp_path / "data"
    assert up.stdout is not None
    said = [next(up.stdout) for _ in range(4)]
    assert sorted(line.partition(" ")[0] for line in said) == ["Ctrl-C", "Dagster:", "MLflow:", "Predictions:"], said
    for port, health in zip(ports, ("/server_info", "/health", "/health"), strict=True):
        with urlopen(f"http://{HOST}:{port}{health}", timeout=10) as answer:
            assert answer.status == 200
    found = _graphql(ports[0])
    assert {"churn", "retail"} <= {node["groupName"] for node in found["assetNodes"]}
    states = {sensor["name"]: sensor["sensorState"]["status"] for sensor in found["sensorsOrError"]["results"]}
    states |= {each["name"]: each["scheduleState"]["status"] for each in found["schedulesOrError"]["results"]}
    assert states["churn_automation"] == states["churn_data"] == "RUNNING"
    for service, path, head, body in HOSTILE:
        assert 400 <= _status(ports[service], path, head, body=body) < 500, (service, path, head)
    again = _second(data)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert f"process {up.pid}" in again.stderr
    up.kill()
    up.wait()
    assert gone(data), over(data)
    assert len([*temporary.iterdir()]) == 1, "what it had in hand"
    _ends_with_ctrl_c(start(), data)
    assert [*temporary.iterdir()] == []


def _ends_with_ctrl_c(up: "subprocess.Popen[str]", data: Path) -> None:
    children = Path(f"/proc/{up.pid}/task/{up.pid}/children")
    while len(children.read_text().split()) < 4:  # three services, and who ends them if it cannot
        assert up.poll() is None
        time.sleep(0.1)
    up.send_signal(signal.SIGINT)
    assert up.wait(20) == 130
    assert over(data) == []


def _second(data: Path) -> "subprocess.CompletedProcess[str]":
    command = _up((free_port(), free_port(), free_port()))
    return subprocess.run(command, env=environment(data), capture_output=True, text=True, check=False)


def _status(port: int, path: str, head: dict[str, str], *, body: bool) -> int:
    asked = Request(f"http://{HOST}:{port}{path}", b'{"query": "{ __typename }", "name": "x"}' if body else None, head)
    try:
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - our own
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def _graphql(port: int) -> dict[str, Any]:
    body = json.dumps({"query": _QUERY}).encode()
    asked = Request(f"http://{HOST}:{port}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own
        found: dict[str, Any] = json.load(answer)["data"]
    return found
