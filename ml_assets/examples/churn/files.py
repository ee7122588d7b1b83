"""Files that appear whole or not at all, and are never changed once they stand."""

import filecmp
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ml_assets.errors import DataError
from ml_assets.storage.files import atomic_path, part_of, write_whole

FORMATS = {"customers": "csv", "transactions": "parquet", "sessions": "parquet", "support_tickets": "jsonl"}


def store(rows: pa.Table, folder: Path, source: str, name: str) -> list[Path]:
    """Write `folder/source/name.<format>`; returns the file, if it is a new one.

    Nothing is written without rows, or where the same file stands already.

    Args:
        rows: of the file.
        folder: the drop zone of one model.
        source: the subfolder, which decides the format.
        name: of the file, without its ending.

    Raises:
        DataError: a file of that name with another content is there.
    """
    if not len(rows):
        return []
    path = folder / source / f"{name}.{FORMATS[source]}"
    return _place(path, lambda hidden: _WRITERS[FORMATS[source]](rows, hidden))


def describe(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def _place(path: Path, write: Callable[[Path], None]) -> list[Path]:
    if not path.exists():
        with atomic_path(path) as hidden:
            write(hidden)
        return [path]
    hidden = part_of(path)
    write(hidden)
    same = filecmp.cmp(hidden, path, shallow=False)
    hidden.unlink()
    if not same:
        raise DataError(f"{path} holds other rows than this simulation: choose an empty folder, or remove the file")
    return []


def _parquet(rows: pa.Table, path: Path) -> None:
    pq.write_table(rows, path, compression="zstd")


def _csv(rows: pa.Table, path: Path) -> None:
    pa_csv.write_csv(_seconds(rows), path, pa_csv.WriteOptions(quoting_style="needed"))


def _jsonl(rows: pa.Table, path: Path) -> None:
    """One object a line; the values are plain words, numbers and times, so nothing needs escaping."""
    whole = _seconds(rows)
    members = [_member(name, whole[name]) for name in whole.column_names]
    lines = pc.binary_join_element_wise("{", pc.binary_join_element_wise(*members, ", "), "}", "")
    path.write_text("\n".join(lines.to_pylist()) + "\n", encoding="utf-8")


def _member(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.strftime(values, "%Y-%m-%dT%H:%M:%S") if pa.types.is_timestamp(values.type) else values
    quoted = pc.binary_join_element_wise('"', text.cast(pa.string()), '"', "")
    return pc.binary_join_element_wise(f'"{name}": ', pc.fill_null(quoted, "null"), "")


def _seconds(rows: pa.Table) -> pa.Table:
    """Whole seconds are written without six zeros behind them."""
    times = [
        pa.field(field.name, pa.timestamp("s") if pa.types.is_timestamp(field.type) else field.type)
        for field in rows.schema
    ]
    return rows.cast(pa.schema(times))


_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}
