"""CSV of any bytes: every row is accepted, quarantined, or in a refused file; each value is what Python's csv reads."""

import contextlib
import csv
import gzip
import io
from collections.abc import Sequence

import hypothesis.strategies as st
import pandas as pd
from hypothesis import event, example, given

from ml_assets_tests.ingest.hostile import CELLS, FEW, NAMES, TIMES, is_gap, same_text
from ml_assets_tests.ingest.reading import Outcome, outcome

_SEPARATORS = ",;\t|"
_GAPS = st.sampled_from(["", " ", "NaN", "nan"])
_STRANGE = st.sampled_from(["x", "N/A", "0x1", "1,5", "01/02/2025", "1e400"])
_LINES = [f"{nr},2025-01-0{nr},x{nr}" for nr in range(1, 9)]
_PARTS = ['"', '""', ",", "\n", "\r\n", "\r", "a", " ", "2025-01-01", "1", ",2025-01-01,"]


@st.composite
def _tables(draw: st.DrawFn) -> list[list[str]]:
    """A header and rows of text: a column holds values of one kind and gaps, now and then something else."""
    names = ["at", *draw(st.lists(NAMES, max_size=4, unique_by=str.casefold).map(_without_at))]
    strange = [_STRANGE] if draw(st.integers(0, 3)) == 0 else []
    kinds = [CELLS[draw(st.sampled_from(sorted(CELLS)))] for _ in names[1:]]
    cells = [st.one_of(kind, kind, kind, _GAPS, *strange) for kind in kinds]
    times = [TIMES, *([st.one_of(TIMES, _GAPS)] * draw(st.integers(0, 4)))]
    rows = [[draw(at), *map(draw, cells)] for at in times]
    return [names, *rows, *([names] if draw(st.integers(0, 5)) == 0 else [])]


def _without_at(names: list[str]) -> list[str]:
    return [name for name in names if name.casefold() != "at"]


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(
        written,
        delimiter=draw(st.sampled_from(_SEPARATORS)),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows(draw(_tables()))
    content = written.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])))
    return gzip.compress(content) if draw(st.booleans()) else content


def _text(content: bytes) -> str:
    plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    return plain.decode("utf-16" if plain[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def _rows(text: str, separator: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]


def _second(text: str) -> list[list[str]]:
    """The rows by that separator which finds the column `at`."""
    readings: list[list[list[str]]] = []
    for separator in _SEPARATORS:
        with contextlib.suppress(csv.Error):
            readings.append(_rows(text, separator))
    return max((rows for rows in readings if "at" in rows[0]), key=lambda rows: len(rows[0]))


def _require_same(found: Outcome, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    assert found.schema is not None
    assert sorted([*found.rows, *found.quarantined]) == list(range(1, len(rows) + 1))
    kinds = dict(zip(found.schema.names, found.schema.types, strict=True))
    for number, row in found.rows.items():
        for name, cell in zip(names, rows[number - 1], strict=True):
            assert same_text(cell, row[name], kinds[name]) if name in kinds else is_gap(cell), (name, cell)
    for number, delivered in found.quarantined.items():
        for name, cell in zip(names, rows[number - 1], strict=True):
            assert delivered[name] == cell or (delivered[name] is None and is_gap(cell))


@FEW
@given(_files())
@example(b"at,a\n2025-01-01,1\nat,a\n2025-01-02,2\n")
def test_csv_is_what_python_reads(content: bytes) -> None:
    found = outcome("a.csv", content)
    event(found.refused.partition(": ")[2][:40] or "read")
    if not found.refused:
        names, *rows = _second(_text(content))
        _require_same(found, names, rows)


@FEW
@given(st.lists(st.tuples(CELLS["integer"], CELLS["double"], st.sampled_from(["a", "b c", "d,e"])), min_size=1))
def test_numbers_are_what_pandas_reads(rows: list[tuple[str, str, str]]) -> None:
    frame = pd.DataFrame([("2025-01-01", *row) for row in rows], columns=["at", "whole", "share", "name"])
    content = frame.to_csv(index=False).encode()
    second = pd.read_csv(
        io.BytesIO(content), float_precision="round_trip", dtype={"whole": "int64", "share": "float64"}
    )
    found = outcome("a.csv", content, columns={"whole": "integer", "share": "double"})
    for number, row in found.rows.items():
        assert (row["whole"], row["share"], row["name"]) == tuple(second.loc[number - 1, ["whole", "share", "name"]])
    assert all("is not a double" in reason for reason in found.reasons.values())  # whole numbers beyond 2^53


@FEW
@given(st.lists(st.sampled_from(_PARTS), max_size=16))
def test_csv_that_two_readings_fit_is_never_read(parts: list[str]) -> None:
    """Marks and line ends anywhere: what is accepted, a strict reader reads, and no reader without marks could."""
    text = "id,at,note\n1,2025-01-01,x\n" + "".join(parts) + "\n"
    found = outcome("a.csv", text.encode())
    event(found.refused.partition(": ")[2].lstrip("line 0123456789")[:25] or "read")
    if not found.refused:
        names, *rows = _rows(text, ",")
        _require_same(found, names, rows)
        lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]
        assert len(lines) == len(rows) + 1 or any(line.count(",") != len(names) - 1 for line in lines)


@FEW
@given(
    st.lists(st.integers(0, 150), min_size=1, max_size=4),
    st.permutations([0, 1, 2]),
    st.sampled_from([("\n", ","), ("\r\n", ";"), ("\r", "\t")]),
)
def test_stray_quotation_marks_swallow_no_row(places: list[int], order: list[int], signs: tuple[str, str]) -> None:
    end, separator = signs
    cells = [[line.split(",")[nr] for nr in order] for line in ["id,at,note", *_LINES]]
    text = end.join(separator.join(row) for row in cells) + end
    for place in places:
        where = len(separator.join(cells[0]) + end) + place % (len(text) - 12)
        text = text[:where] + '"' + text[where:]
    found = outcome("a.csv", text.encode())
    event("refused" if found.refused else "read")
    assert found.refused or len(found.rows) + len(found.quarantined) == len(_LINES)
