"""The feature store: a view at `T` is computed when it is asked for, and kept under its fingerprint.

The fingerprint hashes the query and, of each source, the ingested files that hold rows in the view's window. A
changed query or a late row gives other fingerprints to exactly the dates that it touches. Rows and fingerprint are
one transaction, so a killed run leaves whole dates and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from ml_assets.features.engine import DUCKDB, Engine, versions_of
from ml_assets.features.view import View
from ml_assets.ingest.corrections import arrived_files
from ml_assets.ingest.report import Ingest
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.tables import as_of_key

_DATES_PER_COMMIT = 32

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Refreshed:
    """What one request computed: dates that were computed now, dates that stood already, and the table's version."""

    computed: tuple[date, ...]
    reused: tuple[date, ...]
    version: int | None


def refresh(
    lake: Lake,
    view: View,
    dates: Sequence[date],
    *,
    workers: int = 2,
    progress: Progress | None = None,
    engine: Engine = DUCKDB,
) -> Refreshed:
    """Compute those of `dates` at which the kept rows are not what the view says now.

    Args:
        lake: where sources and views are.
        view: what is computed; the views that it reads come first.
        dates: as-of dates.
        workers: dates computed side by side.
        progress: told how many dates are done, and how many are to be.
        engine: what computes them.

    Raises:
        DeclarationError: the query fails or returns no usable rows.
        DataError: a source has no table yet.
    """
    lake = lake.session()
    for _, upstream in view.views:
        refresh(lake, upstream, dates, workers=workers, engine=engine)
    # Taken once: fingerprints and rows are of the same files, and of the same rows of other views, whoever writes now.
    pinned = _Pinned(versions_of(lake, view), _beneath(lake, view, dates))
    targets = fingerprints(lake, view, dates, pinned.versions, pinned.beneath)
    missing = _stale(lake, view, targets)
    for start in range(0, len(missing), _DATES_PER_COMMIT):
        days = missing[start : start + _DATES_PER_COMMIT]
        if not _commit(lake, view, days, targets, workers, pinned, engine):
            return refresh(lake, view, dates, workers=workers, progress=progress, engine=engine)
        if progress:
            progress(min(start + _DATES_PER_COMMIT, len(missing)), len(missing))
    reused = tuple(day for day in dates if day not in set(missing))
    return Refreshed(tuple(missing), reused, lake.version(view.kept))


def stale_dates(lake: Lake, view: View, dates: Sequence[date]) -> list[date]:
    """Those of `dates` at which the kept rows, if any, are not what the view says now."""
    return _stale(lake, view, fingerprints(lake, view, dates))


def _stale(lake: Lake, view: View, wanted: dict[date, int]) -> list[date]:
    standing = stored_fingerprints(lake, view, [*wanted])
    return [day for day in wanted if standing.get(day) != wanted[day]]


def stored_fingerprints(lake: Lake, view: View, dates: Sequence[date], version: int | None = None) -> dict[date, int]:
    """The fingerprint under which each date's rows stand in a version of the view's table, where there are some.

    Args:
        lake: where views are.
        view: whose rows.
        dates: as-of dates.
        version: of the view's table; default: as it is now.
    """
    records = lake.records(view.kept, [as_of_key(day) for day in dates], version)
    return {day: records[as_of_key(day)] for day in dates if as_of_key(day) in records}


def fingerprints(
    lake: Lake,
    view: View,
    dates: Sequence[date],
    versions: Mapping[str, int] | None = None,
    beneath: Sequence[Mapping[date, int]] | None = None,
) -> dict[date, int]:
    """What each date's rows are a function of, as a 63-bit number.

    Args:
        lake: where sources and views are.
        view: whose rows.
        dates: as-of dates.
        versions: of the tables of the sources that the view itself reads; default: as they are now.
        beneath: of each view that it reads, the fingerprint of its rows; default: of what they should be now.
    """
    at = versions or {}
    arrivals = {one.name: arrived_files(lake, one.keyed, at.get(one.table)) for one in view.relations}
    upstream = [fingerprints(lake, other, dates) for _, other in view.views] if beneath is None else beneath
    # A view beneath whose rows were taken away meanwhile has none; what is then computed is not kept.
    return {day: _fingerprint(view, day, arrivals, [prints.get(day, 0) for prints in upstream]) for day in dates}


@dataclass(frozen=True)
class _Pinned:
    """What a view is computed from: versions of the sources' tables, and fingerprints of the views that it reads."""

    versions: Mapping[str, int]
    beneath: Sequence[Mapping[date, int]]


def _beneath(lake: Lake, view: View, dates: Sequence[date]) -> list[dict[date, int]]:
    """Of each view that a view reads, the fingerprint under which its rows stand."""
    return [stored_fingerprints(lake, other, dates) for _, other in view.views]


def _fingerprint(view: View, day: date, arrivals: dict[str, list[Ingest]], upstream: list[int]) -> int:
    start, end = view.window(day)
    visible = {
        name: sorted(file.sha for file in files if file.touches(start, end)) for name, files in sorted(arrivals.items())
    }
    return fingerprint_of(view.recipe, visible, upstream)


def _commit(
    lake: Lake,
    view: View,
    days: Sequence[date],
    wanted: Mapping[date, int],
    workers: int,
    pinned: _Pinned,
    engine: Engine,
) -> bool:
    """Compute and keep dates; nothing is kept, and it is said, where a view beneath was overwritten meanwhile."""
    computed = engine.compute(lake, view, days, workers=workers, versions=pinned.versions)
    rows = pa.concat_tables([rows for _, rows in computed], promote_options="permissive")
    before = [{day: prints[day] for day in days if day in prints} for prints in pinned.beneath]
    if _beneath(lake, view, days) != before:
        return False
    lake.replace(view.kept, rows, values=days, records={as_of_key(day): wanted[day] for day in days})
    return True


@dataclass(frozen=True)
class Description:
    """A view at one date: how many entities, and of each column its type, share of nulls, minimum, mean, maximum."""

    count: int
    columns: tuple[dict[str, object], ...]


def describe(lake: Lake, view: View, day: date) -> Description:
    """What the kept rows of a date look like."""
    with lake.connect() as connection:
        rows = lake.relation(connection, view.kept)
        result = connection.sql(
            f"SUMMARIZE SELECT * EXCLUDE (as_of, {quote(view.entity)}) FROM {rows} WHERE as_of = DATE {literal(day)}"
        )
        names = [str(name) for name in result.columns]
        summary = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    headings = {
        "column_name": "column",
        "column_type": "type",
        "null_percentage": "null %",
        "min": "min",
        "avg": "mean",
        "max": "max",
    }
    columns = tuple({name: row[key] for key, name in headings.items()} for row in summary)
    return Description(int(summary[0]["count"]) if summary else 0, columns)
