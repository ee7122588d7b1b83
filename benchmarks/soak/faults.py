"""What is taken away from servers, for how long, and how it comes back."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.soak.postgres import Cluster
from ml_assets_tests.serving import released
from ml_assets_tests.serving.faults import Redis, bring_back, fill, move_away
from ml_assets_tests.serving.process import Server

LONG = 5.0
"""Seconds that a fault lasts."""

_KNOWN: dict[str, tuple[float | None, int, str]] = {"c1": (0.5, 1, "pro")}


@dataclass(frozen=True)
class Place:
    """A server, and what it stands on.

    Args:
        server: under load.
        data: its folder; the registry is below it.
        redis: its online store.
        disk: the small disk of its event store.
        cluster: or the Postgres of its event store.
    """

    server: Server
    data: Path
    redis: Redis
    disk: Path | None = None
    cluster: Cluster | None = None


Fault = Callable[[Place], None]
"""Takes something away, waits, and brings it back."""


def faults(place: Place) -> dict[str, Fault]:
    """Those that a place can suffer, in turn."""
    common: dict[str, Fault] = {
        "a worker killed": _worker_killed,
        "Redis restarted": _redis_restarted,
        "Redis emptied": _redis_emptied,
        "Redis asleep": _redis_asleep,
        "the registry's file away": _registry_away,
        "the registry locked": _registry_locked,
        "the parent stopped": _parent_stopped,
    }
    if place.cluster is not None:
        return common | {
            "Postgres restarted": _postgres_restarted,
            "Postgres read-only": _postgres_read_only,
            "Postgres' connections cut": _postgres_cut,
        }
    return common | {"the event store's disk full": _disk_full, "the event store locked": _events_locked}


def fill_redis(redis: Redis) -> None:
    """As the loop does: the features of those who are asked for."""
    released.write(redis.url, _KNOWN, datetime.now(UTC).date())


def _worker_killed(place: Place) -> None:
    os.kill(place.server.workers()[0], signal.SIGKILL)


def _redis_restarted(place: Place) -> None:
    place.redis.send(signal.SIGKILL)
    time.sleep(LONG)
    place.redis.start()


def _redis_emptied(place: Place) -> None:
    with place.redis.client() as client:
        client.flushall()
    time.sleep(LONG)
    fill_redis(place.redis)


def _redis_asleep(place: Place) -> None:
    place.redis.send(signal.SIGSTOP)
    time.sleep(LONG)
    place.redis.send(signal.SIGCONT)


def _registry_away(place: Place) -> None:
    away = move_away(place.data / "mlflow" / "mlflow.db")
    time.sleep(LONG)
    bring_back(away)


def _registry_locked(place: Place) -> None:
    with _locked(place.data / "mlflow" / "mlflow.db"):
        time.sleep(LONG)


def _parent_stopped(place: Place) -> None:
    os.kill(place.server.parent, signal.SIGSTOP)
    time.sleep(LONG)
    os.kill(place.server.parent, signal.SIGCONT)


def _events_locked(place: Place) -> None:
    assert place.disk
    with _locked(place.disk / "events.db"):
        time.sleep(LONG)


def _disk_full(place: Place) -> None:
    assert place.disk
    # Else the log that SQLite writes over again has room for these seconds.
    with closing(sqlite3.connect(place.disk / "events.db", timeout=30)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ballast = fill(place.disk)
    time.sleep(LONG)
    ballast.unlink()


def _postgres_restarted(place: Place) -> None:
    assert place.cluster
    place.cluster.stop()
    time.sleep(LONG)
    place.cluster.start()


def _postgres_read_only(place: Place) -> None:
    assert place.cluster
    place.cluster.read_only(now=True)
    time.sleep(LONG)
    place.cluster.read_only(now=False)


def _postgres_cut(place: Place) -> None:
    assert place.cluster
    for _ in range(3):
        place.cluster.cut()
        time.sleep(LONG / 3)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """The write lock of an SQLite database, taken by us."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
