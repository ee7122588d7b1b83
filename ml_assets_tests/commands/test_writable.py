"""A folder that cannot be written is named in one line with a remedy, whatever a library made of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_assets.cli import _told
from ml_assets.commands.screen import UnforeseenError
from ml_assets.commands.writable import obstacle
from ml_assets.errors import DataError
from ml_assets.settings import settings

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


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_where_both_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    assert obstacle(tmp_path) is None
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("error", FAILED, ids=lambda error: type(error).__name__)
def test_an_error_over_a_folder_that_cannot_be_written_names_it(
    monkeypatch: pytest.MonkeyPatch, file: Path, error: Exception
) -> None:
    before, _ = _told(error)
    assert "cannot be written" not in before
    monkeypatch.setenv("TMPDIR", str(file))
    said, code = _told(error)
    assert said == (
        f"{file}, the folder of temporary files, cannot be written (Not a directory): free space there, or set TMPDIR "
        "to another folder"
    )
    assert code == 2
    monkeypatch.setenv("ML_ASSETS_DATA", str(file))
    settings.cache_clear()
    said, code = _told(error)
    assert said.startswith(f"the data folder {file} cannot be written (Not a directory): let this user write there")
    assert "\n" not in said
    assert _told(DataError("what a user can put right")) == ("what a user can put right", 2)
