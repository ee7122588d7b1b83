"""Killed at any moment, an update has changed nothing: real processes, SIGKILL."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.search.index import Results, SearchIndex
from ml_assets.search.store import SearchStore
from ml_assets_tests.search.cases import corpus, embedder, letters, row, table

SPAWN = multiprocessing.get_context("spawn")
BEFORE, FITTED = corpus(300), embedder(corpus(300))
AFTER = [row(each["document_id"], f"{each['text']} afterwards") for each in corpus(700)[100:]]
GONE = [each["document_id"] for each in BEFORE[:50]]


def parts(folder: Path, pause: float) -> Iterator[pa.Table]:
    """Rows that say how far they were taken, and give time to be killed."""
    for number, start in enumerate(range(0, len(AFTER), 100)):
        (folder / f"part{number}").touch()
        time.sleep(pause)
        yield table(AFTER[start : start + 100])
    (folder / "all").touch()


def _update(folder: Path, pause: float, seed: int) -> None:
    SearchIndex(folder / "index").update(parts(folder, pause), GONE, embedder=embedder(corpus(300), seed))


QUERIES = ("", "afterwards rent", "insurance", "lease", f"lease {letters(120)} {letters(650)}")


def answers(index: SearchIndex) -> list[Any]:
    found: list[Results] = [index.search(query, limit=60) for query in QUERIES]
    return [(each.hits, each.total) for each in found]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never reached"
        time.sleep(0.001)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    found = {}
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("whole")
        SearchIndex(folder / "index").update(table(BEFORE), embedder=FITTED)
        _update(folder, 0, seed)
        found[seed] = answers(SearchIndex(folder / "index"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1], ids=["in place", "another embedder"])
@pytest.mark.parametrize(
    ("reached", "later"),
    [
        ("part0", 0.0),
        ("part1", 0.0),
        ("part3", 0.01),
        ("part5", 0.005),
        ("all", 0.0),
        ("all", 0.03),
        ("all", 0.1),
        ("all", 0.3),
    ],
    ids=["first", "second", "fourth", "sixth", "last", "folding", "folding more", "publishing"],
)
def test_a_killed_update_is_undone_and_done_by_the_next(
    tmp_path: Path, expected: dict[int, list[Any]], reached: str, later: float, seed: int
) -> None:
    index = SearchIndex(tmp_path / "index")
    index.update(table(BEFORE), embedder=FITTED)
    before = answers(index)
    child = SPAWN.Process(target=_update, args=(tmp_path, 0.01, seed))
    child.start()
    wait_for(tmp_path / reached)
    time.sleep(later)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    left = answers(index)
    assert left == (before if index.serial == 1 else expected[seed])
    assert answers(SearchIndex(tmp_path / "index")) == left
    _update(tmp_path, 0, seed)
    assert answers(index) == expected[seed]
    assert index.search("").total == 650


@pytest.mark.slow
def test_the_first_update_may_be_killed_too(tmp_path: Path, expected: dict[int, list[Any]]) -> None:
    child = SPAWN.Process(target=_update, args=(tmp_path, 0.05, 1))
    child.start()
    wait_for(tmp_path / "part4")
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    index = SearchIndex(tmp_path / "index")
    assert index.serial == 0
    index.update(table(BEFORE), embedder=FITTED)
    assert index.search("").total == 300
    _update(tmp_path, 0, 0)
    assert answers(index) == expected[0]


@pytest.mark.slow
def test_readers_see_before_or_after_and_never_between(tmp_path: Path) -> None:
    """Each update replaces every document; whoever reads meanwhile sees all of one generation."""
    index = SearchIndex(tmp_path / "index")
    generation = [[row(f"{n:03}", f"lease rent generation{'abcdef'[g]}") for n in range(80)] for g in range(6)]
    index.update(table(generation[0]), embedder=FITTED)
    stop = tmp_path / "stop"
    queue = SPAWN.Queue()
    reader = SPAWN.Process(target=_read, args=(tmp_path / "index", stop, queue))
    reader.start()
    queue.get(timeout=60)
    for number, rows in enumerate(generation[1:], 1):
        index.update(table(rows), embedder=FITTED if number % 3 else embedder(corpus(300), number))
    stop.touch()
    seen = queue.get(timeout=120)
    reader.join()
    assert len(seen) > 2
    assert all(sorted(counts) == [0, 0, 0, 0, 0, 80] for counts in seen)
    assert [counts.index(80) for counts in seen] == sorted(counts.index(80) for counts in seen)


def _read(folder: Path, stop: Path, queue: Any) -> None:
    index, seen = SearchIndex(folder), []
    queue.put("ready")
    while True:
        ended = stop.exists()
        hits = index.search("lease rent", limit=100).hits
        seen.append([sum(f"generation{letter}" in hit.snippet for hit in hits) for letter in "abcdef"])
        if ended:
            break
    queue.put(seen)


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    store = SearchStore(tmp_path)
    index = SearchIndex(tmp_path)
    with store.lock():
        child = SPAWN.Process(target=_fill, args=(tmp_path,))
        child.start()
        wait_for(tmp_path / "begun")
        child.join(timeout=1)
        assert child.is_alive()
        assert index.serial == 0
    child.join(timeout=60)
    assert index.search("").total == 10


def _fill(folder: Path) -> None:
    (folder / "begun").touch()
    SearchIndex(folder).update(table(corpus(10)), embedder=FITTED)
