"""`python -m benchmarks fuzz-server`: a real server under requests of every wrong form, for some minutes."""

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figure import Figure, figures
from benchmarks.fuzz.documents import documents
from benchmarks.fuzz.events import memory_lake, reported, taken
from benchmarks.fuzz.fleet import Findings, attack
from benchmarks.fuzz.processes import Watched, started
from benchmarks.fuzz.requests import Requests
from benchmarks.process import call, say
from ml_assets.search.index import SearchIndex
from ml_assets.settings import Settings
from ml_assets_tests.search.cases import corpus, embedder, table
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.process import Server, serving

_WARM = 60.0


def measure(minutes: float, seed: int) -> list[Figure]:
    """Schemathesis and the fleet side by side against one worker; then the loop takes what was recorded."""
    with tempfile.TemporaryDirectory() as name, started() as ours:
        data = Path(name) / "data"
        prepare(data)
        with serving(data) as server:
            watched = Watched(_WARM)
            with ThreadPoolExecutor(1) as thread:
                inside = thread.submit(
                    call, "fuzz.inside:spoil", Path(name) / "inside", seconds=60 * minutes, seed=seed
                )
                found, said = _attacked(server, watched, Path(name), 60 * minutes, seed)
                decoded = inside.result()
            log = server.log()
        remaining = len(ours.left())
        url = Settings(data=data).event_store_url
        recorded = taken(url, memory_lake(data), released.MODEL, papers.MODEL)
        reported(url, released.MODEL, Path(name))
    found.faults |= {what: wire.encode() for what, wire in decoded["faults"].items()}
    _report(found, said, log)
    (size, opened), (size_then, opened_then) = watched.first_and_last()
    return [
        figures(f"exchanges with a server in {minutes:g} minutes, seed {seed}", "", [found.sent]),
        figures("answers", "", [found.kinds.total()]),
        figures("of them 2xx", "", [sum(count for kind, count in found.kinds.items() if kind[0] == "2")]),
        figures("bodies for decoders without a wire", "", [decoded["tried"]]),
        figures("kinds of answers that are not declared", "", [len(found.faults)], limit=0),
        figures("schemathesis: failures", "", [float("No issues found" not in said)], limit=0),
        figures("exceptions in the server's log", "", [log.count("Traceback")], limit=0),
        figures("processes left", "", [remaining], limit=0),
        figures("memory of the worker, last minute against the first", "MiB", [size_then], [size], limit=1.1),
        figures("descriptors of the worker, last minute against the first", "", [opened_then], [opened], limit=1.2),
        figures(
            "events that the server took and the lake did not", f"of {recorded.rows:,}", [recorded.missing], limit=0
        ),
    ]


def prepare(data: Path) -> None:
    """A model of rows and one of documents, as champions."""
    released.release(data)
    papers.release(data)
    today = datetime.now(UTC).date()
    known: dict[str, tuple[float | None, int, str]] = {"c1": (0.5, 1, "pro"), "c2": (None, 2, "basic")}
    released.write(Settings(data=data).online_url, known, today)
    rows = corpus(60)
    SearchIndex(data / "search" / papers.MODEL).update(table(rows), embedder=embedder(rows))


def _attacked(server: Server, watched: Watched, folder: Path, seconds: float, seed: int) -> tuple[Findings, str]:
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(server, watched, over))
    watcher.start()
    checker = _schemathesis(server, folder, seconds)
    try:
        requests = Requests(released.MODEL, papers.MODEL, documents())
        found = asyncio.run(attack(server.port, requests, seed, time.monotonic() + seconds))
        said = checker.communicate(timeout=120)[0]
    finally:
        checker.kill()
        over.set()
        watcher.join()
    return found, said


def _watch(server: Server, watched: Watched, over: threading.Event) -> None:
    while not over.wait(1):
        watched.look(*server.workers())


def _schemathesis(server: Server, folder: Path, seconds: float) -> "subprocess.Popen[str]":
    from ml_assets_tests.processes import environment
    from ml_assets_tests.serving.test_schema import CHECKS

    work = folder / "schemathesis"
    work.mkdir()
    # Busy is an answer while others attack; what a request is refused for, the tests of the document look at.
    busy = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "4xx", "503"]\n'
    (work / "checks.toml").write_text(busy + CHECKS)
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", "checks.toml", "run", f"{server.url}/openapi.json",
        "--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(int(seconds)), "--no-color",
        "--warnings", "off", "--continue-on-failure",
        "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
    ]  # fmt: skip
    quiet = environment(work, DO_NOT_TRACK="true")
    return subprocess.Popen(command, cwd=work, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _report(found: Findings, said: str, log: str) -> None:
    for kind, count in sorted(found.kinds.items()):
        say(f"{count:>8,} × {kind}")
    for what, wire in found.faults.items():
        say(f"FAULT {what}\n    {wire[:600]!r}")
    say(said[-6000:] if "No issues found" not in said else said[-1200:])
    if "Traceback" in log:
        say(log[log.index("Traceback") - 500 :][:6000])
