"""A reading child is bounded by the system, not by its own good will."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_assets.documents import sandbox
from ml_assets.documents.document import LIMITS, ReadingLimits, UnreadableError
from ml_assets.documents.sandbox import Sandbox
from ml_assets_tests.serving.process import gone

_HOG = "ml_assets_tests.documents.hog"
_PARENT = f"""
from ml_assets.documents import sandbox
from ml_assets.documents.document import LIMITS
sandbox._CHILD = "{_HOG}"
child = sandbox.Sandbox(LIMITS)
print(child.pid, flush=True)
child.read(b"any", "any")
"""


def test_it_ends_with_its_parent_though_it_cannot_listen(tmp_path: Path) -> None:
    own = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", _PARENT], env=own, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not (tmp_path / "searching").exists():
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    until = time.monotonic() + 5
    while not gone(child) and time.monotonic() < until:
        time.sleep(0.02)
    if not gone(child):
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child goes on without its parent")


def test_it_ends_when_it_takes_more_processor_time_than_a_step_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_CHILD", _HOG)
    child = Sandbox(ReadingLimits(seconds=0.1, threads=1))
    child._limits = LIMITS  # so that its parent has all the patience of the world
    with pytest.raises(UnreadableError) as caught:
        child.read(b"any", "any")
    assert caught.value.code == "timeout"
    assert not child.alive
