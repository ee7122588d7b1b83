"""Ten minutes at half of the top rate: does the worker grow, does it fail, does it lose anything?"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Unfinished
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from benchmarks.figure import Figure, figures
from benchmarks.process import Measured, call, say
from benchmarks.serve_forest import prepared, unsettled
from benchmarks.serve_load import load
from benchmarks.serve_process import Server, started
from benchmarks.serve_rate import lost
from benchmarks.serve_sides import Side, ours

_WARM = 60.0  # seconds until a worker has seen everything that it keeps


@dataclass(frozen=True)
class _Sample:
    """The worker at a moment: seconds since the load began, MiB."""

    at: float
    resident: float


def measure(quick: bool) -> list[Figure]:
    """Half of what one worker can do, with every prediction recorded."""
    seconds, every = (20.0, 1.0) if quick else (600.0, 10.0)
    with tempfile.TemporaryDirectory() as name, unsettled():
        forest = prepared(Path(name))
        side = ours(forest)
        with started(side.command, side.variables) as server:
            side.await_ready(server)
            before = server.taken()
            rate = load(server, side.path, side.bodies, 2 if quick else 10).rate / 2
            worker = _busiest(before, server.taken())
            say(f"{rate:,.0f} requests a second for {seconds:.0f} s")
            ids = Path(name) / "acknowledged"
            found, samples = _loaded(server, worker, side, rate, seconds, every, ids)
        missing = lost(forest.data / "events.db", ids)
    return _figures(found, samples, missing, rate, promised=not quick)


def _busiest(before: dict[int, float], after: dict[int, float]) -> int:
    """The process that answered: the parent, which is larger, has only started it."""
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0))


def _loaded(
    server: Server, worker: int, side: Side, rate: float, seconds: float, every: float, ids: Path
) -> tuple[Measured, list[_Sample]]:
    """Load the server from a process of its own, and look at it from here."""
    with ThreadPoolExecutor(1) as thread:
        wanted = {"path": side.path, "bodies": side.bodies, "rate": rate, "seconds": seconds, "acknowledged": str(ids)}
        running = thread.submit(call, "serve_rate:constant", ids.parent, port=server.port, **wanted)
        samples = [_Sample(0.0, server.resident(worker))]
        while not _ended(running, every):
            samples.append(_Sample(samples[-1].at + every, server.resident(worker)))
            say(f"{samples[-1].at:.0f} s: {samples[-1].resident:.1f} MiB")
        return running.result(), samples


def _ended(running: "Future[Measured]", seconds: float) -> bool:
    try:
        running.result(seconds)
    except Unfinished:
        return False
    return True


def _figures(found: Measured, samples: Sequence[_Sample], missing: int, rate: float, *, promised: bool) -> list[Figure]:
    growth, more = _growth(samples)
    percent, size, none = (1.0, 20.0, 0.0) if promised else (None,) * 3
    name = f"{samples[-1].at:.0f} s at {rate:,.0f} requests a second"
    return [
        figures(f"{name}: growth of the worker in the second half, a minute", "%", [growth], limit=percent),
        figures(f"{name}: growth of the worker after the first minute", "MiB", [more], limit=size),
        figures(f"{name}: memory of the worker in the end", "MiB", [samples[-1].resident]),
        figures(f"{name}: p50 from the moment that a request is due", "ms", [found["p50"]]),
        figures(f"{name}: p99 from the moment that a request is due", "ms", [found["p99"]]),
        figures(f"{name}: requests that failed", f"of {found['answered']:,}", [found["errors"]], limit=none),
        figures(
            f"{name}: acknowledged predictions that are not recorded",
            f"of {found['answered']:,}",
            [missing],
            limit=none,
        ),
    ]


def _growth(samples: Sequence[_Sample]) -> tuple[float, float]:
    """Percent a minute over the second half, by least squares; MiB between the warm worker and the last sample."""
    half = samples[len(samples) // 2 :]
    slope = linear_regression([sample.at for sample in half], [sample.resident for sample in half]).slope
    warm = [sample.resident for sample in samples if sample.at >= min(_WARM, samples[-1].at / 2)]
    return 60 * slope / half[0].resident * 100, samples[-1].resident - warm[0]
