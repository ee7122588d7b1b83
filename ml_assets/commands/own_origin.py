"""A guard before a web application of this machine that knows no users, such as Dagster's.

Any page that a browser here shows may send requests to 127.0.0.1: with pictures, links, forms and websockets, or under
a name of its own that it has pointed at this machine (DNS rebinding). Programs without a browser are let in.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Any, Send], Awaitable[None]]

# With any port: behind `ssh -L 8080:127.0.0.1:3000` a browser says localhost:8080, and no page can choose it.
_HERE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_GRAPHQL = "/graphql"


class OwnOrigin:
    """An ASGI application that asks another one only what this machine's own programs and pages ask.

    Args:
        application: what is guarded.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:  # noqa: ANN401 - of ASGI
        """Answer a request, or refuse it."""
        refused = None if scope["type"] == "lifespan" else refusal(scope)
        if refused is None:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            status, why = refused
            head = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": f"{why}\n".encode()})


def refusal(scope: Scope) -> tuple[int, str] | None:
    """Why a request or a websocket is refused, as a status and a sentence; None if it is not."""
    head = _headers(scope)
    host, origin = head.get("host", "").lower(), head.get("origin")
    if not _HERE.fullmatch(host):
        return 403, f"Host {host!r}: this machine is answered only, ask for localhost or 127.0.0.1"
    if origin is not None and origin.lower() != f"http://{host}":
        return 403, f"Origin {origin!r}: pages of http://{host} may ask, and no others"
    if head.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not _link(scope, head):
        return 403, f"Sec-Fetch-Site {head['sec-fetch-site']!r}: pages of http://{host} may ask, and no others"
    return _form(scope, head) if scope["type"] == "http" else None


def _form(scope: Scope, head: dict[str, str]) -> tuple[int, str] | None:
    """Whether a page of another site could have sent it without being asked first."""
    method, media = scope["method"], head.get("content-type", "").partition(";")[0].strip().lower()
    if method in {"GET", "HEAD"}:
        playground = "text/html" in head.get("accept", "") and not scope["query_string"]
        if scope["path"] == _GRAPHQL and not playground:
            return 405, f"{method} {_GRAPHQL}: send a POST of application/json"
    elif method != "POST":
        return 405, f"{method}: send a GET, or a POST of application/json"
    elif media != "application/json":
        return 415, f"Content-Type {media!r}: send application/json"
    return None


def _link(scope: Scope, head: dict[str, str]) -> bool:
    """Whether somebody followed a link of another site, as in a message of an alert, to a page of its own."""
    seen = (head.get("sec-fetch-mode"), head.get("sec-fetch-dest"))
    return scope["type"] == "http" and scope["method"] == "GET" and seen == ("navigate", "document")


def _headers(scope: Scope) -> dict[str, str]:
    """What is said twice is joined, and then is none of the values that let in."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, said = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {said}" if key in found else said
    return found
