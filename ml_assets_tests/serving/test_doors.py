"""Who is let in and told what: hosts, tokens, documentation, and a server that does not know its champions yet."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ml_assets.serving import api
from ml_assets.serving.app import App
from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.serving.server import _forget_asked
from ml_assets.serving.tokens import Tokens, digest
from ml_assets.serving.worker import Worker
from ml_assets.settings import Settings
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, post, refused, scores

ONE = json.dumps({"instances": [ROW]}).encode()
OTHER = "churn.01a20229-5b74-7a6c-80cf-ea8f9f794b59"
TRUTH = json.dumps({"outcomes": [{"prediction_id": OTHER, "value": 1, "observed_at": "2026-11-20T08:00:00Z"}]}).encode()


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Served]:
    """A server whose follower has not asked the registry."""
    made = Served(tmp_path)
    with made.client:
        yield made


def require_loading(served: Served, model: str) -> None:
    answers = [
        served.client.post(f"/models/{model}/{path}", json={"instances": [ROW]}) for path in ("predict", "invocations")
    ]
    answers += [served.client.get(path) for path in (f"/models/{model}", f"/models/{model}/ping")]
    for answer in answers:
        refused(answer, 503, "loading")
        assert answer.headers["retry-after"] == "1"


def test_until_the_registry_was_asked_no_model_is_unknown(starting: Served) -> None:
    require_loading(starting, MODEL)
    refused(post(starting, "/outcomes", TRUTH), 503, "loading")
    refused(post(starting, "/search", b"{}"), 503, "loading")
    assert starting.client.get("/ready").status_code == 503
    released.release(starting.settings.data)
    until = time.monotonic() + 20
    while starting.client.post(PREDICT, content=ONE).status_code == 503 and time.monotonic() < until:
        time.sleep(0.05)
    assert scores(post(starting, PREDICT, ONE))
    refused(starting.client.get("/models/other"), 404, "unknown-model")


def test_a_worker_that_starts_beside_others_answers_nothing_before_its_champions_are_loaded(tmp_path: Path) -> None:
    served = Served(tmp_path, patience=20)
    following = threading.Timer(1.5, released.release, (tmp_path,))
    following.start()
    with served.client:  # starts it
        assert scores(post(served, PREDICT, ONE))
    following.join()


def test_a_champion_that_is_being_loaded_is_not_unknown(served: Served) -> None:
    served.worker.services.models.routes.clear()
    require_loading(served, MODEL)
    refused(served.client.get("/models/other"), 404, "unknown-model")


def test_a_server_that_starts_again_answers_from_its_disk_and_does_not_say_what_is_not_there(tmp_path: Path) -> None:
    released.release(tmp_path)
    _forget_asked(Releases.at(tmp_path))
    served = Served(tmp_path)
    with served.client:
        assert scores(post(served, PREDICT, ONE))
        require_loading(served, "promoted_meanwhile")


def test_a_registry_without_champions_makes_every_model_unknown(tmp_path: Path) -> None:
    Releases.at(tmp_path).save_routes(Routes({}, time.time()))
    served = Served(tmp_path)
    with served.client:
        refused(served.client.post(PREDICT, content=ONE), 404, "unknown-model")


def test_the_documentation_needs_no_other_machine(served: Served) -> None:
    page = served.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//|<script>|\son\w+=", page.text)
    files = re.findall(r"(?:src|href)=\"(docs/[^\"]+)\"", page.text)
    kinds = {name: served.client.get(f"/{name}") for name in files}
    assert {answer.status_code for answer in kinds.values()} == {200}
    assert "SwaggerUIBundle" in kinds["docs/swagger-ui-bundle.js"].text
    assert kinds["docs/page.js"].headers["content-type"].startswith("text/javascript")
    assert kinds["docs/swagger-ui.css"].headers["content-type"].startswith("text/css")
    for nothing in ("/docs/LICENSE", "/docs/..%2Fapi.py", "/docs/page.html"):
        refused(served.client.get(nothing), 404, "no-route")


def test_features_are_documented_to_those_who_have_a_token(served: Served) -> None:
    """Their names and common values are a client's business; the routes are everybody's."""
    assert "total spend" in served.client.get("/openapi.json").text
    token = Tokens(served.settings.tokens).add("app", ["outcomes"], "2026-11-22")
    served.worker.services.guard.reload()
    bare = served.client.get("/openapi.json")
    assert "/models/{model}/predict" in bare.json()["paths"]
    for secret in ("total spend", "churn: instance", "churn: label"):
        assert secret not in bare.text
    known = served.client.get("/openapi.json", headers={"authorization": f"Bearer {token}"})
    assert "total spend" in known.text
    refused(served.client.get("/openapi.json", headers={"authorization": "Bearer mla_wrong"}), 401, "unauthorized")
    assert "total spend" not in served.client.get("/openapi.json").text
    assert served.client.get("/docs").status_code == 200


ENTRIES: dict[str, Any] = {
    "no hash": {"sha256": None},
    "a number": {"sha256": 1},
    "not ASCII": {"sha256": "ä" * 64},
    "too short": {"sha256": "ab"},
    "scopes of a word": {"scopes": "predict"},
    "a name of a list": {"name": []},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_malformed_token_lets_nobody_in_and_is_said(served: Served, name: str) -> None:
    good = {"name": "app", "scopes": ["predict"], "sha256": digest("mla_x"), "created": "2026-11-22"}
    served.settings.tokens.write_text(json.dumps({"tokens": [good, good | ENTRIES[name]]}))
    served.worker.services.guard.reload()
    for path in (PREDICT, INVOKE):
        refused(post(served, path, ONE, authorization="Bearer mla_x"), 503, "tokens")
    assert "tokens.json" in served.client.get("/health").json()["degraded"]["tokens"]


@pytest.mark.parametrize(
    "content", ['{"tokens": {}}', '{"tokens": ""}', '""', "[" * 60_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_file_that_holds_no_list_of_tokens_opens_nothing(served: Served, content: str | bytes) -> None:
    served.settings.tokens.write_bytes(content if isinstance(content, bytes) else content.encode())
    served.worker.services.guard.reload()
    refused(post(served, PREDICT, ONE), 503, "tokens")


def test_head_is_answered_as_get_without_a_body(served: Served) -> None:
    for path in ("/health", "/ready", "/models", "/metrics", "/openapi.json", "/docs", f"/models/{MODEL}/ping"):
        head, got = served.client.head(path), served.client.get(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers.get("content-type") == got.headers.get("content-type")
    assert served.client.head("/nothing").status_code == 404
    assert served.client.head(PREDICT).status_code == 405


def raw(served: Served, path: str, hosts: list[bytes], version: str = "1.1") -> tuple[int, bytes]:
    """What the application answers to headers that no client would send."""
    import asyncio

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": ONE}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": version, "method": "POST" if path == PREDICT else "GET", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "headers": [(b"host", host) for host in hosts],
    }  # fmt: skip
    asyncio.run(App(served.worker)(scope, receive, send))
    return sent[0]["status"], sent[-1]["body"]


@pytest.mark.parametrize("path", [PREDICT, "/health", "/docs"])
def test_a_request_names_one_host(served: Served, path: str) -> None:
    for hosts in ([], [b"127.0.0.1", b"evil.example"], [b"127.0.0.1", b"127.0.0.1"]):
        status, body = raw(served, path, hosts)
        assert (status, json.loads(body)["type"]) == (400, "malformed-host")
    assert raw(served, "/health", [], "1.0")[0] == 200


def test_what_nobody_expected_is_a_problem_as_well(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api, "summary", broken)
    found = refused(served.client.get("/models"), 500, "failed")
    assert "ZeroDivisionError" in found["detail"]
    assert served.client.get("/health").status_code == 200
    assert 'route="/models",status="500"' in served.client.get("/metrics").text


def test_a_client_is_not_told_where_the_store_lies(tmp_path: Path) -> None:
    released.release(tmp_path)
    worker = Worker(Settings(data=tmp_path))
    with TestClient(App(worker), base_url="http://127.0.0.1") as client:
        row = {**ROW, "plan": "x" * 300, "customer_id": "\U0001f600" * 300}
        assert client.post(PREDICT, json={"instances": [row]}).status_code == 200
        worker.services.events.close()
        problem = client.post(PREDICT, json={"instances": [{**ROW, "customer_id": "x" * 301}]}).json()
    assert str(tmp_path) not in json.dumps(problem)
    assert problem["field"] == "$.instances[0].customer_id"
