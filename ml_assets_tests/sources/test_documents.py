"""A source of documents: each content is read once, ever, and what cannot be read is in the quarantine."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.lake import Lake
from ml_assets.sources.documents import SHAPE
from ml_assets.sources.ingest import Ingested, ingest
from ml_assets.sources.spec import SourceSpec
from ml_assets_tests.conftest import shared
from ml_assets_tests.text.made import LEASE, pdf

TABLE = "papers/raw/text"
SPEC = SourceSpec(name="text", read="documents", files="files/**", event_time="received_at")
CAME = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - the lake's times are naive UTC


class Drop:
    def __init__(self, root: Path) -> None:
        self.folder = root / "incoming"
        self.lake = Lake(str(root / "lake"), shared)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        at = (CAME - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - the same
        os.utime(path, (at, at))
        return path

    def ingest(self, **changes: Any) -> Ingested:
        return ingest(self.lake, TABLE, SourceSpec(**(SPEC.model_dump() | changes)), self.folder)

    def rows(self, suffix: str = "") -> list[dict[str, Any]]:
        if self.lake.version(TABLE + suffix) is None:
            return []
        order = "file" if suffix else "name"
        found: list[dict[str, Any]] = self.lake.query(f"SELECT * FROM t ORDER BY {order}", t=TABLE + suffix).to_pylist()
        return found


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path)


def test_a_document_is_a_row_with_its_text_and_what_was_found_in_it(drop: Drop) -> None:
    drop.put("a/lease.pdf", pdf([LEASE, ["Rent is $1,450.00.", "Signed on January 5, 2026 by: ______"]], title="Lease"))
    drop.put("b.txt", "Hello")
    done = drop.ingest()
    assert (done.accepted, done.quarantined, done.refused) == (2, 0, ())
    lease, note = drop.rows()
    assert [*lease][: len(SHAPE.fields)] == [*SHAPE.fields]
    assert (lease["name"], lease["kind"], lease["title"], lease["pages"]) == ("files/a/lease.pdf", "pdf", "Lease", 2)
    assert lease["received_at"] == CAME
    assert lease["text"].count("\f") == 1
    assert (lease["has_dates"], lease["has_signature"], lease["amounts"]) == (True, True, [1450.0, 50.0, 2900.0])
    assert [page["method"] for page in lease["layout"]] == ["text", "text"]
    assert (note["kind"], note["words"], note["ocr_confidence"], note["parties"]) == ("text", 1, None, [])


def test_what_cannot_be_read_is_in_the_quarantine_with_the_reason_and_the_rest_goes_on(drop: Drop) -> None:
    drop.put("broken.pdf", pdf([LEASE])[:200])
    drop.put("empty.pdf", b"")
    drop.put("locked.pdf", pdf([LEASE], password="secret"))  # noqa: S106 - of a file in a test
    drop.put("good.txt", "A lease")
    drop.put("program.exe", b"MZ\x90\x00\x03\x00\x00\x00" * 100)
    done = drop.ingest()
    assert (done.accepted, done.quarantined, len(done.new_files)) == (1, 4, 5)
    kept = drop.rows("_quarantine")
    assert [Path(row["file"]).name for row in kept] == ["broken.pdf", "empty.pdf", "locked.pdf", "program.exe"]
    assert all(row["reason"].startswith(row["file"]) for row in kept)
    assert ['"code": "damaged"' in kept[0]["row"], '"code": "encrypted"' in kept[2]["row"]] == [True, True]
    again = drop.ingest()
    assert (again.new_files, again.in_quarantine) == ((), 4)


def test_the_same_content_is_read_once_whatever_its_name(drop: Drop) -> None:
    drop.put("one.txt", "A lease")
    drop.ingest()
    drop.put("two.txt", "A lease")
    drop.put("three.html", "<p>Another lease</p>")
    assert drop.ingest().accepted == 1
    assert [row["name"] for row in drop.rows()] == ["files/one.txt", "files/three.html"]


def test_expectations_hold_documents_too(drop: Drop) -> None:
    drop.put("blank.txt", "   \n ")
    drop.put("some.txt", "words")
    words = {"type": "expect_column_values_to_be_between", "column": "words", "min_value": 1, "severity": "quarantine"}
    done = drop.ingest(expectations=[words])
    assert (done.accepted, done.quarantined) == (1, 1)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, killed = Drop(tmp_path / "whole"), Drop(tmp_path / "killed")
    for drop in (whole, killed):
        for nr in range(60):
            drop.put(f"{nr:02}.txt", f"Lease number {nr}")
        drop.put("x.pdf", pdf([LEASE])[:200])
    whole.ingest()
    code = (
        "from ml_assets_tests.sources.test_documents import Drop; import pathlib, sys; "
        "Drop(pathlib.Path(sys.argv[1])).ingest()"
    )
    for delay in (1.5, 2.5, 3.0):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")], start_new_session=True)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed.ingest()
    for suffix in ("", "_quarantine"):
        assert killed.rows(suffix) == whole.rows(suffix)


@pytest.mark.parametrize("change", [{"event_time": "at"}, {"known_at": "seen_at"}, {"columns": {"words": "double"}}])
def test_the_columns_of_documents_are_not_the_authors(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="event_time received_at"):
        SourceSpec(**(SPEC.model_dump() | change))
