import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from ml_assets.commands.up import HOST, Service, UpError, _start, _stopping, _watch, require_free
from ml_assets_tests.processes import environment

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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


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
    with _stopping() as running:
        for service in (_service("lasting", _SLEEPS), _service("short", "raise SystemExit(3)")):
            running[service] = _start(service)
        code = _watch(running, threading.Event())
    assert code == 1
    assert "short ended by itself (exit code 3)" in capfd.readouterr().err
    assert [_left(process.pid) for process in running.values()] == [[], []]


def test_told_to_stop_is_exit_code_0_and_nothing_is_left_of_the_group() -> None:
    told = threading.Event()
    with _stopping() as running:
        service = _service("stubborn", _STUBBORN)
        running[service] = process = _start(service)
        while len(_members(process.pid)) < 2:
            time.sleep(0.05)
        told.set()
        assert _watch(running, told) == 0
    assert _left(process.pid) == []


def test_what_was_started_is_stopped_when_something_else_breaks() -> None:
    def breaks() -> None:
        with _stopping() as running:
            service = _service("lasting", _SLEEPS)
            running[service] = process = _start(service)
            started.append(process.pid)
            raise KeyError("database")

    started: list[int] = []
    with pytest.raises(KeyError, match="database"):
        breaks()
    assert _left(started[0]) == []


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
    return _free_port(), _free_port(), _free_port()


@pytest.fixture
def up(tmp_path: Path, ports: tuple[int, int, int]) -> Iterator["subprocess.Popen[str]"]:
    own = environment(tmp_path / "data", PYTHONUNBUFFERED="1")
    command = [str(Path(sys.executable).parent / "ml-assets"), "up"]
    command += ["--port", str(ports[0]), "--mlflow-port", str(ports[1]), "--serve-port", str(ports[2])]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=log, text=True)
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_answer_with_everything_running_and_ctrl_c_leaves_nothing(
    up: "subprocess.Popen[str]", ports: tuple[int, int, int], tmp_path: Path
) -> None:
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
    groups = [int(pid) for pid in Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()]
    assert len(groups) == 3
    again = _second(tmp_path / "data", ports)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
    started = time.monotonic()
    up.send_signal(signal.SIGINT)
    assert up.wait(20) == 130
    assert time.monotonic() - started < 20
    assert [_left(group) for group in groups] == [[], [], []]


def _second(data: Path, ports: tuple[int, int, int]) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "ml-assets"), "up", "--port", str(ports[0])]
    return subprocess.run(command, env=environment(data), capture_output=True, text=True, check=False)


def _graphql(port: int) -> dict[str, Any]:
    body = json.dumps({"query": _QUERY}).encode()
    asked = Request(f"http://{HOST}:{port}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own
        found: dict[str, Any] = json.load(answer)["data"]
    return found
