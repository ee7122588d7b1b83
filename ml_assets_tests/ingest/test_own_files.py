"""Documents of one's own: copied whole, once, and taken for the last week's whatever their clocks say."""

import json
import os
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from ml_assets.errors import DataError
from ml_assets.ingest.own_files import deliver

AS_OF = date(2026, 8, 30)
CLOCKS = {
    "old.txt": 0.0,
    "a/new.txt": 1_935_619_200.0,
    "a/last.txt": datetime.fromisoformat("2026-08-26T10:00Z").timestamp(),
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for name, clock in CLOCKS.items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"The lease in {name}")
        os.utime(path, (clock, clock))
    (tmp_path / "own" / ".hidden").write_text("x")
    return tmp_path / "own"


def arrivals(folder: Path) -> dict[str, str]:
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return {row["document_id"]: row["received_at"] for row in rows}


def test_each_file_arrives_in_the_week_before_the_as_of_date(own: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert deliver(own, tmp_path / "in" / "files", AS_OF, lambda *step: told.append(step)) == 3
    found = arrivals(tmp_path / "in" / "arrivals")
    came = {name: found[sha256((own / name).read_bytes()).hexdigest()] for name in CLOCKS}
    assert came == {
        "old.txt": "2026-08-23T00:00:01", "a/new.txt": "2026-08-29T23:59:59", "a/last.txt": "2026-08-26T10:00:00"
    }  # fmt: skip
    assert told[-1] == (3, 3)
    assert (tmp_path / "in" / "files" / "a" / "last.txt").read_text() == "The lease in a/last.txt"


def test_what_stands_there_is_not_delivered_again(own: Path, tmp_path: Path) -> None:
    for new in (3, 0):
        assert deliver(own, tmp_path / "in" / "files", AS_OF, lambda *_: None) == new
    (own / "old.txt").write_text("The lease, corrected")
    assert deliver(own, tmp_path / "in" / "files", AS_OF, lambda *_: None) == 1
    assert len(arrivals(tmp_path / "in" / "arrivals")) == 4


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no files"):
        deliver(tmp_path, tmp_path / "in", AS_OF, lambda *_: None)
