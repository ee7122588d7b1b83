"""A file appears whole or not at all, and the package has one way to write one."""

import doctest
import os
import re
from pathlib import Path

import pytest

from ml_assets.errors import DataError
from ml_assets.settings import PROJECT
from ml_assets.storage import files
from ml_assets.storage.files import atomic_path, hold_lock, part_of, write_whole


def test_the_example_of_the_docs_runs() -> None:
    assert doctest.testmod(files).failed == 0


def _fail(path: Path) -> None:
    with atomic_path(path) as part:
        part.write_text("ne")
        raise OSError("the disk is full")


def test_a_body_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "state.json", "old")
    with pytest.raises(OSError, match="full"):
        _fail(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"state.json": "old"}


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    part_of(path).write_text("half of a much longer content")
    assert write_whole(path, b"new", sync=True).read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_a_secret_is_never_readable_to_others(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    part_of(path).touch(0o644)
    before = os.umask(0)
    try:
        with atomic_path(path, mode=0o600) as part:
            assert part.stat().st_mode & 0o777 == 0o600
            part.write_text("{}")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_writers_of_one_file_at_a_time_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with atomic_path(path, part=part_of(path, shared=True)) as first:
        with atomic_path(path, part=part_of(path, shared=True)) as second:
            second.write_text("second")
        first.write_text("first")
    assert path.read_text() == "first"


def test_a_lock_that_is_held_is_an_error_of_the_caller_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "churn.lock"
    with (
        hold_lock(path),
        pytest.raises(DataError, match="runs already"),
        hold_lock(path, busy=DataError("runs already")),
    ):
        pass
    with hold_lock(path, busy=DataError("runs already")):
        pass


def test_the_package_has_one_atomic_write_and_one_lock() -> None:
    ways = re.compile(r"import FileLock|os\.replace\(|\.part[\"}]|\bpart\.replace\(|NamedTemporaryFile|mkstemp")
    sources = {
        path.relative_to(PROJECT / "ml_assets").as_posix(): path for path in (PROJECT / "ml_assets").rglob("*.py")
    }
    own = {name for name, path in sources.items() if ways.search(path.read_text(encoding="utf-8"))}
    # Ingest names the endings that it leaves alone; an export without --overwrite replaces nothing.
    assert own - {"ingest/files.py", "commands/export.py"} == {"storage/files.py"}
