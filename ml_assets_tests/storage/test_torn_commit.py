"""A commit that was cut in half, as after a power cut, is set aside or named with what to do."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.errors import LakeError
from ml_assets.storage.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """With a table of four commits."""
    made = Lake(str(tmp_path))
    for number in range(3):
        made.append("t", pa.table({"n": [number]}), records={"taken": number + 1})
    return made


def commit(lake: Lake, number: int) -> Path:
    return Path(lake.root) / "t" / "_delta_log" / f"{number:020}.json"


def numbers(lake: Lake) -> list[int]:
    return [*lake.query("SELECT n FROM t", t="t")["n"].to_pylist()]


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "in half": lambda content: content[: len(content) // 2],
    "one byte": lambda content: content[:1],
    "the end": lambda content: content[:-2],
    "zeros": lambda content: b"\0" * len(content),
    "half of it zeros": lambda content: content[: len(content) // 2] + b"\0" * (len(content) // 2),
    "another file": lambda _: b"\x89PNG\r\n\xff\xfe",
    "nothing": lambda _: b"",
    "without its last action": lambda content: content.splitlines(keepends=True)[0],
}


@pytest.mark.parametrize("cut", CUTS)
def test_the_last_commit_is_set_aside_and_its_writer_writes_again(lake: Lake, cut: str) -> None:
    file = commit(lake, 3)
    file.write_bytes(CUTS[cut](file.read_bytes()))
    assert numbers(lake) == [0, 1]
    assert lake.record("t", "taken") == 2
    lake.append("t", pa.table({"n": [2]}), records={"taken": 3})
    assert numbers(lake) == [0, 1, 2]
    assert numbers(Lake(lake.root)) == [0, 1, 2]


def test_an_earlier_one_is_named_with_what_to_do(lake: Lake) -> None:
    file = commit(lake, 2)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(LakeError) as raised:
        lake.version("t")
    said = str(raised.value)
    assert "\n" not in said
    assert f"{file} is cut in half, and later commits stand on it: restore that file from a backup" in said
    assert file.exists()


def test_a_commit_that_was_written_again_meanwhile_is_left(lake: Lake) -> None:
    file = commit(lake, 3)
    whole = file.read_bytes()
    file.write_bytes(whole[:40])
    other = Lake(lake.root)
    assert other.version("t") == 2
    other.append("t", pa.table({"n": [2]}), records={"taken": 3})
    assert lake.version("t") == 3
    assert numbers(lake) == [0, 1, 2]


def test_what_is_wrong_otherwise_is_one_line_with_the_place(lake: Lake) -> None:
    with pytest.raises(LakeError) as raised:
        lake.files("t", 99)
    assert str(raised.value).startswith(f"table t: {commit(lake, 0).parent} cannot be read (")
    assert "\n" not in str(raised.value)


@pytest.fixture
def checked(lake: Lake) -> Path:
    """Its log after a checkpoint, which the tenth commit makes."""
    for number in range(3, 12):
        lake.append("t", pa.table({"n": [number]}), records={"taken": number + 1})
    return commit(lake, 0).parent


@pytest.mark.parametrize("cut", [name for name in CUTS if name not in {"one byte", "without its last action"}])
def test_a_checkpoint_is_set_aside_and_its_commits_are_read(lake: Lake, checked: Path, cut: str) -> None:
    file = checked / f"{9:020}.checkpoint.parquet"
    file.write_bytes(CUTS[cut](file.read_bytes()))
    assert (numbers(lake), lake.record("t", "taken")) == ([*range(12)], 12)
    lake.append("t", pa.table({"n": [12]}), records={"taken": 13})
    assert numbers(Lake(lake.root)) == [*range(13)]


def test_a_note_of_a_checkpoint_that_is_not_there_is_taken_away(lake: Lake, checked: Path) -> None:
    (checked / f"{9:020}.checkpoint.parquet").unlink()
    assert numbers(lake) == [*range(12)]


def test_a_checkpoint_without_the_commits_before_it_is_missed(lake: Lake, checked: Path) -> None:
    """As where old versions are not kept: nothing of the table is shown rather than a part of it."""
    file = checked / f"{9:020}.checkpoint.parquet"
    file.write_bytes(file.read_bytes()[:40])
    commit(lake, 3).unlink()
    for _ in range(2):
        with pytest.raises(LakeError, match=r"cannot be read .*: restore that folder and the files beside it"):
            lake.version("t")
