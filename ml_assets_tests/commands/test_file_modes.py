"""What the loop writes is for its user alone: entities, features, texts, secrets."""

import subprocess
import sys
from pathlib import Path

from ml_assets.commands.doctor import file_modes
from ml_assets.commands.file_modes import others_may
from ml_assets_tests.modes import open_to_others
from ml_assets_tests.processes import environment


def test_a_command_writes_what_nobody_else_may_read_whatever_the_umask(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("ml-assets")), "token", "add", "app"]
    subprocess.run(command, env=environment(tmp_path / "data"), capture_output=True, check=True, umask=0o000)
    assert (tmp_path / "data" / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert open_to_others(tmp_path / "data") == []


def _made(data: Path) -> Path:
    data.mkdir()
    data.chmod(0o755)  # whatever the umask
    for name in ("lake", "incoming", "logs"):
        (data / name).mkdir(mode=0o700)
    (data / "README.md").touch(0o644)
    return data


def test_the_doctor_names_what_others_may_read_and_the_remedy(tmp_path: Path) -> None:
    data = _made(tmp_path / "data")
    assert file_modes(data).status == "ok"
    (data / "events.db").touch()
    (data / "events.db").chmod(0o644)
    (data / "lake").chmod(0o750)
    found = file_modes(data)
    assert (found.status, found.remedy) == ("warn", f"`chmod -R go= {data}`")
    assert "events.db, lake" in found.found
    subprocess.run(["chmod", "-R", "go=", str(data)], check=True)
    assert file_modes(data).status == "ok"
    assert file_modes(tmp_path / "nothing").status == "ok"


def test_a_drop_zone_may_be_open_to_a_group_that_delivers(tmp_path: Path) -> None:
    data = _made(tmp_path / "data")
    (data / "incoming").chmod(0o770)
    assert others_may(data) == []
    (data / "incoming").chmod(0o777)
    assert others_may(data) == [data / "incoming"]


def test_what_is_asked_for_elsewhere_has_the_modes_of_whoever_asked(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from ml_assets.commands.file_modes import hand_over, keep_private; keep_private(); "
        "path = pathlib.Path(sys.argv[1]); path.mkdir(); (path / 'defs.yaml').touch(); hand_over(path)"
    )
    for umask, folder, file in ((0o022, 0o755, 0o644), (0o027, 0o750, 0o640)):
        made = tmp_path / f"{umask:o}"
        subprocess.run([sys.executable, "-c", code, str(made)], check=True, umask=umask)
        assert made.stat().st_mode & 0o777 == folder
        assert (made / "defs.yaml").stat().st_mode & 0o777 == file
