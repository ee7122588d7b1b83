"""Acknowledged is committed: group commit, SIGKILL, a store that is locked, full, slow or away."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from ml_assets.events.database import parse_url
from ml_assets.events.exposures import Exposure
from ml_assets.events.journal import Journal, JournalCounts
from ml_assets.events.rows import Event, EventRefusedError, EventStoreError, Outcome, Prediction
from ml_assets.events.store import EventStore
from ml_assets.events.writer import SqliteWriter, Writer
from ml_assets.settings import PROJECT
from ml_assets_tests.processes import environment
from ml_assets_tests.serving.traffic import crowd, exposure, named, prediction, truth

PATIENCE = 0.4
DECLARED = PATIENCE * 1.25 + 0.6  # a quarter more, and what a busy machine adds


def on(store: EventStore, work: Callable[[Journal], Awaitable[None]], **options: float) -> JournalCounts:
    """Do work with a journal of the store: a patient one, because a busy machine is no store that is away."""

    async def run() -> JournalCounts:
        async with Journal(store.writer(), **({"patience": 30.0} | options)) as journal:  # type: ignore[arg-type]
            await work(journal)
        return journal.counts

    return asyncio.run(run())


def entities(store: EventStore) -> list[str | None]:
    return [row.entity for row in store.read_since(Prediction, 0, 10**6, model="churn").rows]


def test_a_hundred_records_at_once_share_one_transaction(store: EventStore) -> None:
    async def work(journal: Journal) -> None:
        await asyncio.gather(*(journal.record(prediction(str(number)), exposure(str(number))) for number in range(100)))

    assert on(store, work) == JournalCounts(records=100, transactions=1)
    assert entities(store) == [str(number) for number in range(100)]
    assert len(store.read_since(Exposure, 0, 1000, model="churn").rows) == 100


def test_what_comes_during_a_commit_is_the_next_batch(store: EventStore) -> None:
    async def work(journal: Journal) -> None:
        assert await crowd(journal, 32, 0.3) == journal.counts.records

    written = on(store, work)
    assert written.transactions < written.records / 4
    assert len(entities(store)) == written.records


def test_an_acknowledged_record_is_seen_by_others_at_once(store: EventStore) -> None:
    async def work(journal: Journal) -> None:
        for number in range(20):
            await journal.record(prediction(str(number)))
            assert entities(store)[-1] == str(number)

    on(store, work)


def test_closing_writes_what_waits_and_takes_no_more(store: EventStore) -> None:
    async def work() -> None:
        journal = Journal(store.writer())
        waiting = [asyncio.create_task(journal.record(prediction(str(number)))) for number in range(50)]
        await asyncio.sleep(0)
        await journal.close()
        await asyncio.gather(*waiting)
        with pytest.raises(EventStoreError, match="closed"):
            await journal.record(prediction())

    asyncio.run(work())
    assert len(entities(store)) == 50


def test_one_event_that_cannot_be_held_is_refused_alone(store: EventStore) -> None:
    rows = [prediction(str(number)) for number in range(40)]
    rows[13] = rows[13]._replace(entity="\ud800")
    rows[27] = rows[27]._replace(score=None)  # type: ignore[arg-type]  # what a caller without types could send

    async def work(journal: Journal) -> None:
        answers = await asyncio.gather(*(journal.record(row) for row in rows), return_exceptions=True)
        assert [number for number, answer in enumerate(answers) if answer is not None] == [13, 27]
        assert {type(answers[13]), type(answers[27])} == {EventRefusedError}

    written = on(store, work)
    assert (written.records, written.failed) == (38, 2)
    assert sorted(entities(store), key=lambda name: int(name or 0)) == [
        str(number) for number in range(40) if number not in {13, 27}
    ]


def test_a_caller_that_goes_away_costs_the_others_nothing(store: EventStore) -> None:
    async def work(journal: Journal) -> None:
        gone = asyncio.create_task(journal.record(prediction("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await journal.record(prediction("stays"))
        with pytest.raises(asyncio.CancelledError):
            await gone

    on(store, work)
    assert "stays" in entities(store)


def test_outcomes_from_many_callers_are_one_row_each(store: EventStore) -> None:
    async def work(journal: Journal) -> None:
        await asyncio.gather(*(journal.record(truth(named(f"p{number % 5}"))) for number in range(50)))

    on(store, work)
    assert len(store.read_since(Outcome, 0, 100, model="churn").rows) == 5


def test_a_locked_store_is_an_error_in_the_declared_time_and_goes_on_by_itself(sqlite_url: str) -> None:
    async def work(journal: Journal) -> None:
        await journal.record(prediction("before"))
        other = sqlite3.connect(str(parse_url(sqlite_url).database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asked = time.monotonic()
        answers = await asyncio.gather(*(late(journal, delay) for delay in (0, 0.1, 0.3)))
        assert time.monotonic() - asked < 0.3 + DECLARED
        assert all("locked" in answer for answer in answers)
        assert "locked" in (journal.counts.trouble or "")
        other.execute("ROLLBACK")
        other.close()
        await journal.record(prediction("after"))
        assert journal.counts.trouble is None

    with EventStore(sqlite_url, patience=PATIENCE) as store:
        on(store, work, patience=PATIENCE)
        assert {"before", "after"} <= set(entities(store))


async def late(journal: Journal, delay: float) -> str:
    """What a record is told that comes after `delay` seconds."""
    await asyncio.sleep(delay)
    asked = time.monotonic()
    with pytest.raises(EventStoreError) as caught:
        await journal.record(prediction("locked out"))
    assert time.monotonic() - asked < DECLARED
    return str(caught.value)


class Stuck:
    """A store that does not answer until it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.held: list[Event] = []

    def take(self) -> bool | None:
        return None

    def insert(self, rows: Sequence[Event]) -> None:
        raise NotImplementedError

    def write(self, rows: Sequence[Event]) -> None:
        self.free.wait(10)
        self.held += rows

    def close(self) -> None:
        pass


def test_a_store_that_is_stuck_is_an_error_in_the_declared_time_and_too_many_are_refused_at_once() -> None:
    async def work() -> None:
        stuck = Stuck()
        journal = Journal(stuck, patience=PATIENCE, capacity=5, batch=2)
        first = [asyncio.create_task(journal.record(prediction(str(number)))) for number in range(2)]
        await asyncio.sleep(0.05)
        then = [asyncio.create_task(journal.record(prediction(str(number)))) for number in range(2, 9)]
        asked = time.monotonic()
        answers = await asyncio.gather(*first, *then, return_exceptions=True)
        assert time.monotonic() - asked < DECLARED
        told = [str(answer) for answer in answers]
        assert ["did not commit within 0.4 s" in answer for answer in told] == [True] * 7 + [False] * 2
        assert all("5 records wait" in answer for answer in told[7:])
        stuck.free.set()
        await journal.record(prediction("after"))
        await journal.close()
        assert [row.entity for row in stuck.held if isinstance(row, Prediction)] == ["0", "1", "after"]
        assert (journal.counts.records, journal.counts.failed) == (1, 9)

    asyncio.run(work())


class Broken:
    def take(self) -> bool | None:
        return None

    def insert(self, rows: Sequence[Event]) -> None:
        raise NotImplementedError

    def write(self, rows: Sequence[Event]) -> None:
        raise RuntimeError(f"{len(rows)} rows")

    def close(self) -> None:
        pass


def test_a_fault_of_the_writer_is_told_to_those_who_wait() -> None:
    async def work() -> None:
        async with Journal(Broken()) as journal:
            with pytest.raises(EventStoreError, match="RuntimeError: 1 rows"):
                await journal.record(prediction())

    asyncio.run(work())


def test_a_full_store_loses_nothing_that_it_took(sqlite_url: str) -> None:
    with EventStore(sqlite_url) as store:
        writer = store.writer()
        assert isinstance(writer, SqliteWriter)
        writer.write([prediction("first")])
        assert writer._connection is not None
        writer._connection.execute("PRAGMA max_page_count = 40")
        taken = ["first"]
        with pytest.raises(EventStoreError, match="is full: its disk is full; free space"):
            fill(writer, taken)
        assert entities(store) == taken
        writer.write([prediction("after")])  # on a connection of its own, which does not know the limit
        writer.close()
        assert entities(store) == [*taken, "after"]


def fill(writer: Writer, taken: list[str]) -> None:
    """Write until it is refused, and say what was not."""
    for number in range(10_000):
        writer.write([prediction(str(number)), exposure(str(number))])
        taken.append(str(number))


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_goes_on_when_there_is_space(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"0" * 1_000_000)
    taken: list[str] = []

    async def work(journal: Journal) -> None:
        with pytest.raises(EventStoreError, match="disk"):
            await record_until_refused(journal, taken)
        assert entities(store)[: len(taken)] == taken
        (small_disk / "ballast").unlink()
        await journal.record(prediction("after"))

    with EventStore(f"sqlite:///{small_disk}/events.db") as store:
        on(store, work)
        assert len(taken) > 100
        assert set(entities(store)) >= {*taken, "after"}


async def record_until_refused(journal: Journal, taken: list[str]) -> None:
    for number in range(100_000):
        await journal.record(prediction(str(number)))
        taken.append(str(number))


def start(url: str, folder: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """A process whose 32 callers write for so long, and print what was acknowledged."""
    command = [sys.executable, "-m", "ml_assets_tests.serving.traffic", url, "32", str(seconds)]
    return subprocess.Popen(command, cwd=PROJECT, env=environment(folder), stdout=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05, 0.3, 0.7])
def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(url: str, tmp_path: Path, after: float) -> None:
    with start(url, tmp_path, 60) as process:
        assert process.stdout is not None
        acknowledged = process.stdout.readline()
        drained: list[bytes] = []
        reader = threading.Thread(target=drained.extend, args=(process.stdout,))
        reader.start()
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        reader.join()
    ids = [line.strip().decode() for line in (acknowledged, *drained) if line.endswith(b"\n")]
    assert process.returncode == -signal.SIGKILL
    assert len(ids) > 32
    with EventStore(url) as store:
        kept = [row.prediction_id for row in store.read_since(Prediction, 0, 10**6, model="churn").rows]
        assert set(ids) <= set(kept)
        assert len(kept) == len(set(kept))


@pytest.mark.slow
def test_two_processes_write_at_once(url: str, tmp_path: Path) -> None:
    processes = [start(url, tmp_path, 1.0) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].decode().split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert min(map(len, said)) > 100
    with EventStore(url) as store:
        kept = [row.prediction_id for row in store.read_since(Prediction, 0, 10**6, model="churn").rows]
    assert sorted(kept) == sorted(said[0] + said[1])
