"""What an online store has lost, or cannot do now, is no fault of who asks; and it ends with the next write."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.errors import OnlineStoreError
from ml_assets_tests.serving import released
from ml_assets_tests.serving.faults import Redis, redis, remount
from ml_assets_tests.serving.released import FEATURES
from ml_assets_tests.serving.served import PREDICT, ROW, Served
from ml_assets_tests.serving.test_degraded_files import wait

TODAY = datetime.now(UTC).date()


@contextmanager
def serves(data: Path, url: str, patch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server over an online store, which looks at it at each turn."""
    patch.setenv("ML_ASSETS_ONLINE_STORE", url)
    patch.setattr("ml_assets.serving.worker.TICK", 0.02)
    released.release(data)
    made = Served(data)
    with made.client:
        yield made


def asked(served: Served, *names: str) -> tuple[int, str]:
    answer = served.client.post(PREDICT, json={"entities": [{"customer_id": name} for name in names]})
    return answer.status_code, answer.json().get("type", "")


def trouble(served: Served) -> str | None:
    found: str | None = served.client.get("/health").json()["degraded"].get("online_store")
    return found


def write(url: str, *names: str) -> None:
    released.write(url, dict.fromkeys(names, (0.5, 1, "pro")), TODAY)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Redis]:
    with redis(tmp_path / "redis") as made:
        write(made.url, "c1", "c2")
        yield made


def test_an_emptied_redis_is_degraded_and_no_client_is_told_that_nobody_knows_whom_it_names(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serves(tmp_path, store.url, monkeypatch) as served, store.client() as client:
        assert asked(served, "c1") == (200, "")
        assert asked(served, "c1", "nobody") == (404, "unknown-entity")
        assert trouble(served) is None
        client.flushall()
        assert asked(served, "c1") == (503, "online-store")  # at once, not only after somebody has looked
        why = trouble(served)
        assert why is not None
        assert "emptied" in why
        assert "churn/online_features" in why
        assert served.client.post(PREDICT, json={"instances": [ROW]}).status_code == 200
        assert served.client.get("/ready").status_code == 200
        wait(lambda: 'ml_assets_degraded{part="online_store"} 1.0' in served.client.get("/metrics").text)
        write(store.url, "c1")
        assert asked(served, "c1") == (200, "")
        wait(lambda: trouble(served) is None)
        assert asked(served, "nobody") == (404, "unknown-entity")


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_a_store_that_was_never_written_is_no_clients_fault(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/online.db" if kind == "sqlite" else request.getfixturevalue("store").url
    if kind == "redis":
        request.getfixturevalue("store").client().flushall()
    with serves(tmp_path, url, monkeypatch) as served:
        assert asked(served, "c1") == (503, "online-store")
        wait(lambda: "not written yet" in (trouble(served) or ""))
        write(url, "c1")
        wait(lambda: trouble(served) is None)
        assert asked(served, "nobody") == (404, "unknown-entity")


def test_keys_that_redis_has_evicted_are_told_from_entities_that_nobody_knows(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serves(tmp_path, store.url, monkeypatch) as served, store.client() as client:
        client.set("of somebody else", "x" * 8_000_000, ex=1000)  # what goes first: what would expire first
        client.config_set("maxmemory-policy", "volatile-ttl")
        client.config_set("maxmemory-samples", 64)  # of all keys, or another one may go
        client.config_set("maxmemory", client.info("memory")["used_memory"] - 2_000_000)
        wait(lambda: not client.exists("of somebody else"))
        client.config_set("maxmemory", 0)
        client.delete(f"ml_assets:{FEATURES}:c1")
        assert asked(served, "c2") == (200, "")
        assert asked(served, "c1") == (503, "online-store")
        assert "has evicted keys" in (trouble(served) or "")
        write(store.url, "c1", "c2")
        assert asked(served, "c1") == (200, "")
        assert asked(served, "nobody") == (404, "unknown-entity")
        wait(lambda: trouble(served) is None)


def test_a_redis_that_takes_no_writes_is_read_and_written_again_afterwards(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serves(tmp_path, store.url, monkeypatch) as served, store.client() as client:
        for cause, end, why in (
            (lambda: client.config_set("maxmemory", 1), lambda: client.config_set("maxmemory", 0), "maxmemory"),
            (lambda: store.follow("127.0.0.1", "1"), lambda: store.follow("NO", "ONE"), "read only"),
        ):
            cause()
            with pytest.raises(OnlineStoreError, match=why):
                write(store.url, "c3")
            assert asked(served, "c1") == (200, "")
            end()
            write(store.url, "c3")
            assert asked(served, "c3") == (200, "")
        client.config_set("replica-serve-stale-data", "no")
        store.follow("127.0.0.1", "1")
        assert asked(served, "c1") == (503, "online-store")
        wait(lambda: "MASTER" in (trouble(served) or ""))
        store.follow("NO", "ONE")
        wait(lambda: trouble(served) is None)
        assert asked(served, "c1") == (200, "")


@contextmanager
def saying(line: bytes) -> Iterator[str]:
    """A Redis that answers everything with one line."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while sent := connection.recv(1 << 16):
                connection.sendall(line * sent.count(b"*"))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://:TOPSECRET@127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "line",
    [
        "-LOADING Redis is loading the dataset in memory", "-READONLY You can't write against a read only replica.",
        "-OOM command not allowed when used memory > 'maxmemory'.", "-NOAUTH Authentication required.", "-ERR no",
        "-WRONGPASS invalid username-password pair or user is disabled.", "-NOPERM no permissions", "-MISCONF no disk",
        "-CLUSTERDOWN The cluster is down", "-MOVED 1 127.0.0.1:1", "-BUSY a script is running", "+what", "no RESP",
    ],
)  # fmt: skip
def test_whatever_else_a_redis_says_is_503_and_said(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(f"{line}\r\n".encode()) as url, serves(tmp_path, url, monkeypatch) as served:
        assert asked(served, "c1") == (503, "online-store")
        assert trouble(served)
        found: Any = served.client.get("/health")
        assert found.status_code == 200
        assert "TOPSECRET" not in found.text
        assert served.client.post(PREDICT, json={"instances": [ROW]}).status_code == 200


def test_a_file_on_a_disk_that_cannot_be_written_for_a_while_is_read_and_written_afterwards(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{small_disk}/online.db"
    write(url, "c1")
    remount(small_disk, "ro")
    with serves(tmp_path, url, monkeypatch) as served:
        with pytest.raises(OnlineStoreError, match=r"readonly|read-only|unable to open"):
            write(url, "c2")
        assert asked(served, "c1") in {(200, ""), (503, "online-store")}
        remount(small_disk, "rw")
        write(url, "c2")
        wait(lambda: asked(served, "c1", "c2") == (200, ""))
        wait(lambda: trouble(served) is None)
