"""Ingest and features of simulated churn at 1 and 10 million events: seconds, memory, growth."""

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import Measured, call, say

AS_OF = "2025-06-29"
MONTHS = 24
DATES = 30  # weekly as-of dates: the window of the churn model
EVENTS_PER_CUSTOMER = 265  # transactions, sessions and tickets in 24 months; the real number is printed
MEMORY = 2048.0  # MiB
LINEAR = 1.2  # seconds an event, large against small


def measure(quick: bool) -> list[Figure]:
    """Both sizes, each step in a process of its own."""
    sizes = (100_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    found = {size: _size(size, 1 if quick else 3) for size in sizes}
    return [figure for step in ("ingest", "features") for figure in _figures(step, found)]


def _size(events: int, repetitions: int) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {"ingest": [], "features": []}
    with tempfile.TemporaryDirectory() as folder:
        made = call("scale:generate", Path(folder), customers=events // EVENTS_PER_CUSTOMER)
        say(f"{made['events']:,} events, {made['mib']:,.0f} MiB of files, generated in {made.spent.wall:.0f} s")
        for repetition in range(repetitions):
            with tempfile.TemporaryDirectory() as data:
                say(f"{repetition + 1} of {repetitions}")
                incoming = str(Path(folder) / "incoming")
                found["ingest"].append(call("scale:ingest", Path(data), incoming=incoming))
                found["features"].append(call("scale:features", Path(data)))
    for runs in found.values():
        for run in runs:
            run.result["events"] = made["events"]
    return found


def _figures(step: str, found: dict[int, dict[str, list[Measured]]]) -> list[Figure]:
    of = f"features at {DATES} dates" if step == "features" else step
    made = []
    for size, steps in found.items():
        runs, million = steps[step], f"{size / 1e6:g} million"
        made.append(figures(f"{of}, {million}", "s", [run["seconds"] for run in runs]))
        made.append(figures(f"{of}, {million}, peak memory", "MiB", [run.peak for run in runs], limit=MEMORY))
    small, large = (steps[step] for steps in found.values())
    growth = (_per_million(large), _per_million(small))
    return [*made, figures(f"{of}, a million events: large (ours) against small (peer)", "s", *growth, LINEAR)]


def _per_million(runs: list[Measured]) -> list[float]:
    return [run["seconds"] / run["events"] * 1e6 for run in runs]


# --- in the measured processes


def generate(customers: int) -> dict[str, Any]:
    """Fill a drop zone; its events and size."""
    import pyarrow.dataset as ds

    from benchmarks.project import fill
    from ml_assets.settings import read_settings

    fill("simulate", end=AS_OF, customers=customers, months=MONTHS)
    folder = read_settings().incoming / "churn"
    formats = {"customers": "csv", "transactions": "parquet", "sessions": "parquet", "support_tickets": "json"}
    events = sum(ds.dataset(folder / name, format=kind).count_rows() for name, kind in formats.items())
    return {"events": events, "mib": sum(path.stat().st_size for path in folder.glob("*/*")) / 1024**2}


def ingest(incoming: str) -> dict[str, Any]:
    """Every source of churn into an empty lake, checked."""
    from benchmarks.project import load, timed
    from ml_assets.ingest.ingest import ingest as take

    project = load("great_expectations", "pandas", "deltalake")
    lake, sources = project.lake, [source.spec for source in project.sources("churn")]
    location = Path(incoming)
    return timed(lambda: [take(lake, f"churn/raw/{source.name}", source, location) for source in sources])


def features() -> dict[str, Any]:
    """Every view of churn at the dates of a training window, into an empty store."""
    from benchmarks.project import load, timed
    from ml_assets.features.store import refresh

    project = load("deltalake")
    dates = [date.fromisoformat(AS_OF) - timedelta(weeks=week) for week in reversed(range(DATES))]
    views = [item.view for item in project.folder("churn").features]
    lake = project.lake
    return timed(lambda: [refresh(lake, view, dates) for view in views])
