"""No connection that nobody asked for: what the system calls of every process say, down to the look-up of a name."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from ml_assets.commands.telemetry_traces import traces
from ml_assets.settings import PROJECT
from ml_assets.telemetry import OFF
from ml_assets_tests.modes import open_to_others
from ml_assets_tests.processes import answering, environment, free_port
from ml_assets_tests.project_copy import copy_project

COMMAND = Path(sys.executable).with_name("ml-assets")
_CALLS = "connect,sendto,sendmsg,sendmmsg"
_PORT, _TO = r"htons\((?P<port>\d+)\)", r"(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?P<to>[^\"]*)\""
_ADDRESS = re.compile(rf"sa_family=AF_INET6?,.*?{_PORT}.*?{_TO}")
_OWN = re.compile(r"127\.|::1$|::ffff:127\.")


def called(log: Path) -> list[str]:
    """The addresses beyond this machine that stand in a log of strace, and those of servers of names anywhere."""
    found = [match for line in log.read_text(errors="replace").splitlines() for match in _ADDRESS.finditer(line)]
    return sorted({
        f"{match['to']}:{match['port']}" for match in found if match["port"] == "53" or not _OWN.match(match["to"])
    })  # fmt: skip


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[list[str]]:
    """What is put before a command so that all its processes are watched; in the end nothing was called."""
    log = tmp_path / "calls"
    watch = ["strace", "-f", "-q", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-s", "64", "-o", str(log)]
    if shutil.which("strace") is None or subprocess.run([*watch, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not installed, or may not watch")
    log.write_text("")
    yield [*watch, "-A"]
    assert "+++" in log.read_text(), "nothing was watched"
    assert called(log) == []


def test_the_log_is_understood(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text(
        '7 connect(5, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("20.42.65.90")}, 16) = -1\n'
        '7 connect(5, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0\n'
        '7 sendto(5, "q", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), '
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 1\n'
        '7 connect(5, {sa_family=AF_INET, sin_port=htons(5432), sin_addr=inet_addr("127.0.0.1")}, 16) = 0\n'
        "7 connect(5, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0\n'
        '7 connect(5, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0\n'
    )
    assert called(tmp_path / "calls") == ["127.0.0.53:53", "20.42.65.90:443", "2001:db8::1:53"]


def test_what_doctor_looks_at_sees_a_library_that_reports() -> None:
    """Without the variables ONNX Runtime leaves an id of this machine; with them it leaves nothing.

    Nor does it where it sees by a variable that it runs in a CI, so this process's own are left out.
    """
    bare = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("OPENBLAS")}
    assert "deviceid" in traces(bare)
    assert traces(bare | dict(OFF)) == []


# A picture is read by ONNX Runtime in the child; its parent has none of the variables.
_READ = """
from ml_assets.documents.reader import DocumentReader
from ml_assets_tests.documents import made
with DocumentReader() as reader:
    print(reader.read(made.encoded([made.rendered(made.pdf([made.LEASE]))], "png")).kind)
"""


@pytest.mark.slow
def test_a_reader_of_files_calls_nobody_and_leaves_no_trace(tmp_path: Path, watched: list[str]) -> None:
    bare = {name: value for name, value in environment(tmp_path).items() if name not in {*OFF, "CI"}}
    home = tmp_path / "home"
    home.mkdir()
    command = [*watched, sys.executable, "-c", _READ]
    own = bare | {"HOME": str(home)}
    done = subprocess.run(command, env=own, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "png\n"
    assert [path.name for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_command_calls_anybody(tmp_path: Path, watched: list[str]) -> None:
    """A model is made, run, examined and served, with the UIs and the daemon beside it."""
    project, home = copy_project(tmp_path / "project", "churn", "retail", "documents"), tmp_path / "home"
    home.mkdir()
    own = environment(tmp_path / "data", PYTHONPATH=str(project), HOME=str(home))
    own.pop("CI", None)  # libraries report less where they see it
    own = {name: value for name, value in own.items() if name not in OFF}

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [*watched, COMMAND, *arguments], env=own, cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("new", "tiny")
    run("run", "tiny")
    run("doctor")
    ports = [free_port() for _ in range(3)]
    options = ("--port", "--mlflow-port", "--serve-port")
    named = [text for option, port in zip(options, ports, strict=True) for text in (option, str(port))]
    with (tmp_path / "up.log").open("wb") as said:
        up = subprocess.Popen(
            [*watched, COMMAND, "up", *named], env=own, cwd=project, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        for port, path in zip(ports, ("/server_info", "/health", "/ready"), strict=True):
            answering(f"http://127.0.0.1:{port}", path, 200)
        assert _predicted(ports[2])
    finally:
        os.killpg(up.pid, signal.SIGINT)  # strace hands none on
        up.wait(60)
    assert [path.name for path in home.rglob("*") if "Microsoft" in str(path)] == []
    assert open_to_others(tmp_path / "data") == []


def _predicted(port: int) -> object:
    """A prediction of the first example of each feature."""
    url = f"http://127.0.0.1:{port}/models/tiny"
    with urlopen(url, timeout=30) as answer:
        row = {feature["name"]: feature["example"] for feature in json.loads(answer.read())["features"]}
    body = json.dumps({"instances": [row]}).encode()
    with urlopen(Request(f"{url}/predict", body, {"content-type": "application/json"}), timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read())["predictions"]
