"""A file appears whole or not at all, replaces nothing that it may not, and others read the same rows from it."""

import csv
import gzip
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.commands.export import export, require_free, write
from ml_assets.errors import DataError
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared

ROWS = pa.table({
    "as_of": pa.array([date(2026, 8, 30)] * 3),
    "customer name": ["a,b", 'say "yes"', "two\nlines"],
    "n": pa.array([2**53 + 1, None, -1], pa.int64()),
    "score": [0.1, 1 / 3, None],
    "text": ["", None, "ü"],
    "at": pa.array([datetime(2026, 8, 30, 1, 2, 3, 456789), None, None], pa.timestamp("us")),  # noqa: DTZ001 - naive UTC
    "yes": [True, None, False],
})  # fmt: skip


def reader(table: pa.Table = ROWS) -> pa.RecordBatchReader:
    return table.to_reader(max_chunksize=2)


@pytest.mark.parametrize("name", ["a.parquet", "A.PARQUET"])
def test_parquet_is_the_table(tmp_path: Path, name: str) -> None:
    assert write(reader(), tmp_path / name, overwrite=False) == 3
    assert pq.read_table(tmp_path / name).equals(ROWS)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.CSV.GZ"])
def test_csv_is_read_alike_by_others(tmp_path: Path, name: str) -> None:
    write(reader(), path := tmp_path / name, overwrite=False)
    text = gzip.decompress(path.read_bytes()) if name.lower().endswith("gz") else path.read_bytes()
    lines = [*csv.reader(text.decode().splitlines(keepends=True))]
    assert lines[0] == ROWS.column_names
    assert lines[1] == ["2026-08-30", "a,b", "9007199254740993", "0.1", "", "2026-08-30 01:02:03.456789", "true"]
    assert lines[3][1] == "two\nlines"
    kinds = {"n": "Int64", "yes": "boolean"}
    compression: Any = "gzip" if name.lower().endswith("gz") else None
    found = pd.read_csv(path, dtype=kinds, keep_default_na=True, compression=compression)
    assert found["n"].tolist() == [2**53 + 1, pd.NA, -1]
    assert found["score"].fillna(0).tolist() == [0.1, 1 / 3, 0]


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("mine")
    for attempt in (lambda: require_free(path, overwrite=False), lambda: write(reader(), path, overwrite=False)):
        with pytest.raises(DataError, match=r"a.csv is there already: choose another name, or add --overwrite"):
            attempt()
    assert path.read_text() == "mine"
    require_free(path, overwrite=True)
    write(reader(), path, overwrite=True)
    assert path.read_text().startswith('"as_of"')
    assert [*tmp_path.iterdir()] == [path]


def test_what_breaks_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield ROWS.to_batches()[0]
        raise KeyboardInterrupt

    broken = pa.RecordBatchReader.from_batches(ROWS.schema, batches())
    with pytest.raises(KeyboardInterrupt):
        write(broken, tmp_path / "a.csv", overwrite=False)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xlsx", "the ending says the format: use one of .parquet, .csv, .csv.gz"),
        ("a", "the ending says the format"),
        ("none/a.csv", "there is no folder"),
        ("folder.csv", "is a folder: name a file"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_anything_is_computed(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=said):
        require_free(tmp_path / name, overwrite=True)


class Asked:
    """A project with a lake, and nothing trained."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def model(self, name: str) -> str:
        return name


def exported(lake: Lake, to: Path, as_of: str = "") -> str:
    project: Any = Asked(lake)
    return export(project, "shop", "predictions", to, as_of=as_of, version=None, overwrite=False)


def test_predictions_are_those_of_the_last_date_or_of_the_one_that_is_named(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), shared)
    with pytest.raises(DataError, match="shop has predicted nothing yet: `ml-assets run shop` does"):
        exported(lake, tmp_path / "a.csv")
    for day, score in ((date(2026, 8, 23), 0.1), (date(2026, 8, 30), 0.2)):
        lake.replace("shop/predictions", pa.table({"as_of": [day], "score": [score]}), values=[day])
    said = exported(lake, tmp_path / "last.parquet")
    assert said == f"1 rows of predictions of shop at 2026-08-30 in {tmp_path / 'last.parquet'}"
    exported(lake, tmp_path / "first.parquet", "2026-08-23")
    assert [pq.read_table(tmp_path / f"{name}.parquet")["score"].to_pylist() for name in ("last", "first")] == [
        [0.2],
        [0.1],
    ]
    with pytest.raises(DataError, match="--as-of 'today' is not a date"):
        exported(lake, tmp_path / "b.csv", "today")
    with pytest.raises(DataError, match="shop has no predictions at 2026-08-16: there are those of 2026-08-23 to"):
        exported(lake, tmp_path / "b.csv", "2026-08-16")
    assert not (tmp_path / "b.csv").exists()
