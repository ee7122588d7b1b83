"""CSV: what is recognised, what is declared, and what is refused with its line and the line to write."""

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.spec.source import SourceSpec
from ml_assets_tests.ingest.conftest import Inbox, orders
from ml_assets_tests.ingest.reading import outcome

ROWS = "id,at,note\n1,2025-01-01,é\n2,2025-01-02,b\n"


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode(),
        ROWS.encode("utf-8-sig"),
        ROWS.encode("utf-16"),
        b"\xfe\xff" + ROWS.encode("utf-16-be"),
        ROWS.encode("utf-32"),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace("\n", "\r").encode(),
        ROWS.replace(",", ";").encode(),
        ROWS.replace(",", "\t").encode(),
        ROWS.replace(",", "|").encode(),
        ROWS.replace("\n", "\n\n").encode(),
        gzip.compress(ROWS.encode(), mtime=0),
        bz2.compress(ROWS.encode()),
        lzma.compress(ROWS.encode()),
        gzip.compress(ROWS.replace(",", ";").encode("utf-16"), mtime=0),
    ],
)
def test_what_a_file_shows_by_itself_is_recognised(content: bytes) -> None:
    found = outcome("a.csv", content)
    assert [(row["id"], row["note"]) for row in found.rows.values()] == [(1, "é"), (2, "b")], found.refused


@pytest.mark.parametrize(
    ("content", "text_format"),
    [
        (ROWS.encode("cp1252"), {"encoding": "cp1252"}),
        (ROWS.encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (ROWS.replace(",", "#").encode(), {"separator": "#"}),
        (ROWS[:-1].encode(), {"final_newline": "optional"}),
        (ROWS.split("\n", 1)[1].encode(), {"header": False, "names": ["id", "at", "note"]}),
        (ROWS.replace("id,at", "Nr.,Date").encode(), {"names": ["id", "at", "note"]}),
        (ROWS.replace("é", "'é'").encode(), {"quote": "'"}),
        (ROWS.replace("1,", "-,", 1).replace("-,", "1,").encode(), {"compression": "none"}),
    ],
)
def test_what_it_does_not_show_is_declared(content: bytes, text_format: dict[str, Any]) -> None:
    found = outcome("a.csv", content, format=text_format)
    assert [(row["id"], row["note"]) for row in found.rows.values()] == [(1, "é"), (2, "b")], found.refused


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ROWS.encode("cp1252"), "line 2 is not UTF-8; as cp1252 it reads '1,2025-01-01,é': write `format: {encoding"),
        (ROWS.encode("utf-16-le"), "write `format: {encoding: utf-16-le}`"),
        (ROWS[:-1].encode(), "line 3 ('2,2025-01-02,b'), the last one, does not end"),
        (ROWS[:-1].encode(), "`format: {final_newline: optional}`"),
        (b"PK\x03\x04xx", "is a zip archive or a spreadsheet"),
        (b"PAR1xx", "is Parquet: name it .parquet"),
        (b"id,at\n1,2025-01-01\n2,2025-01-02,x\n", "row 3 has 3 cells and 2 are expected"),
        (b"id,at,id\n1,2025-01-01,2\n", "columns 'id' and 'id' have one name"),
        (b"id,at,a\0b\n1,2025-01-01,2\n", "column 'a\\x00b' has the character '\\x00' in its name"),
        (b"at,\n2025-01-01,2\n", "a column has no name"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_remedy(content: bytes, said: str) -> None:
    assert said in outcome("a.csv", content).refused


def test_utf8_in_another_encoding_would_be_garbled_in_silence() -> None:
    assert (
        "is UTF-8, and the source declares cp1252"
        in outcome("a.csv", ROWS.encode(), format={"encoding": "cp1252"}).refused
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['1,2025-01-01,"he said', "2,2025-01-02,b", '3,2025-01-03,"again', "4,2025-01-04,d"], "line 4 closes"),
        (
            ['1,2025-01-01,"open', "2,2025-01-02,b", '3,2025-01-03,"c"'],
            "quoted cell that begins in",
        ),
        (
            ['1,2025-01-01,"open', "2,2025-01-02,b", '3,2025-01-03,close"'],
            "line 3 ('2,2025-01-02,b') is a row of its own",
        ),
        (['1,"a,2025-01-01', '2,b",2025-01-02'], "line 3"),
        (['1,2025-01-01,"a" ', "2,2025-01-02,b"], "line 2 closes"),
        (['1,2025-01-01,"a""', "b"], "line 2 opens a quotation mark that is never closed"),
        (['1,2025-01-01,"a\\"b"'], '`format: {escape: "\\\\"}`'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_stray_quotation_mark_is_refused_with_its_line(lines: list[str], said: str, end: str) -> None:
    text = end.join(["id,at,note" if "2025" in lines[0].split(",")[1] else "id,note,at", *lines]) + end
    assert said in outcome("a.csv", text.encode()).refused


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"two\nlines, and ""marks"""', 'two\nlines, and "marks"'),
        ('13" pipe', '13" pipe'),
        ('"two\r\nlines"', "two\r\nlines"),
        ('"a,b"', "a,b"),
        ('"Main St 5\nSpringfield, IL, 12345"', "Main St 5\nSpringfield, IL, 12345"),
        ('""""', '"'),
        ('""', ""),
        ("", None),
    ],
)
def test_quoted_cells_hold_what_stands_between_their_marks(cell: str, value: str | None) -> None:
    found = outcome("a.csv", f"id,at,note\n1,2025-01-01,{cell}\n2,2025-01-02,b\n".encode(), columns={"note": "string"})
    assert [row["note"] for row in found.rows.values()] == [value, "b"], found.refused


def test_each_of_two_readings_can_be_declared() -> None:
    text = b'id,at,note\n1,2025-01-01,"open\n2,2025-01-02,close"\n'
    assert outcome("a.csv", text).refused
    assert len(outcome("a.csv", text, format={"quote": ""}).rows) == 2
    assert len(outcome("a.csv", text, format={"line_breaks": True}).rows) == 1


def test_a_mark_behind_a_backslash_is_declared() -> None:
    text = b'id,at,note\n1,2025-01-01,"a \\"b\\", c"\n'
    assert outcome("a.csv", text, format={"escape": "\\"}).rows[1]["note"] == 'a "b", c'


def test_marks_are_followed_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from ml_assets.ingest.readers import csv_file as csv_reader
    from ml_assets.ingest.readers import decoding, quotation

    for module in (csv_reader, decoding, quotation):
        monkeypatch.setattr(module, "BLOCK", 64)
    rows = [f'{nr},2025-01-01,"{nr} ""x""\nmore"\n{nr},2025-01-01,5" y\n' for nr in range(20)]
    found = outcome("a.csv", ("id,at,note\n" + "".join(rows)).encode())
    assert [row["note"] for row in found.rows.values()] == [
        note for nr in range(20) for note in (f'{nr} "x"\nmore', '5" y')
    ], found.refused


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"separator": ";;"}, "is not one"),
        ({"encoding": "cp99999"}, "is not an encoding"),
        ({"dates": ["%d/%m"]}, "does not hold day, month and year"),
        ({"dates": ["%d/%m/%Q"]}, "known directives"),
        ({"header": False}, "needs the names of the columns"),
        ({"decimal": ",", "thousands": ","}, "cannot be told apart"),
        ({"separator": '"'}, "not three different characters"),
        ({"seperator": ";"}, "did you mean 'separator'"),
    ],
)
def test_a_format_that_cannot_be_is_refused_at_load(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SourceSpec.model_validate({"name": "s", "files": "*", "event_time": "at", "format": declared})


def test_endings_are_read_without_regard_to_case_and_what_lies_beside_is_listed(inbox: Inbox) -> None:
    whole = orders("1,2025-01-01,1.5")
    inbox.put("a.csv", whole)
    inbox.put("B.CSV", whole.replace("1,", "2,", 1))
    inbox.put("c.csv.GZ", gzip.compress(whole.replace("1,", "3,", 1).encode()))
    inbox.put("d.tsv", whole.replace(",", "\t"))
    parts = inbox.folder / "orders" / "e.csv"
    parts.mkdir()
    (parts / "part-00000-1.csv").write_text(whole.replace("1,", "4,", 1))
    (parts / "_SUCCESS").touch()
    (inbox.folder / "orders" / "archive").mkdir()
    found = inbox.ingest(files="orders/*.csv")
    assert [row["id"] for row in inbox.rows()] == [1, 2, 4]
    assert [Path(name).name for name in found.beside] == ["archive", "c.csv.GZ", "d.tsv"]
    assert [row["id"] for row in inbox.rows()] == [1, 2, 4]
    again = inbox.ingest(files="orders/*")
    assert (again.accepted, [Path(name).name for name in again.beside]) == (2, ["archive"])
