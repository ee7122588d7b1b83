"""Who may ask for what: scopes of every route, files of tokens that hold none, pages of other sites."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.events.rows import Prediction
from ml_assets.serving.api import create_api
from ml_assets.serving.app import App
from ml_assets.serving.route_scopes import ScopedRoute
from ml_assets.serving.tokens import SCOPES, Scope, Tokens, digest
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, post, refused

ONE = json.dumps({"instances": [ROW]}).encode()
DAY = "2026-11-22"
HOST = "http://127.0.0.1:8000"

ASKED: dict[str, Scope | None] = {
    "POST /models/{model}/predict": "predict",
    "POST /models/{model}/invocations": "predict",
    "GET /experiments/{name}/assignment": "predict",
    "POST /search": "search",
    "POST /outcomes": "outcomes",
    "GET /models": "read",
    "GET /models/{model}": "read",
    "GET /models/{model}/card": "read",
    "GET /models/{model}/release": "read",
    "GET /predictions/{prediction_id}/lineage": "read",
    "GET /predictions/{prediction_id}/reasons": "read",
    "GET /metrics": "read",
    "GET /models/{model}/ping": None,
    "GET /health": None,
    "GET /ready": None,
    "GET /openapi.json": None,
    "GET /docs": None,
    "GET /docs/{name}": None,
}
"""Each route, and the scope that it asks for."""


def routes(served: Served) -> dict[str, Scope | None]:
    found: dict[str, Scope | None] = {}
    for route in create_api(served.worker).routes:
        assert isinstance(route, ScopedRoute), f"{route} says no scope"
        found.update({f"{method} {route.path}": route.scope for method in route.methods or ()})
    return found


def test_every_route_asks_for_its_scope_and_for_no_other(served: Served) -> None:
    assert routes(served) == ASKED
    tokens = Tokens(served.settings.tokens)
    secrets: dict[str | None, str] = {scope: tokens.add(scope, [scope], DAY) for scope in SCOPES}
    assert set(SCOPES) == set(get_args(Scope))
    served.worker.services.guard.reload()
    for route, scope in ASKED.items():
        method, path = route.split()
        path = path.format(model=MODEL, prediction_id="churn.x", name="page.js")

        def asked(**headers: str) -> int:
            return served.client.request(method, path, content=b"", headers=headers).status_code  # noqa: B023 - called here

        got = {other: asked(authorization=f"Bearer {secret}") for other, secret in secrets.items()}
        opened = {other for other, status in got.items() if status not in {401, 403}}
        assert opened == ({scope} if scope else set(SCOPES)), route
        assert all(got[other] == 403 for other in got.keys() - opened), route
        assert (asked() == 401) == bool(scope), route
        assert (asked(authorization="Bearer mla_wrong") == 401) == (bool(scope) or path == "/openapi.json"), route


def test_what_goes_past_the_router_asks_for_the_scope_of_its_route(served: Served) -> None:
    """Predictions do not pass FastAPI, whose dependencies ask for tokens; nothing else goes that way."""
    tokens, past = Tokens(served.settings.tokens), set()
    secrets: dict[Scope, str] = {scope: tokens.add(scope, [scope], DAY) for scope in SCOPES}
    served.worker.services.guard.reload()
    routed: list[str] = []

    async def router(scope: Any, _: object, send: Any) -> None:
        routed.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = App(served.worker)
    server._api = router  # type: ignore[assignment]
    client = TestClient(server, base_url=HOST)
    for route, scope in ASKED.items():
        method, path = route.split()
        path, count = path.format(model=MODEL, prediction_id="churn.x", name="page.js"), len(routed)
        got = {
            other: client.request(method, path, headers={"authorization": f"Bearer {secret}"}).status_code
            for other, secret in secrets.items()
        }
        if len(routed) == count:
            past.add(route)
            assert {other for other, status in got.items() if status not in {401, 403}} == {scope}, route
            assert client.request(method, path).status_code == 401, route
    assert past == {"POST /models/{model}/predict"}


def test_a_route_that_says_no_scope_cannot_be_added(served: Served) -> None:
    made = create_api(served.worker)
    with pytest.raises(TypeError, match="/more: say what it asks for"):
        made.get("/more")(lambda: None)


def test_the_document_names_the_scope_of_a_route(served: Served) -> None:
    Tokens(served.settings.tokens).add("app", ["predict"], DAY)
    served.worker.services.guard.reload()
    paths = served.client.get("/openapi.json").json()["paths"]
    for route, scope in ASKED.items():
        method, path = route.split()
        if path in paths:
            wanted = [{"HTTPBearer": [scope]}] if scope else None
            assert paths[path][method.lower()].get("security") == wanted, route


def test_search_is_a_scope_that_a_token_of_before_does_not_have(served: Served) -> None:
    """The file of an older release is read as it is: what it does not say it does not give."""
    old = {"name": "app", "scopes": ["predict", "of a later release"], "sha256": digest("mla_x"), "created": DAY}
    served.settings.tokens.write_text(json.dumps({"tokens": [old]}))
    served.worker.services.guard.reload()
    assert post(served, PREDICT, ONE, authorization="Bearer mla_x").status_code == 200
    problem = refused(post(served, "/search", b"{}", authorization="Bearer mla_x"), 403, "forbidden")
    assert "--scope search" in problem["remedy"]


NOBODY = ['{"tokens": []}', '{"tokens": {}}', '{"tokens": ""}', '{"tokens": null}', "{}", "[]", "null", '""', "", " \n"]


@pytest.mark.parametrize("content", NOBODY)
def test_a_file_that_holds_no_token_lets_nobody_in(served: Served, content: str) -> None:
    assert post(served, PREDICT, ONE).status_code == 200
    served.settings.tokens.write_text(content)
    served.worker.services.guard.reload()
    for path in (PREDICT, INVOKE, "/search", "/outcomes"):
        for headers in ({}, {"authorization": "Bearer "}, {"authorization": f"Bearer {'0' * 64}"}):
            assert post(served, path, ONE, **headers).status_code in {401, 503}
    assert served.client.get("/metrics").status_code in {401, 503}
    assert served.client.get("/health").status_code == 200


def test_the_last_token_closes_the_door_behind_it(served: Served) -> None:
    tokens = Tokens(served.settings.tokens)
    secret = tokens.add("app", ["predict"], DAY)
    served.worker.services.guard.reload()
    assert post(served, PREDICT, ONE, authorization=f"Bearer {secret}").status_code == 200
    assert tokens.remove("app") == 0
    served.worker.services.guard.reload()
    refused(post(served, PREDICT, ONE, authorization=f"Bearer {secret}"), 401, "unauthorized")
    refused(post(served, PREDICT, ONE), 401, "unauthorized")
    new = tokens.add("app", ["predict"], DAY)
    served.worker.services.guard.reload()
    assert post(served, PREDICT, ONE, authorization=f"Bearer {new}").status_code == 200


def test_a_file_of_tokens_that_vanishes_opens_nothing_until_the_server_starts_again(served: Served) -> None:
    file, guard = served.settings.tokens, served.worker.services.guard
    secret = Tokens(file).add("app", ["predict"], DAY)
    guard.reload()
    away = file.rename(file.with_name("away.json"))
    guard.reload()
    refused(post(served, PREDICT, ONE, authorization=f"Bearer {secret}"), 503, "tokens")
    refused(post(served, PREDICT, ONE), 503, "tokens")
    assert "has gone" in served.client.get("/health").json()["degraded"]["tokens"]
    away.rename(file)
    guard.reload()
    assert post(served, PREDICT, ONE, authorization=f"Bearer {secret}").status_code == 200
    file.unlink()
    with Served(served.settings.data).client as again:
        assert again.post(PREDICT, content=ONE).status_code == 200


def test_a_pipe_or_a_folder_in_the_place_of_the_file_lets_nobody_in(served: Served) -> None:
    for put, take in ((os.mkfifo, os.unlink), (os.mkdir, os.rmdir)):
        put(served.settings.tokens)
        served.worker.services.guard.reload()
        refused(post(served, PREDICT, ONE), 503, "tokens")
        take(served.settings.tokens)


@pytest.mark.slow
def test_a_worker_that_replaces_another_does_not_open_what_was_closed(tmp_path: Path) -> None:
    """Started open, closed by a token, its file deleted, its worker killed: a new worker knows none of it by itself."""
    Tokens(tmp_path / "tokens.json").add("app", ["predict"], DAY)
    with serving(tmp_path, ready=False) as server:
        server.wait("a worker that asks for a token", lambda: server.get("/metrics").status_code == 401)
        (worker,) = server.workers()
        (tmp_path / "tokens.json").unlink()
        os.kill(worker, 9)
        server.wait("another worker", lambda: server.workers() not in ([], [worker]) and server.alive())
        assert server.get("/metrics").status_code == 503
        assert "has gone" in server.health()["tokens"]


def test_the_command_says_what_follows_when_the_last_token_is_removed(tmp_path: Path) -> None:
    run = CliRunner(env={"ML_ASSETS_DATA": str(tmp_path)}).invoke
    assert "answers this machine only" in run(app, ["token", "list"]).stderr
    assert run(app, ["token", "add", "app", "--scope", "search"]).stdout.startswith("mla_")
    assert run(app, ["token", "add", "ops"]).exit_code == 0
    assert run(app, ["token", "remove", "ops"]).stderr == ""
    assert run(app, ["token", "list"]).stdout.startswith("app\tsearch\t2")
    last = run(app, ["token", "remove", "app"])
    assert "lets nobody in" in last.stderr
    assert f"delete {tmp_path}/tokens.json and restart" in last.stderr
    assert "lets nobody in" in run(app, ["token", "list"]).stderr


FOREIGN: list[dict[str, str]] = [
    *(
        {"Origin": origin}
        for origin in (
            "null", "", "http://evil.example", "http://evil.example:8000", "https://127.0.0.1:8000", "file://",
            "http://127.0.0.1:3000", "http://127.0.0.1", "http://127.0.0.1:80000", "http://127.0.0.1:8000.evil.example",
            "http://127.0.0.1:8000@evil.example", "http://evil@127.0.0.1:8000", "http://127.0.0.1:8000/",
            "http://127.0.0.1.:8000", "http://127.0.0.1.evil:8000", "http://localhost:8000", "http://localhost.evil",
            "http://localhost.:8000", "http://[::1]:8000", "http://127.1:8000", "http://2130706433:8000",
            "127.0.0.1:8000", "chrome-extension://abc", "http://127.0.0.1:8000, http://evil.example",
            "HTTP://EVIL.EXAMPLE:8000", "ws://127.0.0.1:8000",
        )
    ),
    *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "Cross-Site", "")),
    {"Sec-Fetch-Site": "cross-site", "Origin": HOST},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]  # fmt: skip
OWN: list[dict[str, str]] = [
    {}, {"Origin": HOST}, {"Origin": HOST.upper()}, {"Origin": HOST, "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    {"Origin": "http://[::1]:8000", "Host": "[::1]:8000"}, {"Origin": "http://localhost", "Host": "LocalHost"},
]  # fmt: skip
ANYWHERE = [
    "/health", "/ready", "/metrics", "/openapi.json", "/docs", "/docs/page.js", "/models", "/nothing", "/",
    f"/models/{MODEL}", f"/models/{MODEL}/ping", "/predictions/churn.x/lineage", "/openapi.json/",
]  # fmt: skip
SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"]
"""What a form may send without asking; and what it may not."""


def test_a_page_of_another_site_reads_and_writes_nothing_without_tokens(served: Served) -> None:
    for headers in FOREIGN:
        for number, path in enumerate(ANYWHERE):
            answer = served.client.request(("GET", "HEAD", "OPTIONS")[number % 3], path, headers=headers)
            assert answer.status_code == 403, (headers, path)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        for number, path in enumerate((PREDICT, INVOKE, "/outcomes", "/search")):
            for kind in (SIMPLE[number], SIMPLE[number - 1]):
                answer = served.client.post(path, content=ONE, headers={**headers, "Content-Type": kind})
                refused(answer, 403, "foreign-origin")
    assert not served.events(Prediction)


def test_its_own_pages_and_programs_are_answered_without_tokens(served: Served) -> None:
    for headers in OWN:
        for path in ("/health", "/docs", "/metrics"):
            assert served.client.get(path, headers=headers).status_code == 200, headers
        assert served.client.post(PREDICT, content=ONE, headers=headers).status_code == 200, headers


def test_a_link_on_another_site_may_be_followed_but_not_to_write(served: Served) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert served.client.get("/docs", headers=link).status_code == 200
    refused(served.client.post(PREDICT, content=ONE, headers=link), 403, "foreign-origin")


STRANGE = [
    "evil.example", "evil.example:8000", "localhost.evil", "localhost.", "localhost.:8000", "127.0.0.1.evil", "",
    "evil@127.0.0.1", "127.0.0.1:8000@evil", "127.0.0.1:8000:1", "127.0.0.1:port", "127.1", "0.0.0.0", "[::]",  # noqa: S104
    "::1", "[::ffff:127.0.0.1]", "10.0.0.1", "127.0.0.1/", "localhost\x00", ":8000",
]  # fmt: skip


def test_without_tokens_nothing_is_answered_under_another_name(served: Served) -> None:
    for host in STRANGE:
        for path in ANYWHERE:
            answer = served.client.get(path, headers={"Host": host})
            assert answer.status_code == 403, (host, path)
            assert answer.json()["type"] == "no-tokens"


def test_where_there_are_tokens_a_browser_reads_nothing_of_another_site(served: Served) -> None:
    """It sends no token by itself, asks before it sends one that a page knows, and is told no."""
    secret = Tokens(served.settings.tokens).add("app", SCOPES, DAY)
    served.worker.services.guard.reload()
    foreign = {"Origin": "http://evil.example"}
    refused(
        served.client.post(PREDICT, content=ONE, headers={**foreign, "Content-Type": "text/plain"}), 401, "unauthorized"
    )
    asks = {**foreign, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for answer in (
        served.client.options(PREDICT, headers=asks),
        served.client.get("/health", headers=foreign),
        served.client.post(PREDICT, content=ONE, headers={**foreign, "Authorization": f"Bearer {secret}"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert served.client.options(PREDICT, headers=asks).status_code == 405
