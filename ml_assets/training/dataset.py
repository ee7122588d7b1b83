"""The training set at `T`: population x features x mature labels over a window of as-of dates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import pyarrow as pa

from ml_assets.errors import DataError, TrainingError
from ml_assets.features.join import point_in_time
from ml_assets.features.store import Refreshed, fingerprints, refresh, stored_fingerprints
from ml_assets.features.view import View
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.training import dates
from ml_assets.training.dates import ROW, SetRecord, read
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.label_check import label_mapping, labelled_rows
from ml_assets.training.reach import known_until
from ml_assets.training.split import Split, split

__all__ = ["ROW", "TrainingSet", "build", "find", "read"]

_ATTEMPTS = 5  # to build one while files come in


@dataclass(frozen=True)
class TrainingSet:
    """A training set in the lake.

    Args:
        table: its table.
        version: the version of the table that it is.
        as_of: `T`.
        split: which rows train, test and refit.
        fingerprint: the same number for the same rows.
        tables: every table that went in, with its version.
        refreshed: what was computed for it now, by view.
    """

    table: str
    version: int
    as_of: date
    split: Split
    fingerprint: int
    tables: dict[str, int]
    refreshed: dict[str, Refreshed] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        days = {name: f"{days[0]} to {days[-1]} ({len(days)})" for name, days in asdict(self.split).items()}
        computed = sum(len(done.computed) for done in self.refreshed.values())
        return {
            **days,
            "computed_dates": computed,
            "fingerprint": str(self.fingerprint),
            "table": f"{self.table}@{self.version}",
        }


@dataclass(frozen=True)
class Labels:
    """The labels that are mature at an as-of date.

    Args:
        dates: those that the training window needs.
        rows: members of the population at those dates.
        labelled: of them, those with a label.
        rate: of label 1; None where labels are classes.
        computed: dates that were not there yet.
        reading: which value counts as 0 and which as 1, where the query says it in other words.
    """

    dates: tuple[date, ...]
    rows: int
    labelled: int
    rate: float | None
    computed: int
    reading: str = ""

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        first, last = (str(day) for day in (self.dates[0], self.dates[-1]))
        return {
            "dagster/row_count": self.rows,
            "labelled": self.labelled,
            **({} if self.rate is None else {"label_rate": self.rate}),
            **({"label": self.reading} if self.reading else {}),
            "first": first,
            "last_mature": last,
            "computed_dates": self.computed,
        }


def refresh_labels(lake: Lake, folder: ModelDefinition, as_of: date, *, workers: int = 2) -> Labels:
    """Compute the labels that are mature at `as_of` and that the training window needs.

    Args:
        lake: where sources and labels are.
        folder: the model.
        as_of: `T`.
        workers: as-of dates computed side by side.

    Raises:
        DataError: a source of the label is empty.
        TrainingError: history is too short, or labels have three values or more.
    """
    days = _window(lake, folder, as_of).refit
    refreshed = refresh(lake, folder.labels, days, workers=workers)
    counts = lake.query(
        "SELECT count(*) AS n, count(label) AS labelled, avg(TRY_CAST(label AS DOUBLE)) AS rate FROM l "
        "WHERE as_of BETWEEN $first AND $last",
        {"first": days[0], "last": days[-1]},
        l=folder.labels.kept,
    )
    rows, labelled, rate = (counts[name][0].as_py() for name in ("n", "labelled", "rate"))
    return Labels(days, rows, labelled, rate, len(refreshed.computed), label_mapping(lake, folder, days))


def build(
    lake: Lake,
    folder: ModelDefinition,
    as_of: date,
    *,
    workers: int = 2,
    progress: Callable[[str], None] | None = None,
) -> TrainingSet:
    """Compute what the window lacks, join it, and keep it under `as_of`; nothing is written where it stands already.

    Args:
        lake: where sources, views and training sets are.
        folder: the model.
        as_of: `T`.
        workers: as-of dates computed side by side.
        progress: told the name of each view before it is computed.

    Raises:
        DataError: a source is empty.
        TrainingError: history is too short, or holds one class only.
    """
    lake = lake.session()
    for attempt in range(1, _ATTEMPTS + 1):
        until = known_until(lake, folder, as_of)
        needed = window(folder, as_of, until)
        # First, before anything is read: what comes in meanwhile gives others.
        prints = {view.kept: fingerprints(lake, view, needed.refit) for view in views(folder)}
        refreshed = {}
        for view in views(folder):
            if progress:
                progress(view.table)
            refreshed[view.table] = refresh(lake, view, needed.refit, workers=workers)
        inputs = _inputs(lake, folder, needed)
        # Where files come in without end, a set of what stands, under its own fingerprint, is better than none.
        if (inputs.prints == prints or attempt == _ATTEMPTS) and _keep(lake, folder, as_of, until, inputs):
            return replace(find(lake, folder, as_of), refreshed=refreshed)
    raise DataError(f"{folder.name}: others wrote its features while its training set was built; run again")


def find(lake: Lake, folder: ModelDefinition, as_of: date) -> TrainingSet:
    """The training set of `as_of` as `build` kept it; nothing is computed.

    Raises:
        TrainingError: there is none, or its window was declared otherwise.
    """
    name = table(folder)
    stored = dates.read_record(lake, name, as_of, [view.kept for view in views(folder)])
    remedy = f"materialize {folder.name}/training_set first"
    if stored is None:
        raise TrainingError(f"there is no training set of {folder.name} as of {as_of}: {remedy}")
    version, record = stored
    needed = window(folder, as_of, record.until)
    if _split_fingerprint(needed) != record.split:
        raise TrainingError(
            f"the training set of {folder.name} as of {as_of} is of another window or horizon: {remedy}"
        )
    return TrainingSet(name, version, as_of, needed, record.fingerprint, dict(record.tables))


@dataclass(frozen=True)
class _Inputs:
    """The contents of the tables of the views: their versions, and the fingerprint of each date's rows."""

    split: Split
    tables: dict[str, int]
    prints: dict[str, dict[date, int]]


def _inputs(lake: Lake, folder: ModelDefinition, needed: Split) -> _Inputs:
    tables = {view.kept: _version(lake, view.kept) for view in views(folder)}
    prints = {view.kept: stored_fingerprints(lake, view, needed.refit, tables[view.kept]) for view in views(folder)}
    return _Inputs(needed, tables, prints)


def _keep(lake: Lake, folder: ModelDefinition, as_of: date, until: date, inputs: _Inputs) -> bool:
    """Keep the training set of these inputs; false where they were overwritten before they were read."""
    name, needed = table(folder), inputs.split
    fingerprint = identity(inputs.prints, needed)
    record = SetRecord(as_of, fingerprint, until, _split_fingerprint(needed), inputs.tables)
    if dates.find_version(lake, name, record) is not None:
        return True
    label_mapping(lake, folder, needed.refit)  # refuses three values before anything is fitted

    def rows(days: Sequence[date], beside: Sequence[date]) -> pa.Table | None:
        new = _rows(lake, folder, days, beside)
        return new if _inputs(lake, folder, needed).prints == inputs.prints else None

    by_date = {day: fingerprint_of([prints.get(day) for prints in inputs.prints.values()]) for day in needed.refit}
    return dates.keep(lake, name, record, by_date, rows) is not None


def _split_fingerprint(split: Split) -> int:
    return fingerprint_of(split.train, split.test, split.refit)


def table(folder: ModelDefinition) -> str:
    """The lake table of a folder's training sets: one for each set of queries, as for the views.

    In one table for all, columns of an older query would stay as features without a value, and a column that changed
    its type would be cast to the old one.
    """
    queries = fingerprint_of("by date", [view.recipe for view in views(folder)])
    return folder.tables.training_set(f"{queries:016x}")


def views(folder: ModelDefinition) -> list[View]:
    """The views of a training set: population, labels, features."""
    return [folder.population, folder.labels, *(item.view for item in folder.features)]


def identity(prints: Mapping[str, Mapping[date, int]], needed: Split) -> int:
    """The fingerprint of a training set: the same number for the same rows.

    Args:
        prints: for the table of each of `views`, in their order, the fingerprint of each date's rows.
        needed: which dates go in.
    """
    parts = [(name, sorted((day, days[day]) for day in needed.refit)) for name, days in prints.items()]
    return fingerprint_of(parts, needed)


def window(folder: ModelDefinition, as_of: date, until: date) -> Split:
    """The dates that train, test and refit a model at `as_of`, with labels known `until` then.

    Raises:
        TrainingError: history is too short.
    """
    spec = folder.spec
    return split(spec.cadence.dates(as_of), until, spec.label.horizon, train=spec.window.train, test=spec.window.test)


def _window(lake: Lake, folder: ModelDefinition, as_of: date) -> Split:
    return window(folder, as_of, known_until(lake, folder, as_of))


def _rows(lake: Lake, folder: ModelDefinition, days: Sequence[date], beside: Sequence[date]) -> pa.Table:
    """The rows of some dates of a training set; `beside` are its others, which stand."""
    rows = point_in_time(lake, folder.population, days, folder.features, label=folder.labels)
    members = lake.query(
        "SELECT count(*) AS n FROM p WHERE as_of IN (SELECT unnest($days))",
        {"days": list(days)},
        p=folder.population.kept,
    )
    expected = members["n"][0].as_py()
    if len(rows) != expected:
        raise DataError(
            f"{folder.name}: the population has {expected} members over {len(days)} dates and labels cover "
            f"{len(rows)}: label.sql must return one row for each member (LEFT JOIN from population)"
        )
    rows = labelled_rows(lake, folder, rows, beside)
    return rows.rename_columns([ROW if name == "as_of" else name for name in rows.column_names])


def _version(lake: Lake, table: str) -> int:
    version = lake.version(table)
    if version is None:
        raise DataError(f"no table {table}: it was removed while the training set was built; run again")
    return version
