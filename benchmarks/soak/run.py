"""`python -m benchmarks soak --faults`: two servers under steady load, and a fault each minute in turn."""

import asyncio
import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks.figure import Figure, figures
from benchmarks.fuzz.processes import Watched, started
from benchmarks.process import BenchmarkError, say
from benchmarks.serve_rate import lost
from benchmarks.soak.faults import LONG, Fault, Place, faults, fill_redis
from benchmarks.soak.load import SteadyLoad
from benchmarks.soak.postgres import Cluster, cluster
from ml_assets_tests.serving.faults import redis
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.test_serve import Shelf

RATE = 75.0
"""Predictions a second of each of the two servers."""

HEALS = 20.0
"""Seconds after the end of a fault in which a server has to be well again by itself."""

_WORKERS = 2
_EVERY = 60.0
_GIVEN_UP = 120.0
_STAYS = 5  # looks at all of it for which it has to stay well
_LOOKS = 8  # at /health in a row: each goes to any of the workers


def measure(minutes: float, seed: int) -> list[Figure]:  # noqa: ARG001 - nothing here is drawn
    """One server on SQLite and one on Postgres, both on Redis, for some minutes; a fault each minute of one of them."""
    with started() as ours, tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as held:
        folder = Path(name)
        places = [
            held.enter_context(_on_sqlite(folder / "sqlite")),
            held.enter_context(_on_postgres(folder / "postgres", held.enter_context(cluster()))),
        ]
        loads = [SteadyLoad(place.server.port, RATE, place.data / "acknowledged") for place in places]
        healed, watched = asyncio.run(_endured(places, loads, 60 * minutes))
        missing = [_missing(place, load.path) for place, load in zip(places, loads, strict=True)]
        held.close()
        processes = len(ours.left())
    return _figures(minutes, healed, loads, watched, missing, processes)


def _figures(
    minutes: float,
    healed: list[tuple[str, float]],
    loads: list[SteadyLoad],
    watched: list[Watched],
    missing: list[int],
    processes: int,
) -> list[Figure]:
    found = [figures(f"{what}: seconds until all is well", "s", [took], limit=HEALS) for what, took in healed]
    for load, grown, absent, name in zip(loads, watched, missing, ("SQLite", "Postgres"), strict=True):
        (size, opened), (size_then, opened_then) = grown.first_and_last(15 * minutes)
        taken = sorted(late for _, late in load.taken)
        say(f"{name}: {dict(load.kinds)}")
        found += [
            figures(f"{name}: acknowledged that are not recorded", f"of {len(taken):,}", [absent], limit=0),
            figures(f"{name}: share of requests that were answered", "%", [100 * len(taken) / load.kinds.total()]),
            figures(f"{name}: p99 of the answers, faults included", "ms", [1000 * taken[len(taken) * 99 // 100]]),
            figures(f"{name}: memory, last quarter against the third", "MiB", [size_then], [size], limit=1.05),
            figures(f"{name}: descriptors, last quarter against the third", "", [opened_then], [opened], limit=1.05),
        ]
    other = [kind for load in loads for kind in load.kinds if kind not in _DECLARED]
    return [
        *found,
        figures(f"kinds of answers that are not declared {sorted(set(other)) or ''}", "", [len(set(other))], limit=0),
        figures("processes left", "", [processes], limit=0),
    ]


# A connection that was open to a worker that is killed ends without an answer.
_DECLARED = frozenset({
    "200", "503 event-store", "503 online-store", "503 busy", "503 loading", "ConnectionResetError",
    "IncompleteReadError", "ConnectionRefusedError", "BrokenPipeError",
})  # fmt: skip


async def _endured(
    places: list[Place], loads: list[SteadyLoad], seconds: float
) -> tuple[list[tuple[str, float]], list[Watched]]:
    began = time.monotonic()
    until, watched = began + seconds, [Watched(seconds / 2) for _ in places]
    watching = asyncio.create_task(asyncio.to_thread(_watch, places, watched, until))
    suffering = asyncio.create_task(asyncio.to_thread(_suffered, places, until))
    await asyncio.gather(*(load.run(until) for load in loads))
    await watching
    return await suffering, watched


def _watch(places: list[Place], watched: list[Watched], until: float) -> None:
    while time.monotonic() < until:
        for place, each in zip(places, watched, strict=True):
            workers = place.server.workers()
            if len(workers) == _WORKERS:  # else one is being replaced
                each.look(place.server.parent, *workers)
        time.sleep(5)


def _suffered(places: list[Place], until: float) -> list[tuple[str, float]]:
    """Each fault in turn, one a minute: how long after its end all was well."""
    listed = _in_turn(places)
    every = min(_EVERY, (until - time.monotonic()) / len(listed)) if until - time.monotonic() < 600 else _EVERY
    found, number, next_at = [], 0, time.monotonic() + min(10.0, every / 2)
    while next_at + LONG + HEALS / 2 < until:
        time.sleep(max(next_at - time.monotonic(), 0))
        place, what, fault = listed[number % len(listed)]
        fault(place)
        ended = time.monotonic()
        well = _got_well(place, ended)
        say(f"{what}: {f'well {well - ended:.1f} s after its end' if well else 'never well'}")
        found.append((what, well - ended if well else _GIVEN_UP))
        number, next_at = number + 1, max(next_at + every, time.monotonic() + 1)
    return found


def _got_well(place: Place, ended: float) -> float | None:
    """When it began to be well and stayed so for some looks; None: not in the time that is waited."""
    since: float | None = None
    looks = 0
    while looks < _STAYS and time.monotonic() - ended < _GIVEN_UP:
        at = time.monotonic()
        looks = looks + 1 if _well(place) else 0
        since = at if looks == 1 else since
        time.sleep(0.2)
    return since if looks else None


def _in_turn(places: list[Place]) -> list[tuple[Place, str, Fault]]:
    """The faults of both, one of each in turn."""
    names = ("SQLite", "Postgres")
    each = [
        [(place, f"{name}: {what}", fault) for what, fault in faults(place).items()]
        for place, name in zip(places, names, strict=True)
    ]
    most = max(map(len, each))
    return [some[at] for at in range(most) for some in each if at < len(some)]


def _well(place: Place) -> bool:
    """Whether every worker says so, and answers both forms."""
    forms = ({"instances": [{"total spend": 0.5, "n": 1, "plan": "pro"}]}, {"entities": [{"customer_id": "c1"}]})
    try:
        healthy = len(place.server.workers()) == _WORKERS and all(
            _asked(place, "GET", "/health")[1]["status"] == "ok" for _ in range(_LOOKS)
        )
        return healthy and all(_asked(place, "POST", "/models/churn/predict", form)[0] == 200 for form in forms)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _asked(place: Place, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """By a connection of its own, which any worker may take."""
    with closing(http.client.HTTPConnection("127.0.0.1", place.server.port, timeout=10)) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def _on_sqlite(folder: Path) -> Iterator[Place]:
    """A server whose event store is a file on a small disk."""
    folder.mkdir()
    with _disk(folder / "disk", "600m") as disk:
        events = f"sqlite:///{disk}/events.db"
        with _served(folder, events) as place:
            yield Place(place.server, place.data, place.redis, disk=disk)


@contextmanager
def _on_postgres(folder: Path, made: Cluster) -> Iterator[Place]:
    folder.mkdir()
    with _served(folder, made.url) as place:
        yield Place(place.server, place.data, place.redis, cluster=made)


@contextmanager
def _served(folder: Path, events: str) -> Iterator[Place]:
    """Two workers over a registry with a champion, and a Redis of their own."""
    data = folder / "data"
    data.mkdir()
    shelf = Shelf(data)
    shelf.release(shelf.train(0.0), 0.0)
    with redis(folder / "redis") as store:
        fill_redis(store)
        with serving(data, workers=_WORKERS, ML_ASSETS_ONLINE_STORE=store.url, ML_ASSETS_EVENT_STORE=events) as server:
            place = Place(server, data, store)
            until = time.monotonic() + 60
            while not _well(place):
                if time.monotonic() > until:
                    raise BenchmarkError(f"the server does not get well: {server.health()}\n{server.log()[-3000:]}")
                time.sleep(0.2)
            yield place


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of so many bytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise BenchmarkError("a small disk cannot be mounted: run as root")
    try:
        yield folder
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _missing(place: Place, acknowledged: Path) -> int:
    """How many acknowledged predictions the event store does not hold."""
    if place.disk is not None:
        return lost(place.disk / "events.db", acknowledged)
    assert place.cluster
    there = {row[0] for row in place.cluster.ask("SELECT prediction_id FROM predictions")}
    return len({line.strip() for line in acknowledged.open()} - there)
