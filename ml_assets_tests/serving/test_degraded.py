"""A real server whose parts are taken away for real: what it refuses, what it says, and that it recovers by itself."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ml_assets.events.rows import Prediction
from ml_assets.events.store import PATIENCE, EventStore
from ml_assets_tests.event_stores import Postgres
from ml_assets_tests.serving import released
from ml_assets_tests.serving.faults import Redis, bring_back, fill, move_away, redis, remount, wire
from ml_assets_tests.serving.process import Server, gone, serving
from ml_assets_tests.serving.released import FEATURES, MODEL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PREDICT = f"/models/{MODEL}/predict"
INSTANCES = {"instances": [{"total spend": 0.5, "n": 1, "plan": "pro"}]}
BUSY = 1.5  # seconds that two cores of which others take their share may add to what is declared


def entities(*names: str) -> dict[str, Any]:
    return {"entities": [{"customer_id": name} for name in names]}


def ask(server: Server, body: Any = INSTANCES) -> tuple[int, str]:
    answer = server.post(PREDICT, body)
    return answer.status_code, answer.json().get("type", "")


def acknowledged(server: Server) -> str:
    """The id of an answer."""
    answer = server.post(PREDICT, INSTANCES)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["predictions"][0]["prediction_id"])


def metric(server: Server, part: str) -> bool:
    return f'ml_assets_degraded{{part="{part}"}} 1.0' in server.get("/metrics").text


def recorded(url: str) -> set[str]:
    with EventStore(url) as store:
        return {row.prediction_id for row in store.read_since(Prediction, 0, 100_000, model=MODEL).rows}


def suffers(server: Server, part: str, *, ready: bool) -> str:
    """What the server says once a part is away."""
    why = server.wait(f"{part} in /health", lambda: server.health().get(part))
    server.wait("the metric", lambda: metric(server, part))
    assert server.get("/ready").status_code == (200 if ready else 503)
    return why


def recovers(server: Server, part: str, patience: float = 10) -> None:
    """Without a request but for its state."""
    server.wait(f"{part} out of /health", lambda: part not in server.health(), patience)
    server.wait("the metric", lambda: not metric(server, part))
    server.wait("readiness", server.ready)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a server that has a release."""
    released.release(tmp_path)
    return tmp_path


def endures(server: Server, url: str, cause: Callable[[], object], end: Callable[[], object]) -> str:
    """The whole course of an outage of the event store: what was said of it.

    Nothing is acknowledged while it lasts, in the declared time; it ends by itself; all that was acknowledged is there.
    """
    kept = [acknowledged(server) for _ in range(5)]
    cause()
    refused = 0
    while refused < 2:
        began = time.monotonic()
        answer = server.post(PREDICT, INSTANCES)
        if answer.status_code == 200:  # what was begun before, such as a log that has room left
            kept.append(answer.json()["predictions"][0]["prediction_id"])
            continue
        assert time.monotonic() - began < 1.25 * PATIENCE + BUSY
        assert (answer.status_code, answer.json()["type"]) == (503, "event-store")
        assert answer.headers["retry-after"] == "1"
        refused += 1
    why = suffers(server, "event_store", ready=False)
    end()
    recovers(server, "event_store")
    kept += [acknowledged(server) for _ in range(5)]
    assert set(kept) <= recorded(url)
    return why


def test_an_event_store_that_is_locked_refuses_predictions_until_the_lock_is_given_back(data: Path) -> None:
    with serving(data) as server, holding(data / "events.db") as (lock, unlock):
        assert "locked" in endures(server, f"sqlite:///{data}/events.db", lock, unlock)


@contextmanager
def holding(file: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """What takes the write lock of a database in this process, and what gives it back."""
    import sqlite3

    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    yield lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
    other.close()


def test_a_full_disk_refuses_predictions_until_there_is_space(data: Path, small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/events.db"
    with serving(data, ML_ASSETS_EVENT_STORE=url) as server:
        why = endures(server, url, lambda: fill(small_disk), (small_disk / "ballast").unlink)
    assert "disk" in why


def test_a_disk_that_cannot_be_written_refuses_predictions_until_it_can(data: Path, small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/events.db"
    remount(small_disk, "ro")
    with serving(data, ML_ASSETS_EVENT_STORE=url) as server:
        assert ask(server) == (503, "event-store")
        assert "Read-only" in suffers(server, "event_store", ready=False)
        remount(small_disk, "rw")
        recovers(server, "event_store")
        kept = acknowledged(server)
    assert recorded(url) == {kept}


def test_an_event_store_that_is_moved_away_acknowledges_nothing_into_nowhere(data: Path) -> None:
    url = f"sqlite:///{data}/events.db"
    with serving(data) as server:
        before = acknowledged(server)
        away = move_away(data / "events.db")
        after = []
        for _ in range(20):
            answer = server.post(PREDICT, INSTANCES)
            after += [row["prediction_id"] for row in answer.json().get("predictions", [])]
        assert after, "a new one is made"
        recovers(server, "event_store")
        assert set(after) <= recorded(url)
        bring_back(away)
        server.wait("an answer", lambda: ask(server)[0] == 200)
        recovers(server, "event_store")
        last = acknowledged(server)
    assert {before, last} <= recorded(url)


@pytest.mark.parametrize("how", ["cut", "hang"])
def test_a_postgres_that_is_cut_off_refuses_predictions_until_it_is_back(
    data: Path, postgres_url: str, how: str
) -> None:
    where = httpx2.URL(postgres_url)
    with wire(where.port or 5432) as proxy:
        through = str(where.copy_with(host="127.0.0.1", port=proxy.port))
        with serving(data, ML_ASSETS_EVENT_STORE=through) as server:
            why = endures(server, postgres_url, getattr(proxy, how), proxy.mend)
            assert "refused" in why or "closed" in why or "did not commit within 2.0 s" in why
            assert "postgres@" not in server.get("/health").text


def test_a_postgres_that_was_read_only_is_written_to_as_soon_as_it_can_be(data: Path, postgres: Postgres) -> None:
    """The connections that were made meanwhile stay read-only for ever."""

    def read_only() -> None:
        postgres.do("ALTER ROLE {role} SET default_transaction_read_only = on")
        postgres.cut()

    with serving(data, ML_ASSETS_EVENT_STORE=postgres.url) as server:
        end = "ALTER ROLE {role} RESET default_transaction_read_only"
        assert "read-only transaction" in endures(server, postgres.url, read_only, lambda: postgres.do(end))


def test_a_redis_that_is_killed_or_hangs_costs_entities_their_answers_and_instances_nothing(data: Path) -> None:
    with redis(data / "redis") as store:
        today = datetime.now(UTC).date()
        released.write(store.url, {"c1": (0.5, 1, "pro"), "c2": (0.5, 2, "pro")}, today)
        with serving(data, ML_ASSETS_ONLINE_STORE=store.url) as server:
            assert ask(server, entities("c1"))[0] == 200
            _killed(server, store)
            _hanging(server, store)
            _damaged(server, store)


def _killed(server: Server, store: Redis) -> None:
    store.send(signal.SIGKILL)
    assert ask(server, entities("c1")) == (503, "online-store")
    assert ask(server)[0] == 200
    assert "refused" in suffers(server, "online_store", ready=True)
    store.start()
    recovers(server, "online_store")
    assert ask(server, entities("c1"))[0] == 200


def _hanging(server: Server, store: Redis) -> None:
    store.send(signal.SIGSTOP)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(_timed, server, entities("c1", "c2")) for _ in range(20)]
        while not all(each.done() for each in waiting):
            status, took = _timed(server, INSTANCES)
            assert status == (200, "")
            assert took < BUSY, "the event loop must not wait for Redis"
        late = pool.submit(_timed, server, entities("c1"))  # while the thread still hangs in an older read
        for status, took in (each.result() for each in (*waiting, late)):
            assert status == (503, "online-store")
            assert took < 5.5 + BUSY
    assert "has not answered within 5 s" in suffers(server, "online_store", ready=True)
    store.send(signal.SIGCONT)
    recovers(server, "online_store", 20)
    assert ask(server, entities("c1"))[0] == 200


def _timed(server: Server, body: Any) -> tuple[tuple[int, str], float]:
    began = time.monotonic()
    return ask(server, body), time.monotonic() - began


def _damaged(server: Server, store: Redis) -> None:
    """Whoever is asked for together with a record that is damaged gets an answer."""
    with store.client() as client:
        client.set(f"ml_assets:{FEATURES}:c2", b"garbage")
    with ThreadPoolExecutor(20) as pool:
        found = [*pool.map(lambda number: ask(server, entities(f"c{number % 2 + 1}")), range(100))]
    assert found == [(200, ""), (503, "online-store")] * 50


def test_a_server_whose_parent_has_stopped_says_so_and_one_whose_parent_is_killed_ends(data: Path) -> None:
    with serving(data, workers=2) as server:
        workers = server.workers()
        os.kill(server.parent, signal.SIGSTOP)
        assert ask(server)[0] == 200
        server.wait("the silence", lambda: "nobody has looked" in server.health().get("registry", ""), 30)
        assert ask(server)[0] == 200
        os.kill(server.parent, signal.SIGCONT)
        server.wait("the parent", lambda: "nobody has looked" not in server.health().get("registry", ""))
        assert server.workers() == workers
        os.kill(server.parent, signal.SIGKILL)
        server.process.wait()
        began = time.monotonic()
        server.wait("the end of the workers", lambda: all(map(gone, workers)))
        assert time.monotonic() - began < 2 + BUSY
        with socket.create_server(("127.0.0.1", server.port)):
            pass


def test_what_a_worker_said_of_its_state_is_forgotten_with_it(data: Path) -> None:
    with serving(data) as server, holding(data / "events.db") as (lock, unlock):
        acknowledged(server)
        lock()
        assert ask(server) == (503, "event-store")
        server.wait("the metric", lambda: metric(server, "event_store"))
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        unlock()
        server.wait("another worker", lambda: server.workers() not in ([], [worker]) and server.ready())
        server.wait("the metric", lambda: not metric(server, "event_store"))
