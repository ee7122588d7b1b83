"""A source of documents: each content is read once, and what cannot be read is in the quarantine."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.documents.document import LIMITS, READER, Document, Page, UnreadableError
from ml_assets.documents.extractor import Extractor
from ml_assets.errors import DataError, DeclarationError
from ml_assets.ingest import ledger
from ml_assets.ingest.document_rows import READ, DocumentRows
from ml_assets.ingest.ingest import Ingested, ingest
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared
from ml_assets_tests.documents.made import LEASE, pdf

TABLE = "papers/raw/text"
SPEC = SourceSpec(
    name="text",
    read="documents",
    files="files/**",
    arrivals="arrivals/*.jsonl",
    event_time="received_at",
    extract="ml_assets.examples.documents.extract:facts",
)
CAME = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - the lake's times are naive UTC


class Drop:
    def __init__(self, root: Path) -> None:
        self.folder = root / "incoming"
        self.lake = Lake(str(root / "lake"), shared)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, now: datetime = CAME, *, retry: bool = False, **changes: Any) -> Ingested:
        spec = SourceSpec(**(SPEC.model_dump() | changes))
        return ingest(self.lake, TABLE, spec, self.folder, now=now, retry=retry)

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
    columns = DocumentRows.of(SPEC.extract).shape.fields
    assert [*lease][: len(columns)] == [*columns]
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


@pytest.mark.parametrize("clock", [0, 1_556_668_800, 1_935_619_200])  # 1970, 2019, 2031
def test_a_document_arrives_when_it_is_first_seen_whatever_its_clock_says(drop: Drop, clock: int) -> None:
    os.utime(drop.put("a.txt", "A lease"), (clock, clock))
    drop.ingest()
    os.utime(drop.put("b.txt", "A lease"), (clock, clock))  # the same content again
    drop.ingest(CAME + timedelta(days=9))
    assert [row["received_at"] for row in drop.rows()] == [CAME]


def said(drop: Drop, name: str, *lines: object) -> None:
    path = drop.folder / "arrivals" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


def test_of_an_archive_the_arrivals_are_known(drop: Drop) -> None:
    came = {"a.txt": "2024-05-01T10:00:00", "b.txt": "2024-05-02T01:00:00+03:00"}
    rows = [
        {"document_id": sha256(drop.put(name, name).read_bytes()).hexdigest(), "received_at": at}
        for name, at in came.items()
    ]
    said(drop, "1.jsonl", *rows)
    said(drop, "2.jsonl", {**rows[0], "received_at": "2025-05-01T10:00:00"})
    drop.put("c.txt", "not named")
    drop.ingest()
    assert [f"{row['received_at']}" for row in drop.rows()] == ["2024-05-01 10:00:00", "2024-05-01 22:00:00", f"{CAME}"]


def test_an_arrival_in_the_future_and_a_bad_line_are_refused_by_name(drop: Drop) -> None:
    identity = sha256(drop.put("a.txt", "A lease").read_bytes()).hexdigest()
    drop.put("b.txt", "Another lease")
    said(drop, "1.jsonl", {"document_id": identity, "received_at": "2031-05-01"})
    done = drop.ingest()
    assert (done.accepted, [note.file for note in done.refused]) == (1, ["files/a.txt"])
    assert "2031-05-01" in done.refused[0].reason
    said(drop, "2.jsonl", "\n", {"document_id": identity})
    with pytest.raises(DataError, match=r"arrivals/2\.jsonl, line 2: .*received_at"):
        drop.ingest()


def test_arrivals_and_extractors_are_of_documents_only() -> None:
    with pytest.raises(ValidationError, match="arrivals are of documents"):
        SourceSpec(name="rows", files="*.csv", event_time="at", arrivals="a/*.jsonl")
    with pytest.raises(ValidationError, match="extract is of the text of documents"):
        SourceSpec(name="rows", files="*.csv", event_time="at", extract="shop.facts:facts")
    with pytest.raises(ValidationError, match="does not name a function"):
        SourceSpec(**(SPEC.model_dump() | {"extract": "os.system('x')"}))


INVOICE = "ml_assets_tests.documents.extractors:invoice"


def test_without_an_extractor_a_document_has_its_text_and_how_it_was_read(drop: Drop) -> None:
    drop.put("a.txt", "A lease of January 5, 2026")
    done = drop.ingest(extract=None)
    assert (done.accepted, done.warnings) == (1, ())
    assert [*drop.rows()[0]] == [*READ, "_file"]


def test_another_extractor_counts_from_the_next_document_on(drop: Drop) -> None:
    for name, extract in (("a", SPEC.extract), ("b", None), ("c", INVOICE)):
        drop.put(f"{name}.txt", f"{name}bc")
        done = drop.ingest(extract=extract)
        assert ["no extractor finds them" in warning for warning in done.warnings] == [True][: extract != SPEC.extract]
    assert [(row["words"], row["lines"]) for row in drop.rows()] == [(1, None), (None, None), (None, 3)]


def test_an_extractor_that_fails_on_a_document_keeps_it_out_and_the_others_not(drop: Drop) -> None:
    drop.put("bad.txt", "fail")
    drop.put("good.txt", "abc")
    done = drop.ingest(extract=INVOICE)
    assert (done.accepted, done.quarantined) == (1, 1)
    (kept,) = drop.rows("_quarantine")
    assert "files/bad.txt: ml_assets_tests.documents.extractors:invoice fails on the document" in kept["reason"]
    assert drop.ingest(extract=INVOICE).new_files == ()
    assert drop.ingest(extract=SPEC.extract, retry=True).accepted == 1


@pytest.mark.parametrize(
    ("extract", "message"),
    [
        ("nowhere:facts", "extract names 'nowhere:facts', which cannot be imported"),
        (
            "ml_assets_tests.documents.extractors:other_words",
            "extract finds string for column 'words'; the table has int",
        ),
        ("ml_assets_tests.documents.extractors:own_text", "whose column 'text' is one that a document has"),
    ],
)
def test_an_extractor_that_does_not_fit_the_table_is_refused_by_name(drop: Drop, extract: str, message: str) -> None:
    drop.put("a.txt", "abc")
    drop.ingest()
    with pytest.raises(DeclarationError, match=message):
        drop.ingest(extract=extract)


class Trouble:
    """In place of the reader: names → how often each still takes too long."""

    def __init__(self, left: dict[str, int]) -> None:
        self.left, self.limits, self.calls = left, LIMITS, 0

    def read(self, content: bytes) -> Document:
        name = content.decode()
        self.calls += 1
        if self.left.get(name, 0):
            self.left[name] -= 1
            raise UnreadableError("timeout", f"{name} took more than 20 s")
        return Document("text", len(content), (Page(name, "text", 1.0),))

    def extract(self, text: str, extractor: Extractor) -> dict[str, Any]:
        return dict(vars(extractor.function(text)))

    def close(self) -> None: ...


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    made = Trouble({"slow": 1, "stuck": 99})
    monkeypatch.setattr("ml_assets.documents.reader.DocumentReader", lambda: made)
    return made


def test_what_took_too_long_is_tried_again_a_bounded_number_of_times(drop: Drop, trouble: Trouble) -> None:
    for name in ("slow", "stuck", "quick"):
        drop.put(f"{name}.txt", name)
    runs = [drop.ingest(CAME + timedelta(days=nr)) for nr in range(5)]
    assert [(run.accepted, run.quarantined, run.in_quarantine, run.files) for run in runs] == [
        (1, 2, 2, 3), (1, 1, 1, 3), (0, 1, 1, 3), (0, 0, 1, 3), (0, 0, 1, 3)
    ]  # fmt: skip
    assert trouble.calls == 3 + 2 + 1
    assert [(row["name"], row["received_at"]) for row in drop.rows()] == [
        ("files/quick.txt", CAME),
        ("files/slow.txt", CAME),
    ]
    (kept,) = drop.rows("_quarantine")
    assert (kept["file"], "attempt 3" in kept["reason"], "ml-assets data retry" in kept["reason"]) == (
        "files/stuck.txt",
        True,
        True,
    )


def test_it_can_be_asked_for_again(drop: Drop, trouble: Trouble) -> None:
    drop.put("stuck.txt", "stuck")
    for _ in range(4):
        drop.ingest()
    trouble.left["stuck"] = 1
    assert (drop.ingest(retry=True).quarantined, drop.ingest().new_files) == (1, ())
    done = drop.ingest(retry=True)
    assert (done.accepted, done.in_quarantine, drop.rows("_quarantine")) == (1, 0, [])
    assert drop.ingest(retry=True).new_files == ()


def test_what_an_older_reader_refused_is_tried_by_a_newer_one_once(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop.put("a.bin", bytes(range(256)))
    with monkeypatch.context() as older:
        older.setattr("ml_assets.ingest.documents.READER", READER - 1)
        drop.ingest()
    assert [drop.ingest().quarantined for _ in range(3)] == [1, 0, 0]
    assert len(drop.rows("_quarantine")) == 1


@pytest.mark.parametrize("moment", ["announce", "append", "clean_quarantine"])
def test_an_attempt_that_was_killed_is_as_if_it_had_not_been(
    drop: Drop, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The ledger, the quarantine and the table are written one after the other: nothing is lost in between."""
    for name in ("slow", "stuck"):
        drop.put(f"{name}.txt", name)
    drop.ingest()
    with monkeypatch.context() as dying:
        place = Lake if moment == "append" else ledger
        held = getattr(place, moment)

        def last(*arguments: Any, **more: Any) -> Any:
            if moment == "append" and arguments[1] != TABLE:
                return held(*arguments, **more)
            if moment == "clean_quarantine" and not trouble.calls > 2:
                return held(*arguments, **more)
            raise KeyboardInterrupt

        dying.setattr(place, moment, last)
        with pytest.raises(KeyboardInterrupt):
            drop.ingest()
    trouble.left["stuck"] = 0
    done = drop.ingest()
    assert (done.files, done.rows, done.in_quarantine, drop.rows("_quarantine")) == (2, 2, 0, [])
    assert [row["name"] for row in drop.rows()] == ["files/slow.txt", "files/stuck.txt"]


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, killed = Drop(tmp_path / "whole"), Drop(tmp_path / "killed")
    for drop in (whole, killed):
        for nr in range(60):
            drop.put(f"{nr:02}.txt", f"Lease number {nr}")
        drop.put("x.pdf", pdf([LEASE])[:200])
    whole.ingest()
    code = (
        "from ml_assets_tests.ingest.test_documents import Drop; import pathlib, sys; "
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
