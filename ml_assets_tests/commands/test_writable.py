"""A folder that cannot be written is named in one line with a remedy, whatever a library made of it."""

import sqlite3
from pathlib import Path

import pytest

from ml_assets.cli import _told
from ml_assets.commands.screen import UnforeseenError
from ml_assets.commands.session import Session
from ml_assets.commands.writable import obstacle
from ml_assets.errors import DataError
from ml_assets.settings import Settings

FAILED = [
    sqlite3.OperationalError("unable to open database file"),
    OSError(30, "Read-only file system", "/data/lake/t"),
    UnforeseenError("churn: model: no message (SomeError)"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What nobody can write into, not even root: no folder."""
    path = tmp_path / "file"
    path.touch()
    return path


def test_where_both_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    assert obstacle(tmp_path) is None
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("error", FAILED, ids=lambda error: type(error).__name__)
def test_an_error_over_a_folder_that_cannot_be_written_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path, error: Exception
) -> None:
    writable, unwritable = Session(Settings(data=tmp_path)), Session(Settings(data=file))
    before, _ = _told(error, writable)
    assert "cannot be written" not in before
    monkeypatch.setenv("TMPDIR", str(file))
    said, code = _told(error, writable)
    assert said == (
        f"{file}, the folder of temporary files, cannot be written (Not a directory): free space there, or set TMPDIR "
        "to another folder"
    )
    assert code == 2
    said, code = _told(error, unwritable)
    assert said.startswith(f"the data folder {file} cannot be written (Not a directory): let this user write there")
    assert "\n" not in said
    assert _told(DataError("what a user can put right"), unwritable) == ("what a user can put right", 2)
