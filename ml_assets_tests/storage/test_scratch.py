"""Temporary folders: one a process, gone with it, or with the next one where it was killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ml_assets.storage.scratch import scratch

_KILLED = """
import os, signal, tempfile
from ml_assets.storage.scratch import scratch
with scratch():
    tempfile.mkdtemp()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_temporary_files_of_the_body_and_its_children_are_gone_with_it(temporary: Path) -> None:
    child = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    with scratch() as folder:
        assert folder.parent == temporary
        assert Path(tempfile.mkdtemp()).parent == folder
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip() == str(folder)
    assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(temporary), str(temporary))
    assert [*temporary.iterdir()] == []


def test_what_a_killed_process_has_left_is_removed_by_the_next_one(temporary: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len([*temporary.iterdir()]) == 1
    with scratch() as folder:
        assert [*temporary.iterdir()] == [folder]


def test_nothing_else_is_removed(temporary: Path) -> None:
    (temporary / "ml_assets-data").mkdir()  # a data folder that somebody keeps there
    (temporary / "ml_assets-data" / "kept").touch()
    (temporary / "ml_assets-scratch-new").mkdir()  # as of a process that is about to lock it
    (temporary / "ml_assets-scratch-file").touch()
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "kept").touch()
    (temporary / "ml_assets-scratch-link").symlink_to(temporary / "elsewhere")
    with scratch() as first, scratch() as second:
        assert first.exists()
        assert second.parent == first
    left = {str(path.relative_to(temporary)) for path in temporary.rglob("*")}
    assert left == {
        "ml_assets-data",
        "ml_assets-data/kept",
        "ml_assets-scratch-new",
        "ml_assets-scratch-file",
        "elsewhere",
        "elsewhere/kept",
        "ml_assets-scratch-link",
    }
    os.utime(temporary / "ml_assets-scratch-new", (0, time.time() - 60))
    with scratch():
        assert not (temporary / "ml_assets-scratch-new").exists()
