"""What a server says when it starts, and what a killed one leaves."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from ml_assets_tests.processes import environment, free_port, gone, over
from ml_assets_tests.serving.process import COMMAND, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_server_that_cannot_start_says_why_and_no_address(tmp_path: Path) -> None:
    own = environment(tmp_path, ML_ASSETS_EVENT_STORE="mysql://localhost/events")
    command = [str(COMMAND), "serve", "--port", str(free_port())]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("ml-assets: an event store cannot be kept in 'mysql'")
    assert second == "ml-assets: the server has not started: its worker has said why"


def test_a_server_that_is_killed_outright_leaves_no_process_and_nothing_for_long(tmp_path: Path) -> None:
    data, temporary = tmp_path / "data", tmp_path / "tmp"
    temporary.mkdir()
    with serving(data, ready=False, TMPDIR=str(temporary)) as server:
        until = time.monotonic() + 10
        while f":{server.port}/docs" not in server.log() and time.monotonic() < until:
            time.sleep(0.05)
        assert f":{server.port}/docs, 1 worker" in server.log()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        assert gone(data), over(data)
    assert len([*temporary.iterdir()]) == 1
    with serving(data, ready=False, TMPDIR=str(temporary)):
        assert len([*temporary.iterdir()]) == 1, "its own"
    assert [*temporary.iterdir()] == []
