"""A view of five aggregates at 26 weekly dates, 180 days of lookback, against the same queries in bare DuckDB.

The peer reads the same files of the same Delta table with as many threads as there are cores, and hands its results
over as Arrow. Ours also finds out which dates are stale, checks entities and types, and commits the rows.
"""

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, Measured, call, say

if TYPE_CHECKING:
    from ml_assets.features.view import View

START, MONTHS = date(2023, 7, 1), 24
LAST, DATES, LOOKBACK = date(2025, 6, 29), 26, timedelta(days=180)
EVENTS_PER_CUSTOMER = 200
TABLE = "bench/raw/events"
QUERY = """
SELECT
    customer_id,
    count(*) AS events,
    sum(amount) AS total,
    avg(amount) AS mean,
    max(amount) AS largest,
    date_diff('second', max(happened_at), $as_of) / 86400.0 AS days_since
FROM {source}
GROUP BY customer_id
"""
SIDES = ("refresh", "compute", "bare")


def measure(quick: bool) -> list[Figure]:
    """The store, the engine alone, and the peer, at two sizes."""
    sizes = (100_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    return [figure for size in sizes for figure in _figures(size, _size(size, 1 if quick else 3), size == sizes[-1])]


def _figures(size: int, found: dict[str, list[Measured]], promised: bool) -> list[Figure]:
    name, peer = f"five aggregates at {DATES} dates, {size / 1e6:g} million events", found["bare"]
    seconds, cpu = ({side: [run[unit] for run in runs] for side, runs in found.items()} for unit in ("seconds", "cpu"))
    return [
        figures(name, "s", seconds["refresh"], seconds["bare"], 1.5 if promised else None),
        figures(f"{name}, processor time", "s", cpu["refresh"], cpu["bare"]),
        figures(f"{name}, without keeping them", "s", seconds["compute"], seconds["bare"]),
        figures(f"{name}, peak memory", "MiB", [run.peak for run in found["refresh"]], [run.peak for run in peer]),
    ]


def _size(events: int, repetitions: int) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        made = call("asof:generate", Path(folder), events=events)
        say(f"{events:,} events in {made['files']} files, generated and ingested in {made.spent.wall:.0f} s")
        for repetition in range(repetitions):
            say(f"{repetition + 1} of {repetitions}")
            for side, runs in found.items():
                runs.append(call(f"asof:{side}", Path(folder), repetition=repetition))
    sums = {(run["rows"], run["events"]) for runs in found.values() for run in runs}
    if len(sums) != 1:
        raise BenchmarkError(f"all must see the same events; rows and events were {sums}")
    return found


# --- in the measured processes


def generate(events: int) -> dict[str, Any]:
    """Monthly files of events in the order of their times, ingested."""
    import duckdb

    from benchmarks.project import load
    from ml_assets.ingest.ingest import ingest
    from ml_assets.settings import read_settings
    from ml_assets.spec.source import SourceSpec

    drop, lake = read_settings().incoming / "bench" / "events", load().lake
    drop.mkdir(parents=True)
    for month in range(MONTHS):
        rows = _month(month, events // MONTHS, events // EVENTS_PER_CUSTOMER)
        duckdb.sql(f"COPY ({rows}) TO '{drop}/{month:02}.parquet' (FORMAT parquet)")
    spec = SourceSpec(name="events", files="bench/events/*.parquet", event_time="happened_at")
    ingest(lake, TABLE, spec, read_settings().incoming)
    return {"files": len(lake.files(TABLE))}


def _month(number: int, events: int, customers: int) -> str:
    """Events of a month, spread by a hash, which is the same on every machine."""
    first = f"DATE '{START}' + INTERVAL {number} MONTH"
    return f"""
        SELECT
            format('C{{:07d}}', (hash(id, 1) % {customers})::BIGINT) AS customer_id,
            {first} + INTERVAL 1 SECOND * (hash(id, 2) % (28 * 86400))::BIGINT AS happened_at,
            (hash(id, 3) % 100000) / 100.0 AS amount
        FROM (SELECT {number}::BIGINT * {events} + range AS id FROM range({events}))
        ORDER BY happened_at
    """


def refresh(repetition: int) -> dict[str, Any]:
    """The feature store: computed, checked and kept."""
    from benchmarks.project import load, timed
    from ml_assets.features import store

    lake, view = load("deltalake").lake, _view(repetition)
    took = timed(lambda: store.refresh(lake, view, _dates()))
    kept = lake.query("SELECT count(*) AS rows, sum(events)::BIGINT AS events FROM kept", kept=view.kept)
    return {**took, **kept.to_pylist()[0]}


def compute(repetition: int) -> dict[str, Any]:
    """The as-of engine alone: computed and checked."""
    from benchmarks.project import load, timed
    from ml_assets.features import engine as asof

    lake, view = load("deltalake").lake, _view(repetition)
    results: list[Any] = []
    took = timed(lambda: results.extend(rows for _, rows in asof.compute(lake, view, _dates())))
    return {**took, **_sums(results)}


def bare(repetition: int) -> dict[str, Any]:
    """The same queries, one after the other, on DuckDB as it comes."""
    import duckdb

    from benchmarks.project import load, timed

    _ = repetition
    files = load("deltalake").lake.files(TABLE)
    results: list[Any] = []

    def work() -> None:
        with duckdb.connect() as connection:
            for day in _dates():
                window = f"happened_at < TIMESTAMP '{day}' AND happened_at >= TIMESTAMP '{day - LOOKBACK}'"
                sql = QUERY.replace("$as_of", f"TIMESTAMP '{day}'")
                source = f"read_parquet({files}) WHERE {window}"
                results.append(connection.sql(sql.format(source=source)).to_arrow_table())

    took = timed(work)
    return {**took, **_sums(results)}


def _sums(results: list[Any]) -> dict[str, int]:
    import pyarrow.compute as pc

    return {"rows": sum(map(len, results)), "events": sum(pc.sum(rows["events"]).as_py() for rows in results)}


def _dates() -> list[date]:
    return [LAST - timedelta(weeks=week) for week in reversed(range(DATES))]


def _view(repetition: int) -> "View":
    """The same view under another name each time, so that nothing of it is kept yet."""
    from ml_assets.features.query import check
    from ml_assets.features.view import Relation, View

    query = check(QUERY.format(source="events"), ["events"], where="bench")
    relation = Relation("events", TABLE, "happened_at")
    return View(f"bench/features/run_{repetition}", query, "customer_id", (relation,), lookback=LOOKBACK)
