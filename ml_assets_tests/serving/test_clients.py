"""Clients that are slow, or go away in the middle: they cost nobody but themselves."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from ml_assets.serving.app import BUSY
from ml_assets.serving.http import PATIENCE
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import Server, serving
from ml_assets_tests.serving.test_degraded import INSTANCES, PREDICT, acknowledged, ask, recorded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BODY = json.dumps(INSTANCES).encode()
PATHS = (PREDICT, PREDICT.replace("predict", "invocations"), "/outcomes")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("clients")
    released.release(data)
    with serving(data) as started:
        started.wait("its address", lambda: started.url in started.log())  # what is written from then on is a fault
        yield started


def begun(server: Server, path: str, body: bytes = BODY[:20]) -> socket.socket:
    """A request whose body comes in part."""
    made = socket.create_connection(("127.0.0.1", server.port), 30)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    made.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + body)
    return made


def everything(connection: socket.socket) -> str:
    """What comes until the server closes the connection."""
    parts = []
    while some := connection.recv(1 << 16):
        parts.append(some)
    return b"".join(parts).decode()


def counted(server: Server) -> dict[str, float]:
    """Requests by their labels."""
    lines = server.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("ml_assets_requests_total"))
    return {labels: float(number) for labels, number in pairs if "/metrics" not in labels and "/health" not in labels}


def test_a_body_that_does_not_come_is_given_up_and_nobody_else_waits(server: Server) -> None:
    began = time.monotonic()
    slow = [begun(server, path) for path in PATHS for _ in range(20)]
    while time.monotonic() - began < PATIENCE - 1:
        asked = time.monotonic()
        assert ask(server)[0] == 200
        assert time.monotonic() - asked < 1
    for connection in slow:
        with connection:
            said = everything(connection)
        assert said.startswith("HTTP/1.1 408 ")
        assert "slow-body" in said
        assert "connection: close" in said.lower()
    assert PATIENCE - 0.1 < time.monotonic() - began < PATIENCE + 3


def test_clients_that_go_away_leave_nothing_behind(server: Server) -> None:
    workers, log, before = server.workers(), server.log(), counted(server)
    for number in range(BUSY + 100):  # more than the server takes at once: none of them stays in its hands
        begun(server, PATHS[number % 3]).close()
    assert ask(server)[0] == 200
    now = counted(server)
    changed = {labels: number - before.get(labels, 0) for labels, number in now.items()}
    assert sum(changed.values()) == 1, changed
    assert (server.workers(), server.log()) == (workers, log)


def test_clients_that_do_not_wait_for_their_answer_are_recorded_and_leave_nothing_behind(server: Server) -> None:
    log, data = server.log(), server.output.parent
    before = len(recorded(f"sqlite:///{data}/events.db"))
    for _ in range(100):
        begun(server, PREDICT, BODY).close()
    server.wait("their records", lambda: len(recorded(f"sqlite:///{data}/events.db")) == before + 100)
    assert acknowledged(server) in recorded(f"sqlite:///{data}/events.db")
    assert server.log() == log


def test_a_body_that_is_too_large_is_refused_before_it_has_come(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 30) as made:
        made.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n".encode())
        made.sendall(b" " * (1 << 20) + b" ")
        said = everything(made)
    assert said.startswith("HTTP/1.1 413 ")
    assert "connection: close" in said.lower()


def test_who_holds_connections_keeps_nobody_out_of_a_worker_with_few_descriptors(server: Server) -> None:
    """Silent clients, half a head, a body that trickles: more of them than the worker may have descriptors."""
    resource = pytest.importorskip("resource")
    (worker,) = server.workers()
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (320, before[1]))
    try:
        with ExitStack() as held:
            trickling = [held.enter_context(begun(server, PREDICT)) for _ in range(20)]
            for number in range(600):
                made = held.enter_context(socket.create_connection(("127.0.0.1", server.port), 30))
                made.sendall(b"POST /models/x HTTP/1.1\r\nX: " if number % 2 else b"")
                if number % 30 == 0:
                    assert ask(server)[0] == 200
                    with httpx2.Client(base_url=server.url, trust_env=False, timeout=10) as other:
                        assert other.post(PREDICT, json=INSTANCES).status_code == 200
                    assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 320
            for connection in trickling:  # a request in hand is nobody's to take
                connection.sendall(BODY[20:])
                assert connection.recv(1 << 12).startswith(b"HTTP/1.1 200 ")
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    assert server.workers() == [worker]
    assert "Traceback" not in server.log()


def test_a_head_without_end_costs_its_connection_and_no_memory(server: Server) -> None:
    (worker,) = server.workers()
    before = resident(worker)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), 30) as made, suppress(OSError):
            made.sendall(b"GET /health HTTP/1.1\r\n")
            for _ in range(400):
                made.sendall(b"a: b\r\n" * 10_000)
            pytest.fail("24 MB of headers were taken")
    assert resident(worker) - before < 64 << 20
    assert 'route="connection",status="431",variant=""} 5.0' in server.get("/metrics").text


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
