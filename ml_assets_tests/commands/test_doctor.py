import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ml_assets.commands.doctor import disk, drop_zone, examine, mlflow, python
from ml_assets.commands.environment import prepare
from ml_assets.commands.finding import Finding
from ml_assets.commands.packages import locked_versions, packages
from ml_assets.errors import DataError
from ml_assets.settings import PROJECT, Settings
from ml_assets_tests.processes import environment

LOCK = """
[[package]]
name = "Some.Thing"
version = "1.0"
[[package]]
name = "some-thing"
version = "2.0"
[[package]]
name = "ml-assets"
source = { editable = "." }
dependencies = [
    { name = "numpy", marker = "python_full_version >= '3'" },
    { name = "colorama", marker = "sys_platform == 'nowhere'" },
]
"""


def test_a_lock_may_name_several_versions_and_only_what_this_platform_needs_is_needed() -> None:
    versions, needed = locked_versions(LOCK)
    assert versions == {"some-thing": {"1.0", "2.0"}}
    assert needed == {"numpy"}


def test_the_lock_of_the_project_names_what_it_needs() -> None:
    versions, needed = locked_versions((PROJECT / "uv.lock").read_text())
    assert {"dagster", "mlflow", "numpy"} <= needed <= versions.keys()


def test_another_version_is_a_warning_and_a_missing_package_a_failure(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text(f'[[package]]\nname = "numpy"\nversion = "{version("numpy")}"\n')
    assert packages(lock).status == "ok"
    lock.write_text('[[package]]\nname = "numpy"\nversion = "0.1"\n')
    found = packages(lock)
    assert found.status == "warn"
    assert f"numpy {version('numpy')} (lock: 0.1)" in found.found
    lock.write_text('[[package]]\nname = "me"\nsource = {editable = "."}\ndependencies = [{name = "no-such-thing"}]\n')
    found = packages(lock)
    assert (found.status, found.found) == ("fail", "no-such-thing is missing")
    assert "uv sync" in found.remedy


def test_a_project_without_a_lock_is_a_warning(tmp_path: Path) -> None:
    assert packages(tmp_path / "uv.lock").status == "warn"


def test_this_python_is_supported() -> None:
    assert python().status == "ok"


def test_disk_and_drop_zone(tmp_path: Path) -> None:
    assert disk(tmp_path).status in {"ok", "warn"}
    (tmp_path / "file").touch()
    assert disk(tmp_path / "file").status == "fail"
    assert drop_zone(tmp_path).status == "ok"
    missing = drop_zone(tmp_path / "gone")
    assert missing.status == "fail"
    assert str(tmp_path / "gone") in missing.found
    assert missing.remedy


def test_a_data_folder_that_cannot_be_made_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=rf"the data folder {tmp_path}/file/data cannot .* ML_ASSETS_DATA"):
        prepare(Settings(data=tmp_path / "file" / "data"))


def test_a_check_that_breaks_is_a_finding_of_one_line() -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("by\nzero")

    assert examine("x", broken).found == "ZeroDivisionError: by zero"
    assert examine("x", broken).status == "fail"


def test_a_server_that_does_not_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{free.getsockname()[1]}")
        found = mlflow(Settings(data=tmp_path))
    assert found.status == "fail"
    assert "secret" not in found.found
    assert found.remedy


def test_an_embedded_database_that_is_not_there_yet_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow(Settings(data=tmp_path)).status == "ok"
    assert not (tmp_path / "mlflow").exists()


def _ml_assets(data: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "ml-assets"), *arguments]
    return subprocess.run(command, env=environment(data, **variables), capture_output=True, text=True, check=False)


def _doctor(data: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return _ml_assets(data, "doctor", "--json", **variables)


@pytest.mark.slow
def test_without_a_data_folder_a_command_says_one_line_and_the_doctor_finds_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = _ml_assets(tmp_path / "file" / "data", "status")
    assert (said.returncode, len(said.stderr.splitlines())) == (2, 1)
    done = _doctor(tmp_path / "file" / "data")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert (done.returncode, found["drop zone"]["status"]) == (1, "fail")
    assert "ML_ASSETS_DATA" in found["drop zone"]["remedy"]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_on_a_fresh_machine_there_is_nothing_to_worry_about_and_to_look_makes_nothing(tmp_path: Path) -> None:
    done = _doctor(tmp_path)
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    unwell = {name: finding["found"] for name, finding in found.items() if finding["status"] != "ok"}
    assert (done.returncode, unwell) == (0, {}), done.stderr
    assert "ml-assets up" in found["daemon"]["remedy"]
    assert not [path.name for path in tmp_path.glob("*.db")]
    (tmp_path / "lake" / "gone" / "raw").mkdir(parents=True)
    (left,) = (finding for finding in json.loads(_doctor(tmp_path).stdout)["findings"] if finding["status"] != "ok")
    assert left["found"] == "gone has no model folder, and is still in the lake"
    assert left["remedy"].startswith("`ml-assets remove gone`")


@pytest.mark.slow
def test_a_failure_is_exit_code_1_without_a_traceback(tmp_path: Path) -> None:
    done = _doctor(tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not json.loads(done.stdout)["healthy"]
