"""The reference that the population is compared with: the training sample, or the population at another as-of date."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from ml_assets.monitoring.drift.samples import InMemory, SampleColumns, open_stored
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.drift import DriftSpec
from ml_assets.storage.duck import literal
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Version
from ml_assets.training.dates import ROW, condition
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.record import TrainingRecord
from ml_assets.training.score import feature_rows


@dataclass(frozen=True)
class Reference:
    """A choice of reference.

    Args:
        text: what it is, for people.
        day: the as-of date whose population it is; None = the champion's training sample, or none yet.
        missing: why there is none yet.
    """

    text: str
    day: date | None = None
    missing: str | None = None


def choose(spec: DriftSpec, cadence: Cadence, as_of: date, champion: Version) -> Reference:
    """The reference that `spec` asks for at an as-of date.

    Args:
        spec: which reference is declared.
        cadence: the grid of as-of dates.
        as_of: `T`.
        champion: the version that sees the population.
    """
    if spec.reference == "release":
        return Reference(f"population at {champion.as_of}, when version {champion.number} was trained", champion.as_of)
    if spec.reference == "training":
        return Reference(f"training sample of version {champion.number} ({champion.as_of})")
    day = (_previous if spec.reference == "previous" else _same_season)(cadence, as_of)
    if day is None:
        what = "before" if spec.reference == "previous" else "a year before"
        why = f"no reference yet: the cadence starts at {cadence.start}, so there is no as-of date {what} {as_of}"
        return Reference("none yet", missing=why)
    return Reference(f"population at {day}", day)


@contextlib.contextmanager
def open_reference(
    lake: Lake, folder: ModelDefinition, record: TrainingRecord, reference: Reference, *, workers: int = 2
) -> Iterator[SampleColumns | None]:
    """The rows of a reference; None where nobody is in it.

    Args:
        lake: where its rows are.
        folder: the model.
        record: of the champion.
        reference: what was chosen.
        workers: as-of dates computed side by side.
    """
    if reference.missing is not None:
        yield None
    elif reference.day is not None:
        table = feature_rows(lake, folder, record, [reference.day], workers=workers)
        yield InMemory(table) if len(table) else None
    else:
        with open_stored(lake, record.table, record.version, _chosen(lake, record)) as sample:
            yield sample


@contextlib.contextmanager
def open_test_rows(lake: Lake, record: TrainingRecord) -> Iterator[SampleColumns]:
    """The rows that a version was tested on: of its training sample, those that one of its artifacts never saw."""
    days = ", ".join(f"DATE {literal(day)}" for day in record.split.test)
    with open_stored(lake, record.table, record.version, f"{_chosen(lake, record)} AND {ROW} IN ({days})") as sample:
        yield sample


def _chosen(lake: Lake, kept: TrainingRecord) -> str:
    return condition(lake, kept.table, kept.as_of, kept.version)


def _previous(cadence: Cadence, as_of: date) -> date | None:
    return max((day for day in cadence.dates(as_of) if day < as_of), default=None)


def _same_season(cadence: Cadence, as_of: date) -> date | None:
    """The as-of date nearest to a year before; none where history begins later than that."""
    leap = (as_of.month, as_of.day) == (2, 29)
    year_before = date(as_of.year - 1, as_of.month, 28 if leap else as_of.day)
    nearest = min(cadence.dates(as_of), key=lambda day: abs(day - year_before), default=None)
    return nearest if nearest is not None and abs(nearest - year_before) < cadence.step(nearest) - nearest else None
