"""Files of rows: good ones, and what strangers make of them."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz.mutation import EDGES, Chance, name, spoilt, spoilt_json

CORPUS = "ML_ASSETS_FUZZ_CORPUS"
"""The environment variable that names a folder with more files to spoil."""

_ROW: dict[str, Any] = {"id": "c1", "at": "2026-01-02T03:04:05", "amount": 1.5, "note": 'a "b", c'}
_HEADS = (
    "",
    "*",
    "id",
    "ID",
    " id",
    "at cast",
    "a.b",
    "_file",
    "position",
    "é",
    "select",
    "x" * 300,
    'a"b',
    "rows",
    "a\nb",
)
_ENDINGS = (
    ".csv", ".CSV", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".csv.gz", ".jsonl.gz", ".csv.bz2", ".jsonl.xz",
    "",
    ".csv.zst", ".txt", ".parquet.gz", ".csv.csv",
)  # fmt: skip

_PACKED: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@dataclass(frozen=True)
class Delivered:
    """A file.

    Args:
        name: of any bytes.
        content: of any.
        rows: how many it holds, where that is known for sure.
    """

    name: bytes
    content: bytes
    rows: int | None = None


def good(by: Chance, number: int) -> Delivered:
    """A file that has to be taken, whatever lies beside it; no other one has its bytes."""
    rows = [_ROW | {"id": f"good-{number}-{at}", "amount": by.choice((0.5, -1.0, 1e9))} for at in range(3)]
    text, ending = by.choice(((_csv(rows), ".csv"), (_lines(rows), ".jsonl"), (gzip.compress(_csv(rows)), ".csv.gz")))
    return Delivered(b"good%d" % number + ending.encode(), text, len(rows))


def bad(by: Chance) -> Delivered:
    """A file that is wrong somewhere, most of the time."""
    content, ending = by.choice((_spoilt_csv, _edged_csv, _spoilt_lines, _spoilt_parquet, _odd_parquet, _corpus))(by)
    packing = by.choice(("", "", "", "", *_PACKED))
    if packing and ending in {".csv", ".jsonl"}:
        content, ending = _PACKED[packing](content), ending + packing
        content = spoilt(by, content) if by.random() < 0.3 else content
    if by.random() < 0.1:
        ending = by.choice(_ENDINGS)
    return Delivered(name(by, ending), content)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    kept = io.StringIO()
    writer = csv.DictWriter(kept, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return kept.getvalue().encode("utf-8", "surrogatepass")


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _rows(by: Chance) -> list[dict[str, Any]]:
    return [_ROW | {"id": f"x{by.randrange(10**6)}"} for _ in range(by.choice((1, 2, 5)))]


def _spoilt_csv(by: Chance) -> tuple[bytes, str]:
    text = _csv(_rows(by))
    text = by.choice((text, text, text.replace(b",", b";"), text.replace(b"\n", b"\r\n"), text.replace(b"\n", b"\r")))
    return spoilt(by, by.choice((text, text, text.decode().encode("utf-16"), b"\xef\xbb\xbf" + text))), ".csv"


def _edged_csv(by: Chance) -> tuple[bytes, str]:
    """Cells and names at the ends of types, written rightly."""
    rows = _rows(by)
    for row in rows:
        row[by.choice([*row])] = _word(by)
    if by.random() < 0.3:
        rows = [row | {by.choice(_HEADS): _word(by)} for row in rows[:1]]
    if by.random() < 0.05:
        rows = [row | {f"c{at}": 1 for at in range(3000)} for row in rows]
    return _csv(rows), ".csv"


def _word(by: Chance) -> str:
    edge = by.choice(EDGES)
    return edge if isinstance(edge, str) else json.dumps(edge)


def _spoilt_lines(by: Chance) -> tuple[bytes, str]:
    lines = [json.dumps(row).encode() for row in _rows(by)]
    lines[by.randrange(len(lines))] = spoilt_json(by, _ROW)
    text = b"\n".join(lines) + by.choice((b"\n", b"", b"\n\n"))
    return (spoilt(by, text) if by.random() < 0.3 else text), ".jsonl"


def _spoilt_parquet(by: Chance) -> tuple[bytes, str]:
    return spoilt(by, _parquet(pa.Table.from_pylist(_rows(by)))), ".parquet"


def _odd_parquet(by: Chance) -> tuple[bytes, str]:
    """Columns of types that few tables have, with values at their ends."""
    table = pa.Table.from_pylist(_rows(by)[:1])
    odd = by.choice(_odd())
    spot = by.choice(("at", "amount", "id", *_HEADS))
    found = {**{key: table[key] for key in table.column_names}, spot: odd}
    return _parquet(pa.table([*found.values()], names=[*found])), ".parquet"


@cache
def _odd() -> tuple[pa.Array, ...]:
    ends = (2**63 - 1, -(2**63), 0)
    times = [pa.array([end], pa.int64()).cast(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns") for end in ends]
    zoned = [pa.array([end], pa.int64()).cast(pa.timestamp("us", "Pacific/Auckland")) for end in ends]
    return (
        *times, *zoned, pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
        pa.array([2**63 - 1], pa.int64()).cast(pa.date64()),
        pa.array([1], pa.duration("ns")), pa.array([1], pa.int64()).cast(pa.time64("ns")), pa.array([None], pa.null()),
        pa.array([10**70], pa.decimal256(76, 0)), pa.array([b"\xff"], pa.binary()), pa.array([b"ab"], pa.binary(2)),
        pa.array([[1]], pa.list_(pa.int8())), pa.array([{"a": {"b": [None]}}]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())),
        pa.array([2**64 - 1], pa.uint64()), pa.array([1.5], pa.float64()).cast(pa.float16()),
        pa.array(["a"]).dictionary_encode(),
        pa.array([float("inf")]), pa.array([float("nan")]), pa.array(["a"], pa.large_string()), pa.array([True]),
        pa.array([{}], pa.struct([])),
        pa.array(["\0"]), pa.array(["x" * 10**6]), pa.array([10**15], pa.decimal128(20, 2)),
        pa.array(["2026-01-01"], pa.string_view()),
    )  # fmt: skip


def _parquet(table: pa.Table) -> bytes:
    kept = io.BytesIO()
    try:
        pq.write_table(table, kept)
    except (pa.ArrowException, NotImplementedError):  # not every type can be written
        return b"PAR1"
    return kept.getvalue()


def _corpus(by: Chance) -> tuple[bytes, str]:
    """A file of the folder that the environment names, spoilt or as it is; else one of ours."""
    files = corpus()
    if not files:
        return _edged_csv(by)
    path = by.choice(files)
    content = path.read_bytes()
    return (spoilt(by, content) if by.random() < 0.7 else content), "".join(path.suffixes[-2:])


@cache
def corpus() -> tuple[Path, ...]:
    """Small files of the folder that the environment names."""
    folder = os.environ.get(CORPUS)
    found = sorted(Path(folder).rglob("*")) if folder else []
    return tuple(path for path in found if path.is_file() and path.stat().st_size < 1 << 20 and path.suffix != ".py")
