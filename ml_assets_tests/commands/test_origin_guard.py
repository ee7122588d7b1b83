"""The guard before Dagster's web server: what browsers send for hostile pages, and what people and programs send."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ml_assets.commands.origin_guard import OwnOrigin

HERE = "http://127.0.0.1:3000"
QUERY = b'{"query": "{ __typename }"}'
ASKED = "/graphql?query=%7B__typename%7D"
JSON = {"content-type": "application/json"}
CROSS = {"sec-fetch-site": "cross-site"}
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}

Form = tuple[str, str, dict[str, str]]

LET_IN: dict[str, Form] = {
    "the first page": ("GET", "/", {}),
    "by another name": ("GET", "/", {"host": "LocalHost:3000"}),
    "by IPv6": ("GET", "/", {"host": "[::1]:3000"}),
    "through a tunnel": ("POST", "/graphql", {"host": "localhost:80", "origin": "http://localhost:80", **JSON}),
    "a page that somebody typed": ("GET", "/runs", {"sec-fetch-site": "none", **NAVIGATION}),
    "a link in a message": ("GET", "/runs", {**CROSS, **NAVIGATION}),
    "whether it lives": ("GET", "/server_info", {}),
    "a program": ("POST", "/graphql", JSON),
    "a program with a charset": ("POST", "/graphql", {"content-type": "application/json; charset=utf-8"}),
    "its own page": ("POST", "/graphql", {"origin": HERE, "sec-fetch-site": "same-origin", **JSON}),
    "its playground": ("GET", "/graphql", {"accept": "text/html"}),
}

REFUSED: dict[str, tuple[Form, int]] = {
    "rebound name": (("GET", "/", {"host": "evil.example"}), 403),
    "rebound name and port": (("POST", "/graphql", {"host": "evil.example:3000", **JSON}), 403),
    "a name that begins like ours": (("GET", "/", {"host": "localhost.evil.example"}), 403),
    "a name that begins like an address": (("GET", "/", {"host": "127.0.0.1.evil.example:3000"}), 403),
    "a name that ends like ours": (("GET", "/", {"host": "evil.localhost"}), 403),
    "a user before the name": (("GET", "/", {"host": "127.0.0.1:3000@evil.example"}), 403),
    "a port that is none": (("GET", "/", {"host": "localhost:evil"}), 403),
    "no name": (("GET", "/", {"host": ""}), 403),
    "a rebound name with its own origin": (
        ("POST", "/graphql", {"host": "evil.example", "origin": "http://evil.example", **JSON}), 403,
    ),
    "a picture with a query": (("GET", ASKED, CROSS), 403),
    "the same of an old browser": (("GET", ASKED, {"accept": "image/*"}), 405),
    "a link with a query": (("GET", ASKED, {**CROSS, **NAVIGATION}), 405),
    "an encoded path": (("GET", ASKED.replace("graph", "%67raph"), {}), 405),
    "a HEAD": (("HEAD", ASKED, {}), 405),
    "a form": (("POST", ASKED, {"content-type": "application/x-www-form-urlencoded"}), 415),
    "a form of text": (("POST", "/graphql", {"content-type": "text/plain"}), 415),
    "text that is said to be JSON": (("POST", "/graphql", {"content-type": "text/plain; application/json"}), 415),
    "a query as such": (("POST", "/graphql", {"content-type": "application/graphql"}), 415),
    "nothing said": (("POST", ASKED, {}), 415),
    "a foreign origin": (("POST", "/graphql", {"origin": "http://evil.example", **JSON}), 403),
    "an origin without a name": (("POST", "/graphql", {"origin": "null", **JSON}), 403),
    "an origin of another port": (("POST", "/graphql", {"origin": "http://127.0.0.1:8888", **JSON}), 403),
    "an origin of another scheme": (("POST", "/graphql", {"origin": "https://127.0.0.1:3000", **JSON}), 403),
    "another name of ours": (("POST", "/graphql", {"origin": "http://localhost:3000", **JSON}), 403),
    "a foreign site": (("POST", "/graphql", {**CROSS, **JSON}), 403),
    "another port of this site": (("POST", "/graphql", {"sec-fetch-site": "same-site", **JSON}), 403),
    "an asset that nobody made": (("POST", "/report_asset_materialization/churn/labels", {}), 415),
    "a frame": (("GET", "/", {**CROSS, **NAVIGATION, "sec-fetch-dest": "iframe"}), 403),
    "a probe": (("GET", "/favicon.png", CROSS), 403),
    "a form to a page": (("POST", "/runs", {**CROSS, **NAVIGATION, **JSON}), 403),
    "asking whether it may": (("OPTIONS", "/graphql", {"access-control-request-method": "POST"}), 405),
    "another method": (("DELETE", "/graphql", JSON), 405),
}  # fmt: skip


@pytest.fixture(scope="module")
def guarded() -> Iterator[TestClient]:
    """Dagster's real web server over an instance of its own without any code."""
    from dagster_webserver.app import create_app_from_workspace_process_context  # 3 s, for this file alone

    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
        TestClient(OwnOrigin(create_app_from_workspace_process_context(context)), base_url=HERE) as client,
    ):
        yield client


def _ask(client: TestClient, form: Form) -> Any:
    method, path, head = form
    return client.request(method, path, headers=head, content=QUERY if method == "POST" else None)


@pytest.mark.parametrize("what", LET_IN)
def test_people_and_programs_of_this_machine_are_let_in(guarded: TestClient, what: str) -> None:
    answer = _ask(guarded, LET_IN[what])
    assert answer.status_code == 200, answer.text
    if answer.request.method == "POST":
        assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_page_of_another_site_can_make_a_browser_send_is_refused(guarded: TestClient, what: str) -> None:
    form, status = REFUSED[what]
    answer = _ask(guarded, form)
    assert answer.status_code == status, answer.text
    assert form[0] == "HEAD" or len(answer.text.splitlines()) == 1
    assert answer.headers["content-type"].startswith("text/plain")


def test_what_is_said_twice_is_refused(guarded: TestClient) -> None:
    for name, one in (("host", "127.0.0.1:3000"), ("origin", HERE), ("content-type", "application/json")):
        head = [(name, one), (name, one), *([] if name == "content-type" else JSON.items())]
        assert guarded.post("/graphql", headers=head, content=QUERY).status_code in {403, 415}, name


@pytest.mark.parametrize(
    "head", [{"origin": "http://evil.example"}, {"origin": "null"}, {"host": "evil.example"}, CROSS]
)
def test_a_websocket_of_another_page_is_refused(guarded: TestClient, head: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), guarded.websocket_connect("/graphql", ["graphql-ws"], headers=head):
        pass


@pytest.mark.parametrize("head", [{}, {"origin": HERE, "sec-fetch-site": "same-origin"}])
def test_its_own_pages_and_programs_may_subscribe(guarded: TestClient, head: dict[str, str]) -> None:
    address = {"host": "127.0.0.1:3000"}
    with guarded.websocket_connect("/graphql", ["graphql-ws"], headers=head | address) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        with suppress(WebSocketDisconnect):
            socket.close()
