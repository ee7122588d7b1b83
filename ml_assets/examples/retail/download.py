"""Online Retail II: the official download, or a copy of it, as one file in the drop zone.

Chen, D., Online Retail II, UCI Machine Learning Repository, CC BY 4.0,
https://archive.ics.uci.edu/dataset/502/online+retail+ii
"""

import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml_assets.errors import DataError
from ml_assets.examples.retail.invoices import Progress, read, without_repeated_lines
from ml_assets.storage.files import atomic_path

URL = "https://archive.ics.uci.edu/static/public/502/online+retail+ii.zip"
LINES = 1_067_371
"""The lines of both sheets of the official workbook, before those that stand in both are kept once."""

_COPY = "or save a copy elsewhere and pass it with --from PATH (.zip, .xlsx, .csv or .parquet)"
_CHUNK = 1 << 20
_SUFFIXES = (".xlsx", ".csv", ".parquet")


def fetch(url: str, folder: Path, progress: Progress | None = None) -> Path:
    """Download the archive to `folder/online_retail_ii.zip`; one that is there is used again.

    Args:
        url: an http or https address.
        folder: the drop zone of one model, e.g. `data/incoming/retail`.
        progress: called with the bytes received and the bytes in all (0 where the server does not say).

    Raises:
        DataError: the server cannot be reached, or what it sent is cut off or no archive.
    """
    target = folder / "online_retail_ii.zip"
    if target.exists() and zipfile.is_zipfile(target):
        return target
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url!r} is no web address: pass one, {_COPY}")
    target.parent.mkdir(parents=True, exist_ok=True)
    return _whole(target, lambda part: _download(url, part, progress))


def convert(path: Path, folder: Path, progress: Progress | None = None, *, lines: int | None = None) -> Path:
    """Write the order lines of a file to `folder/transactions/online_retail_ii.parquet`, by time.

    The two sheets of the workbook overlap for 1–9 December 2010: a line that stands in both is kept once. The
    same input gives the same bytes.

    Args:
        path: the official `.zip` or `.xlsx`, or a `.csv` or `.parquet` with its columns.
        folder: the drop zone of one model, e.g. `data/incoming/retail`.
        progress: called with the lines read and the lines in all (0 where the file does not say).
        lines: how many lines the file must have (`LINES` for the official one); None for any number.

    Raises:
        DataError: the file is missing, unreadable, has other columns, types or counts.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: download {URL}, {_COPY}")
    with TemporaryDirectory() as unpacked:
        parts = read(_unpacked(path, Path(unpacked)), progress or _silent)
    rows = sum(part.num_rows for part in parts)
    if not rows or (lines is not None and rows != lines):
        expected = "at least one is needed" if lines is None else f"{lines:,} are expected"
        raise DataError(f"{path.name} has {rows:,} order lines, {expected}: download it again, {_COPY}")
    table = without_repeated_lines(parts).sort_by("invoice_date")
    target = folder / "transactions" / "online_retail_ii.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    return _whole(target, lambda part: _write(table, part))


def extent(path: Path) -> tuple[int, date]:
    """The lines of a converted file, and the day of the last one."""
    times = pq.read_table(path, columns=["invoice_date"])["invoice_date"]
    return len(times), pc.max(times).as_py().date()


def _silent(done: int, total: int) -> None:
    """No progress bar."""


def _whole(target: Path, write: Callable[[Path], None]) -> Path:
    """Write under another name, then rename: no reader, and no ingest, ever sees half a file."""
    with atomic_path(target) as part:
        write(part)
    return target


def _write(table: pa.Table, part: Path) -> None:
    pq.write_table(table, part, compression="zstd")
    if (rows := pq.read_metadata(part).num_rows) != table.num_rows:
        raise DataError(f"{part} has {rows:,} of {table.num_rows:,} lines: is the disk full?")


def _download(url: str, part: Path, progress: Progress | None) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as file:  # noqa: S310 - http(s) was required
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while chunk := answer.read(_CHUNK):
                done += file.write(chunk)
                (progress or _silent)(done, total)
    except urllib.error.HTTPError as error:
        error.close()
        status = f"{error.code} {HTTPStatus(error.code).phrase}"
        raise DataError(f"{url} answered {status}: try again later, {_COPY}") from error
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{url} cannot be reached ({error}): is there a network? Try again, {_COPY}") from error
    if total and done != total:
        raise DataError(f"{url} sent {done:,} of {total:,} bytes: try again, {_COPY}")
    if not zipfile.is_zipfile(part):
        raise DataError(f"{url} sent no zip archive (a page of a proxy?): download it in a browser, {_COPY}")


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or the one data file in an archive, unpacked to `folder`."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            data = [name for name in archive.namelist() if Path(name).suffix.lower() in _SUFFIXES]
            if len(data) != 1:
                listed = ", ".join(archive.namelist()) or "nothing"
                raise DataError(f"{path.name} holds {listed}: one file is needed of {', '.join(_SUFFIXES)}")
            target = folder / Path(data[0]).name
            with archive.open(data[0]) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
            return target
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name} is no zip archive, or cut off ({error}): download it again") from error
