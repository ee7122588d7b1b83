"""What a connection may cost before anybody is known: bytes and seconds of a head, descriptors, requests ahead."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn import Config, Server

from ml_assets.serving import connection
from ml_assets.serving import connection_limits as room
from ml_assets.serving.connection import FIELDS, HEAD, Connection
from ml_assets.serving.http import answer_json, read_body, release_body

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Echo:
    """Says what it was asked: its path, headers and how much body came. It keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusals: list[int] = []

    def count_refusal(self, status: int) -> None:
        self.refusals.append(status)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        size = 0 if scope["path"] == "/unread" else len(await read_body(scope, receive, 1 << 30))
        release_body(scope)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        said = json.dumps({"path": scope["path"], "headers": headers, "size": size}).encode()
        if scope["path"] == "/large":
            said = b"x" * (64 << 20)
        if scope["path"] not in {"/large", "/two-messages"}:
            await answer_json(scope, send, said)
            return
        named = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": named})
        await send({"type": "http.response.body", "body": said})


class Listening:
    """A server of uvicorn in a thread."""

    def __init__(self) -> None:
        self.echo = Echo()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = self._listener.getsockname()[1]
        config = Config(
            self.echo, http=Connection, ws="none", lifespan="off", loop="uvloop", log_level="error",
            proxy_headers=False, server_header=False, date_header=False,
        )  # fmt: skip
        self.server = Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._listener],))
        self._thread.start()

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def open(self, *parts: bytes) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), 10)
        for part in parts:
            made.sendall(part)
        return made

    def wait(self, what: Callable[[], bool], seconds: float = 10) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of an hour in a second."""
    for module in (room, connection):
        monkeypatch.setattr(module, "PATIENCE", 0.3)
    monkeypatch.setattr(room, "_LOOK", 0.05)
    monkeypatch.setattr(room, "STALLED", 0.3)
    monkeypatch.setattr(connection, "_LINGER", 0.1)


def everything(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    while some := client.recv(1 << 20):
        parts.append(some)
    return b"".join(parts)


def answers(client: socket.socket, count: int) -> list[dict[str, Any]]:
    """So many answers of the echo."""
    read = b""
    while not (read.endswith(b"}") and read.count(b'"size": ') == count) and (some := client.recv(1 << 20)):
        read += some
    parts = read.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(parts) == count
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in parts]


def refused(client: socket.socket, status: int, kind: str) -> None:
    """The one answer is a problem, and the last."""
    with client:
        said = everything(client)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), said
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert (json.loads(body)["status"], json.loads(body)["type"]) == (status, kind)


LARGE = {
    "one header": [b"X-A: ", b"b" * HEAD],
    "one header in many packets": [b"X-A: "] + [b"b" * 5000] * 20,
    "a name": [b"b" * (HEAD + 1)],
    "many headers": [b"a:\r\n" * (HEAD // 4)],
    "more headers than anybody needs": [b"a: b\r\n" * (FIELDS + 1) + b"\r\n"],
    "whole, in one packet": [b"X-A: " + b"b" * (2 * HEAD) + b"\r\n\r\n"],
}


@pytest.mark.parametrize("parts", LARGE.values(), ids=LARGE)
def test_a_head_that_is_too_large_is_refused_whatever_it_is_made_of(listening: Listening, parts: list[bytes]) -> None:
    for before in (b"", GET, b"\r\n"):
        client = listening.open(before)
        if before == GET:
            answers(client, 1)
        for part in [b"GET /large-head HTTP/1.1\r\nHost: x\r\n", *parts]:
            client.sendall(part)
        refused(client, 431, "head-too-large")
    assert listening.echo.asked == ["/a"]
    assert listening.echo.refusals == [431] * 3


def test_an_address_without_end_is_part_of_the_head(listening: Listening) -> None:
    refused(listening.open(b"GET /" + b"a" * (HEAD + 1)), 431, "head-too-large")


def test_a_head_of_nearly_the_limit_is_taken_byte_by_byte(listening: Listening) -> None:
    head = GET[:-2] + b"X-A: " + b"b" * (HEAD - 100) + b"\r\n\r\n"
    with (
        listening.open(head) as whole,
        listening.open(*(head[at : at + 997] for at in range(0, len(head), 997))) as cut,
    ):
        assert answers(whole, 1) == answers(cut, 1)


def test_what_follows_a_body_is_no_header(listening: Listening) -> None:
    """Neither of this request nor of the next one."""
    chunked = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    trailer = b"Host: evil\r\nAuthorization: Bearer x\r\nX-Last: 1\r\n\r\n"
    for apart in (0, 1):
        with listening.open(*([chunked + trailer + GET] if not apart else [chunked, trailer, GET])) as client:
            first, second = answers(client, 2)
        assert first == {"path": "/a", "headers": {"host": "x", "transfer-encoding": "chunked"}, "size": 5}
        assert second == {"path": "/a", "headers": {"host": "x"}, "size": 0}


@pytest.mark.parametrize("endless", [b"X-Trailer: " + b"b" * 999, b"a:b\r\n" * 200])
def test_a_trailer_is_bounded_like_a_head(listening: Listening, endless: bytes) -> None:
    begun = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    refused(listening.open(begun, *[endless] * 200), 431, "head-too-large")


def test_a_long_body_is_no_head(listening: Listening) -> None:
    body = b"z" * (3 << 20)
    plain = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    chunked = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with listening.open(plain + body + GET) as client:
        assert [answer["size"] for answer in answers(client, 2)] == [len(body), 0]
    with listening.open(chunked + b"1\r\nz\r\n" * 50_000 + b"0\r\n\r\n" + GET) as client:
        assert [answer["size"] for answer in answers(client, 2)] == [50_000, 0]


@pytest.mark.usefixtures("impatient")
def test_a_head_that_does_not_come_is_given_up(listening: Listening) -> None:
    with listening.open() as silent, listening.open(b"\r\n\r\n") as blank, listening.open(GET) as served:
        answers(served, 1)
        served.sendall(b"\r\n")
        slow = listening.open(b"GET / HTTP/1.1\r\nX-A: ")
        began = time.monotonic()
        while time.monotonic() - began < 0.6:  # however often something comes
            try:
                slow.sendall(b"T")
            except OSError:
                break  # it was closed
            time.sleep(0.02)
        refused(slow, 408, "slow-head")
        for client in (silent, blank, served):
            assert everything(client) == b""
    listening.wait(lambda: listening.connections == 0)


@pytest.mark.usefixtures("impatient")
def test_a_body_that_nobody_reads_is_given_up(listening: Listening) -> None:
    """It was answered before it came: no clock of the application runs."""
    with listening.open(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc") as client:
        answers(client, 1)
        client.sendall(b"d")
        assert everything(client) == b""


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_nobody_takes_is_given_up(listening: Listening) -> None:
    with listening.open(GET.replace(b"/a", b"/large")):
        listening.wait(lambda: listening.connections == 1)
        listening.wait(lambda: listening.connections == 0)


@pytest.mark.parametrize("held", [b"", b"GET / HTTP/1.1\r\nHost:", GET])
def test_who_holds_connections_keeps_nobody_out(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, held: bytes
) -> None:
    monkeypatch.setattr(room, "capacity", lambda: 40)
    with ExitStack() as all_of_them:
        waiting = all_of_them.enter_context(listening.open(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"))
        for _ in range(200):
            all_of_them.enter_context(listening.open(held))
            listening.wait(lambda: listening.connections < 60)
        for _ in range(20):
            with listening.open(GET) as other:
                assert answers(other, 1)
        waiting.sendall(b"z")  # whose request is in hand keeps his connection
        assert answers(waiting, 1)[0]["size"] == 1
        listening.wait(lambda: listening.connections <= 45)


def test_where_all_connections_are_in_use_more_are_told_so(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "capacity", lambda: 10)
    begun = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    with ExitStack() as all_of_them:
        inside = [all_of_them.enter_context(listening.open(begun)) for _ in range(10)]
        listening.wait(lambda: len(listening.echo.asked) == 10)
        refused(listening.open(), 503, "busy")
        for client in inside:
            client.sendall(b"z")
            assert answers(client, 1)
        with listening.open(GET) as again:
            assert answers(again, 1)


def test_heads_that_are_not_finished_are_bounded_together(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADS", 10 * 1000)
    with ExitStack() as all_of_them:
        for _ in range(50):
            all_of_them.enter_context(listening.open(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"b" * 970))
        listening.wait(lambda: listening.connections <= 12)
        with listening.open(GET) as other:
            assert answers(other, 1)
    listening.wait(lambda: listening.connections == 0)
    known = room._OF_SERVERS[listening.server.server_state]
    assert (known.heads, known.queued) == (0, 0)


def test_requests_sent_ahead_are_answered_in_order_and_bounded(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = b"".join(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" % number for number in range(5000))
    with listening.open() as client:
        sending = threading.Thread(target=client.sendall, args=(many,))
        sending.start()
        found = answers(client, 5000)
        sending.join()
    assert [answer["path"] for answer in found] == [f"/{number}" for number in range(5000)]
    monkeypatch.setattr(connection, "QUEUED", 100)
    with listening.open(many[:50_000]) as client:
        said = everything(client)
    assert 100 <= said.count(b"HTTP/1.1 200 OK") <= 102
    assert b"HTTP/1.1 503 " in said
    assert said.endswith(b"}")


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_answer_in_one_piece_is_the_one_that_uvicorn_gives(
    listening: Listening, head: bytes, version: bytes
) -> None:
    """Byte for byte, whatever the client asks of the connection, also several times on it."""

    def answers(path: bytes) -> bytes:
        asked = b"POST %b HTTP/%b\r\nHost: x\r\nContent-Length: 2\r\n%b\r\nab" % (path, version, head)
        ending = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
        again = [] if b"close" in head or version == b"1.0" else [asked, ending]
        with listening.open(asked, *again) as client:
            return b"".join(iter(lambda: client.recv(1 << 16), b""))

    assert answers(b"/in-one-piece") == answers(b"/two-messages").replace(b"/two-messages", b"/in-one-piece")


def test_what_is_no_http_is_refused_after_what_was(listening: Listening) -> None:
    for wrong in (b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"):
        refused(listening.open(wrong), 400, "malformed-request")
        with listening.open(GET + wrong) as client:
            said = everything(client)
        assert [said[at : at + 12] for at in (0, said.rindex(b"HTTP/1.1 "))] == [b"HTTP/1.1 200", b"HTTP/1.1 400"]
    refused(
        listening.open(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        400,
        "malformed-request",
    )


def test_no_other_protocol_is_spoken_and_nothing_after_it_is_read(listening: Listening) -> None:
    asked = GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    with listening.open(asked + GET) as client:
        said = everything(client)
    assert said.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close" in said
