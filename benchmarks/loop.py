"""The churn loop through Dagster, against the same functions called one after the other.

Both sides start from an empty data folder with the same simulated files, in a process of their own that has loaded
the project and imported the heavy libraries already: neither import time nor definitions flatter the ratio.
"""

import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, Measured, call, say

AS_OF = "2025-06-29"
SIDES = ("dagster", "plain")
UNITS = ("seconds", "cpu")


def measure(quick: bool) -> list[Figure]:
    """First run, repeated run, repeated run in a new process; memory."""
    customers, repetitions = (1000, 1) if quick else (5000, 3)
    first: dict[str, list[Measured]] = {side: [] for side in SIDES}
    later: dict[str, list[Measured]] = {side: [] for side in SIDES}
    for repetition in range(repetitions):
        for side in SIDES if repetition % 2 else reversed(SIDES):
            with tempfile.TemporaryDirectory() as folder:
                say(f"{side}, {customers:,} customers, {repetition + 1} of {repetitions}")
                call("loop:simulate", Path(folder), customers=customers)
                first[side].append(call("loop:twice", Path(folder), side=side))
                later[side].append(call("loop:once", Path(folder), side=side))
    _require_same(first)
    return _figures(first, later, customers)


def _figures(first: dict[str, list[Measured]], later: dict[str, list[Measured]], customers: int) -> list[Figure]:
    assets = first["dagster"][0]["assets"]
    made = []
    for name, when in (("first", f"first run, {customers:,} customers"), ("again", "again with nothing new")):
        ours, peer = ([run[name] for run in first[side]] for side in SIDES)
        wall, cpu = ([(a[s] - b[s]) * 1000 / assets for a, b in zip(ours, peer, strict=True)] for s in UNITS)
        limit = 1.5 if name == "first" else None
        made += [
            figures(when, "s", *_each("seconds", ours, peer), limit),
            figures(f"{when}, processor time", "s", *_each("cpu", ours, peer)),
            figures(f"{when}, overhead for each of {assets} assets", "ms", wall, limit=120),
            figures(f"{when}, overhead for each of {assets} assets, processor time", "ms", cpu),
        ]
    walls = ([run.spent.wall for run in later[side]] for side in SIDES)
    peaks = ([run.peak for run in first[side]] for side in SIDES)
    return [
        *made,
        figures("again with nothing new, the whole new process", "s", *_pair(walls)),
        figures("peak memory, first run", "MiB", *_pair(peaks)),
    ]


def _each(name: str, *sides: list[dict[str, float]]) -> tuple[list[float], list[float]]:
    return _pair([run[name] for run in side] for side in sides)


def _pair(sides: Iterable[list[float]]) -> tuple[list[float], list[float]]:
    ours, peer = sides
    return ours, peer


def _require_same(found: dict[str, list[Measured]]) -> None:
    metrics = [run["metrics"] for runs in found.values() for run in runs]
    if any(other != metrics[0] for other in metrics):
        raise BenchmarkError(f"both ways must train the same model, to the last digit: {metrics}")


# --- in the measured processes


def simulate(customers: int) -> dict[str, Any]:
    """Fill the drop zone."""
    from benchmarks.project import fill

    fill("simulate", end=AS_OF, customers=customers)
    return {}


def twice(side: str) -> dict[str, Any]:
    """The loop on an empty lake, and again with nothing new."""
    from benchmarks.plain import metrics, ways
    from benchmarks.project import LATE, load, timed

    project, as_of = load(*LATE), date.fromisoformat(AS_OF)
    run = ways(project)[side]
    first, again = timed(lambda: run(as_of)), timed(lambda: run(as_of))
    assets = len(project.definitions.resolve_job_def("churn_loop").all_node_defs)
    return {"first": first, "again": again, "assets": assets, "metrics": metrics(project, as_of)}


def once(side: str) -> dict[str, Any]:
    """The loop, with nothing loaded before."""
    from benchmarks.plain import ways
    from benchmarks.project import load

    ways(load())[side](date.fromisoformat(AS_OF))
    return {}
