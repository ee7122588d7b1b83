"""`ml-assets serve` beside MLflow, BentoML and FastAPI: one forest, one row a request, loopback, 32 connections.

All sides answer with the same probability, which is checked first. wrk runs on the same machine and takes part of a
core from everybody. One worker each, except where the name says otherwise.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, Measured, call, say
from benchmarks.serve_forest import Forest, prepared, unsettled
from benchmarks.serve_load import Load, load
from benchmarks.serve_process import started
from benchmarks.serve_rate import lost
from benchmarks.serve_sides import RAM, SQLITE, Side, ours, peers

RATE = 1000  # requests a second of the run at a constant rate
_AGAINST = {
    "the near-limit": 0.6,
    "mlflow models serve, ONNX": 5.0,
    "mlflow models serve, scikit-learn": 40.0,
    "BentoML with batching, scikit-learn": 12.0,
}
"""Peer → how many times its requests a second ours answers at least, recording each."""

Found = dict[str, list[Load]]


def measure(quick: bool) -> list[Figure]:
    """Every side twice, in turns; then ours at a constant rate."""
    rounds, warm, seconds, steady = (1, 1, 2, 5) if quick else (2, 3, 15, 60)
    with tempfile.TemporaryDirectory() as name, unsettled():
        forest = prepared(Path(name))
        sides = [*peers(forest), *_variants(forest)]
        found: Found = {side.name: [] for side in sides}
        disk: list[float] = []
        for number in range(rounds):
            for side in sides:
                found[side.name].append(_loaded(side, forest.scores, warm, seconds))
                disk += _disk(forest.folder, 1)
                say(f"{number + 1} of {rounds}, {side.name}: {found[side.name][-1].rate:,.0f} requests a second")
        say(f"{RATE:,} requests a second for {steady} s")
        constant, missing = _constant(forest, ours(forest), steady)
    by_itself = [
        figures(f"the disk by itself, between the runs: fdatasync of 24 kB, {name}", "ms", [quantile(disk, share)])
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
    return _figures(found, promised=not quick) + by_itself + _steady(constant, missing, steady, promised=not quick)


def _variants(forest: Forest) -> list[Side]:
    """Ours: the one that the promises are about first, then what changes with each switch."""
    plain = [ours(forest), ours(forest, logged=False), ours(forest, workers=2)]
    named = [ours(forest, entities=True), ours(forest, entities=True, logged=False)]
    ram = [ours(forest, memory=True), ours(forest, memory=True, workers=2)] if RAM.is_dir() else []
    return [*plain, *named, ours(forest, entities=True, workers=2), *ram]


def _loaded(side: Side, scores: Sequence[float], warm: int, seconds: int) -> Load:
    """Start a side, see that it answers right, warm it up, and load it."""
    _forget(side)
    with started(side.command, side.variables) as server:
        side.await_ready(server)
        side.require_scores(server, scores)
        answered = load(server, side.path, side.bodies, warm).requests
        found = load(server, side.path, side.bodies, seconds)
    if side.logged is not None:
        _require_recorded(side, answered + found.requests)
        _forget(side)
    return found


def _require_recorded(side: Side, answered: int) -> None:
    """Refuse a number of ours if an answer was not recorded, or one was that should not have been."""
    with closing(sqlite3.connect(_events(side))) as events:
        recorded = events.execute("SELECT count(*) FROM predictions").fetchone()[0]
    if (recorded < answered) if side.logged else recorded:
        raise BenchmarkError(f"{side.name}: {answered} answers, {recorded} of them recorded")


def _events(side: Side) -> Path:
    return Path(side.variables["ML_ASSETS_EVENT_STORE"].removeprefix(SQLITE))


def _forget(side: Side) -> None:
    """Each run of ours begins with an empty event store."""
    if side.logged is not None:
        for path in _events(side).parent.glob(f"{_events(side).name}*"):
            path.unlink()


def _disk(folder: Path, seconds: float) -> list[float]:
    """Milliseconds of `fdatasync` after 24 kB, the size of a commit, at the pace of commits: the disk by itself."""
    found, until = [], time.monotonic() + seconds
    with (folder / "disk").open("wb") as file:
        while time.monotonic() < until:
            started = time.perf_counter()
            file.write(bytes(24_000))
            file.flush()
            os.fdatasync(file.fileno())
            found.append(1000 * (time.perf_counter() - started))
            time.sleep(0.0015)
    return found


def _constant(forest: Forest, side: Side, seconds: int) -> tuple[Measured, int]:
    """What a client sees that sends on the clock, and how many of its answers were not recorded."""
    _forget(side)
    ids = forest.folder / "acknowledged"
    with started(side.command, side.variables) as server:
        side.await_ready(server)
        load(server, side.path, side.bodies, 2)
        found = call(
            "serve_rate:constant", forest.folder, port=server.port, path=side.path, bodies=side.bodies,
            rate=RATE, seconds=seconds, acknowledged=str(ids),
        )  # fmt: skip
    return found, lost(_events(side), ids)


def _figures(found: Found, *, promised: bool) -> list[Figure]:
    """Ours alone, against each peer, and with each switch."""
    of_ours = [name for name in found if name.startswith("ours")]
    best = found[of_ours[0]]
    least = _AGAINST if promised else {}
    lines = _own(best, promised=promised)
    for name in [name for name in found if name not in {*of_ours, "the near-limit, 2 workers"}]:
        lines += _lines(f"against {name}", best, found[name], least.get(name))
    for name in of_ours[1:]:
        lines += _lines(f"{name} (ours) against one worker with instances and log (peer)", found[name], best)
    return lines + _doubled(found, of_ours[0], promised=promised)


def _doubled(found: Found, best: str, *, promised: bool) -> list[Figure]:
    """What a second worker gives; the near-limit shows how much of it wrk leaves of two cores."""
    rates = {name: _of("rate", loads) for name, loads in found.items()}
    least = 1.8 if promised else None
    near = (rates["the near-limit, 2 workers"], rates["the near-limit"])
    return [
        figures(
            "requests, 2 workers (ours) against 1 (peer)", "/s", rates[f"{best}, 2 workers"], rates[best], None, least
        ),
        figures("the same of the near-limit", "/s", *near),
    ]


def _own(best: Sequence[Load], *, promised: bool) -> list[Figure]:
    cpu, late = (140.0, 10.0) if promised else (None, None)
    return [
        figures("requests", "/s", _of("rate", best)),
        figures("p50", "ms", _of("p50", best)),
        figures("p99", "ms", _of("p99", best), limit=late),
        figures("processor time a request", "µs", _of("cpu", best), limit=cpu),
    ]


def _lines(name: str, left: Sequence[Load], right: Sequence[Load], least: float | None = None) -> list[Figure]:
    return [
        figures(f"{name}: requests", "/s", _of("rate", left), _of("rate", right), at_least=least),
        figures(f"{name}: p50", "ms", _of("p50", left), _of("p50", right)),
        figures(f"{name}: p99", "ms", _of("p99", left), _of("p99", right)),
        figures(f"{name}: processor time a request", "µs", _of("cpu", left), _of("cpu", right)),
    ]


def quantile(found: Sequence[float], share: float) -> float:
    """The value below which a share lies."""
    return sorted(found)[min(int(share * len(found)), len(found) - 1)]


def _of(what: str, side: Sequence[Load]) -> list[float]:
    return [getattr(each, what) for each in side]


def _steady(found: Measured, missing: int, seconds: int, *, promised: bool) -> list[Figure]:
    late, none = (10.0, 0.0) if promised else (None, None)
    name = f"{RATE:,} requests a second for {seconds} s"
    return [
        figures(f"{name}: p50 from the moment that a request is due", "ms", [found["p50"]]),
        figures(f"{name}: p99 from the moment that a request is due", "ms", [found["p99"]], limit=late),
        figures(f"{name}: the longest", "ms", [found["longest"]]),
        figures(f"{name}: requests that failed", f"of {RATE * seconds:,}", [found["errors"]], limit=none),
        figures(f"{name}: acknowledged and not recorded", f"of {found['answered']:,}", [missing], limit=none),
    ]
