"""`ml-assets export`: predictions, features or a training set as one file, a batch at a time."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ml_assets.commands.file_modes import hand_over
from ml_assets.commands.project import Project
from ml_assets.errors import DataError
from ml_assets.spec.cadence import parse_date
from ml_assets.storage.files import part_of
from ml_assets.training.score import list_predicted_dates, stream_predictions

if TYPE_CHECKING:
    import pyarrow as pa

    from ml_assets.storage.lake import Lake
    from ml_assets.training.record import TrainingRecord

What = Literal["predictions", "features", "training-set"]
FORMATS = (".parquet", ".csv", ".csv.gz")


def export(
    project: Project, model: str, what: What, to: Path, *, as_of: str, version: int | None, overwrite: bool
) -> str:
    """Write rows of a model to a file that appears whole or not at all; the sentence that says what is in it.

    Args:
        project: the loaded project.
        model: the model folder.
        what: which rows.
        to: the file; its ending says the format.
        as_of: of predictions and features; empty: the last date that was predicted.
        version: whose training set, or with whose features; None: the champion's.
        overwrite: replace a file that is there.

    Raises:
        DataError: there are no such rows, the file is there, or its ending is unknown.
    """
    project.model(model)
    require_free(to, overwrite=overwrite)
    with _READERS[what](project, model, parse_date(as_of, "--as-of") if as_of else None, version) as (rows, title):
        count = write(rows, to, overwrite=overwrite)
    hand_over(to)
    return f"{count:,} rows of {title} in {to}"


def require_free(to: Path, *, overwrite: bool) -> None:
    """Refuse before anything is computed.

    Raises:
        DataError: the file is there, its folder is not, or its ending is unknown.
    """
    if not to.name.lower().endswith(FORMATS):
        raise DataError(f"{to}: the ending says the format: use one of {', '.join(FORMATS)}")
    if not to.parent.is_dir():
        raise DataError(f"{to}: there is no folder {to.parent}: make it first")
    if to.is_dir():
        raise DataError(f"{to} is a folder: name a file")
    if to.exists() and not overwrite:
        raise _taken(to)


def write(rows: "pa.RecordBatchReader", to: Path, *, overwrite: bool) -> int:
    """Write batches to a file under another name, and rename it when it is whole; how many rows they were.

    Raises:
        DataError: the file appeared meanwhile.
    """
    part, count = part_of(to), 0
    try:
        with _writer(part, to.name.lower(), rows.schema) as keep:
            for batch in rows:
                keep(batch)
                count += batch.num_rows
        if overwrite:
            part.replace(to)
        else:
            _appear(part, to)
    finally:
        part.unlink(missing_ok=True)
    return count


def _appear(part: Path, to: Path) -> None:
    """A rename that replaces nothing."""
    try:
        os.link(part, to)
    except FileExistsError:
        raise _taken(to) from None
    except OSError:  # a file system without links
        if to.exists():
            raise _taken(to) from None
        part.replace(to)


def _taken(to: Path) -> DataError:
    return DataError(f"{to} is there already: choose another name, or add --overwrite")


@contextmanager
def _writer(path: Path, name: str, schema: "pa.Schema") -> Iterator[Callable[["pa.RecordBatch"], None]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if name.endswith(".parquet"):
        with parquet.ParquetWriter(path, schema) as columns:
            yield columns.write_batch
        return
    with (
        pa.CompressedOutputStream(str(path), "gzip") if name.endswith(".gz") else pa.OSFile(str(path), "wb") as sink,
        csv.CSVWriter(sink, schema) as lines,
    ):
        yield lines.write_batch


Rows = tuple["pa.RecordBatchReader", str]
_Reader = Callable[[Project, str, date | None, int | None], AbstractContextManager[Rows]]


@contextmanager
def _predictions(project: Project, model: str, as_of: date | None, _: int | None) -> Iterator[Rows]:
    lake, days = project.lake, _predicted_dates(project.lake, model)
    day = as_of or days[-1]
    if day not in days:
        raise DataError(f"{model} has no predictions at {day}: there are those of {days[0]} to {days[-1]}")
    with stream_predictions(lake, model, day) as rows:
        yield rows, f"predictions of {model} at {day}"


@contextmanager
def _features(project: Project, model: str, as_of: date | None, version: int | None) -> Iterator[Rows]:
    """What the champion scores: computed where it is not yet."""
    from ml_assets.features.join import stream_rows
    from ml_assets.features.store import refresh

    lake, folder = project.lake, project.folder(model)
    record, number = _record(project, model, version)
    day = folder.spec.cadence.require(as_of) if as_of else _predicted_dates(lake, model)[-1]
    for view in (folder.population, *record.features):
        refresh(lake, view, [day])
    with stream_rows(lake, folder.population, day, record.used) as rows:
        yield rows, f"features of {model} at {day}, as version {number} sees them"


@contextmanager
def _training_set(project: Project, model: str, as_of: date | None, version: int | None) -> Iterator[Rows]:
    from ml_assets.training.dates import stream

    if as_of is not None:
        raise DataError("a training set is that of a version: name it with --version in place of --as-of")
    record, number = _record(project, model, version)
    with stream(project.lake, record.table, record.as_of, record.version) as rows:
        yield rows, f"the training set of {model} version {number}"


_READERS: Mapping[What, _Reader] = {
    "predictions": _predictions,
    "features": _features,
    "training-set": _training_set,
}


def _predicted_dates(lake: "Lake", model: str) -> list[date]:
    dates = list_predicted_dates(lake, model)
    if not dates:
        raise DataError(f"{model} has predicted nothing yet: `ml-assets run {model}` does")
    return dates


def _record(project: Project, model: str, version: int | None) -> "tuple[TrainingRecord, int]":
    """What a version was trained from; by default the champion."""
    from ml_assets.training.record import record

    registry = project.registry
    versions = {version.number: version for version in registry.versions(model)}
    champion = registry.champion(model)
    if not versions or (version is None and champion is None):
        raise DataError(
            f"{model} has no {'version' if not versions else 'champion'} yet: `ml-assets run {model}` trains"
        )
    number = version if version is not None or champion is None else champion.number
    if number is None or number not in versions:
        raise DataError(f"{model} has no version {number}: there are {', '.join(map(str, versions))}")
    return record(registry, versions[number]), number
