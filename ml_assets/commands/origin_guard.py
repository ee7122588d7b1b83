"""A guard before a web application of this machine that knows no users, such as Dagster's."""

from collections.abc import Awaitable, Callable

from ml_assets.serving.http import JSON, Receive, Scope, Send, headers
from ml_assets.serving.same_origin import foreign_page, is_own_name

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_GRAPHQL = "/graphql"


class OwnOrigin:
    """An ASGI application that asks another one only what this machine's own programs and pages ask.

    Args:
        application: what is guarded.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
    received = headers(scope)
    host = received.get(b"host", b"")
    if not is_own_name(host):
        return 403, f"Host {_text(host)}: this machine is answered only, ask for localhost or 127.0.0.1"
    if page := foreign_page(scope, received):
        name, value = page
        return 403, f"{name} {_text(value)}: pages of http://{host.decode()} may ask, and no others"
    return _form(scope, received) if scope["type"] == "http" else None


def _form(scope: Scope, sent: dict[bytes, bytes]) -> tuple[int, str] | None:
    """Whether a page of another site could have sent it without being asked first."""
    method, media = scope["method"], sent.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if method in {"GET", "HEAD"}:
        playground = b"text/html" in sent.get(b"accept", b"") and not scope["query_string"]
        if scope["path"] == _GRAPHQL and not playground:
            return 405, f"{method} {_GRAPHQL}: send a POST of application/json"
    elif method != "POST":
        return 405, f"{method}: send a GET, or a POST of application/json"
    elif media != JSON:
        return 415, f"Content-Type {_text(media)}: send application/json"
    return None


def _text(value: bytes) -> str:
    return repr(value.decode("latin-1"))
