"""Hostile input, small: `python -m benchmarks fuzz-server` throws the same at a server for ten minutes."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from benchmarks.fuzz import server
from benchmarks.fuzz.answers import HttpAnswer
from benchmarks.fuzz.decoders import HostileInput, decoders, hostile, refused
from benchmarks.fuzz.documents import documents
from benchmarks.fuzz.events import memory_lake, reported, taken
from benchmarks.fuzz.fleet import attack
from benchmarks.fuzz.mutation import chance
from benchmarks.fuzz.processes import started
from benchmarks.fuzz.requests import HttpRequest, Requests
from ml_assets.errors import RegistryError
from ml_assets.serving.app import App
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.worker import Worker
from ml_assets.settings import Settings
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.served import Served

NAMES = (
    "predict", "entities", "documents", "invocations", "split", "csv", "outcomes", "search", "form", "gzip", "headers",
    "tokens", "champions",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    released.release(folder)
    papers.release(folder)
    known: dict[str, tuple[float | None, int, str]] = {"c1": (0.5, 1, "pro"), "c2": (None, 2, "basic")}
    released.write(Settings(data=folder).online_url, known, datetime.now(UTC).date())
    return folder


@pytest.fixture(scope="module")
def known(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, HostileInput]]:
    served = Served(data)
    with served.client:
        yield decoders(served.worker, released.MODEL, papers.MODEL, tmp_path_factory.mktemp("files"))


def test_each_decoder_takes_what_is_right(known: Mapping[str, HostileInput]) -> None:
    assert (*known,) == NAMES
    for one in known.values():
        one.decode(one.good)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), body=st.binary(max_size=30))
@example(seed=0, body=b"[" * 60_000)
@example(seed=0, body=b'{"a": ' * 60_000)
@example(seed=0, body=b'{"\\ud800": "\\udfff"}')
@example(seed=0, body=b'"\xed\xa0\x80"')
@example(seed=0, body=b'{"instances": [{"n": 1e999}]}')
def test_a_decoder_refuses_by_a_problem(known: Mapping[str, HostileInput], name: str, seed: int, body: bytes) -> None:
    by, one = chance(seed), known[name]
    for tried in (body, *(hostile(by, one.good) for _ in range(10))):
        assert refused(one, tried) is None, tried[:500]


def test_the_routes_of_a_file_that_is_no_json_are_refused_by_name(tmp_path: Path) -> None:
    """Bytes that are no text, too: a server over them starts, and fetches them anew."""
    for content in (b"\xff\xfe", b"[" * 60_000, b'{"models": 1}'):
        (tmp_path / "routes.json").write_bytes(content)
        with pytest.raises(RegistryError, match=r"routes\.json"):
            Releases(tmp_path).routes()


async def asked(app: App, request: HttpRequest) -> HttpAnswer:
    """An answer without a wire."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": request.body}

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = request.target.partition("?")
    headers = [(key.lower().encode(), value.encode("utf-8", "replace")) for key, value in request.headers]
    scope = {
        "type": "http", "http_version": "1.1", "method": request.method, "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http", "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "headers": [*headers, *([] if b"host" in dict(headers) else [(b"host", b"localhost")])],
    }  # fmt: skip
    await app(scope, receive, send)
    said = {key.decode(): value.decode("latin-1") for key, value in sent[0]["headers"]}
    return HttpAnswer(sent[0]["status"], said, b"".join(message["body"] for message in sent[1:]))


async def answered(data: Path, number: int) -> dict[str, bytes]:
    """The faults of so many answers."""
    worker = Worker(Settings(data=data))
    await worker.start()
    app, found = App(worker), dict[str, bytes]()
    requests = Requests(released.MODEL, papers.MODEL, [b"Lease of January 5, 2024"])
    kinds = set()
    try:
        for at in range(number):
            by = chance(at)
            request = requests.good(by)[0] if at % 4 == 0 else requests.bad(by)
            answer = await asked(app, request)
            if what := answer.fault(bare=request.method == "HEAD"):
                found[what] = request.framed()[:1000]
            requests.learn(answer.body)
            kinds.add(answer.kind())
    finally:
        await worker.stop()
    assert {"200", "400 malformed-json", "422 invalid-field", "404 unknown-prediction"} <= kinds
    return found


def test_hostile_requests_are_answered_by_what_is_declared_and_the_loop_takes_what_was_accepted(
    data: Path, tmp_path: Path
) -> None:
    assert asyncio.run(answered(data, 1200)) == {}
    url = Settings(data=data).event_store_url
    found = taken(url, memory_lake(tmp_path), released.MODEL, papers.MODEL)
    assert found.rows > 100
    assert found.missing == 0
    assert reported(url, released.MODEL, tmp_path) > 0


@pytest.mark.slow
def test_what_clients_do_who_leave_or_send_no_http_is_no_exception_in_the_log(data: Path) -> None:
    """Who asks several times and resets the connection; who is to be told to go on, and has sent nonsense already."""
    body = b'{"instances": [{"total spend": 0.5, "n": 1, "plan": "pro"}]}'
    one = HttpRequest("POST", "/models/churn/predict", (("Content-Type", "application/json"),), body).framed()
    waits = b"POST /search HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(data) as under:
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", under.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(one * 5)
                time.sleep(0.002)
        with socket.create_connection(("127.0.0.1", under.port), 5) as client:
            client.sendall(waits + b"zz\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 400")
        assert under.get("/health").status_code == 200
    assert "Traceback" not in under.log()
    assert "ERROR" not in under.log()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_under_hostile_connections_answers_others_and_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server.prepare(data)
    with started() as ours, serving(data) as under:
        requests = Requests(released.MODEL, papers.MODEL, documents())
        found = asyncio.run(attack(under.port, requests, "short", time.monotonic() + 8))
        assert found.faults == {}
        assert found.kinds["200"] > 5
        assert under.health().keys() <= {"registry", "online_store"}  # no loop has run here
        assert "Traceback" not in under.log()
    assert ours.left(30) == []
