"""Bodies in and answers out, on bare ASGI: the hot path of the server."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from typing import Any, TypeVar

from ml_assets.serving.problem import Problem, unavailable

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

T = TypeVar("T")

BODY = 1 << 20
"""Bytes that a body may have."""

IN_FLIGHT = 128 << 20
"""Bytes of all bodies that a worker holds: those that come, and those whose requests are not answered yet."""

PATIENCE = 10.0
"""Seconds in which a body has to arrive."""

JSON = b"application/json"
PROBLEM = b"application/problem+json"

WHOLE = "ml_assets.whole"
"""The extension of a server that sends an answer of 200 with a body of JSON in one piece; false: it cannot now."""

VARIANT = "ml_assets.variant"
"""Where a route writes into the scope which variant of a model it has asked, for the count of requests."""

_SHORT = 64 << 10  # bytes of a body that comes with its head and is not counted
_HELD = "ml_assets.held"
_HEADERS = "ml_assets.headers"


def headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request, by their names in lower case; one that comes several times is joined by commas.

    As RFC 9110, 5.3, has it. They are looked up several times and gathered once.
    """
    by_name: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if by_name is None:
        pairs = scope["headers"]
        by_name = scope[_HEADERS] = dict(pairs)
        if len(by_name) != len(pairs):
            by_name.update({name: b", ".join(value for key, value in pairs if key == name) for name in by_name})
    return by_name


class GoneError(Exception):
    """The client has closed its connection: there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive, most: int | None = None) -> bytes:
    """The whole body, of at most `most` bytes, by default `BODY`. What is long counts until it is let go of.

    Raises:
        Problem: it is too large, or does not come, or too much of others is held.
        GoneError: the client went away.
    """
    most = BODY if most is None else most
    coming: Any = receive()  # a coroutine, as every server and FastAPI hand it over
    try:
        waits = coming.send(None)
    except StopIteration as come:  # as nearly always: it came with the head, and a timeout would be 5 µs for nothing
        first: Message = come.value
    else:
        first = await _timely(_resume(coming, waits))
    if not first.get("more_body") and first["type"] == "http.request" and len(first["body"]) <= min(most, _SHORT):
        return bytes(first["body"])
    return await _timely(_rest(scope, first, receive, most))


def release_body(scope: Scope) -> None:
    """Count the body of a request that is over no longer."""
    if (size := scope.pop(_HELD, None)) is not None:
        _Bodies.size -= size


class _Bodies:
    """Bytes of all bodies that this process holds."""

    size = 0


def _hold(scope: Scope, size: int) -> None:
    """Count more bytes of a body.

    Raises:
        Problem: there are too many already.
    """
    if _Bodies.size + size > IN_FLIGHT:
        raise unavailable("busy", f"bodies of {IN_FLIGHT >> 20} MiB are in hand", "try again, or add workers")
    _Bodies.size += size
    scope[_HELD] = scope.get(_HELD, 0) + size


@types.coroutine
def _resume(started: Coroutine[Any, Any, Message], waits: object) -> Generator[Any, Any, Message]:
    """The rest of a coroutine that has been started and waits."""
    yield waits
    message: Message = yield from started
    return message


async def _timely(coming: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(PATIENCE):
            return await coming
    except TimeoutError:
        raise Problem(408, "slow-body", f"the body did not come within {PATIENCE:g} s", "send it at once") from None


async def _rest(scope: Scope, message: Message, receive: Receive, most: int) -> bytes:
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise Problem(
                413, "body-too-large", f"the body has more than {most} bytes", "send several requests", field="body"
            )
        _hold(scope, len(parts[-1]))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


async def answer(send: Send, status: int, body: bytes, kind: bytes = JSON, headers: Any = ()) -> None:  # noqa: ANN401 - pairs of bytes
    """Send an answer.

    Args:
        send: of ASGI.
        status: of HTTP.
        body: whole.
        kind: its media type.
        headers: beside the content type and length.
    """
    length = str(len(body)).encode()
    start = [(b"content-type", kind), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def answer_json(scope: Scope, send: Send, body: bytes) -> None:
    """Send an answer of 200: at once where the server can, which takes a fifth of the time of two messages."""
    whole: Callable[[bytes], bool] | None = scope.get("extensions", {}).get(WHOLE)
    if whole is None or not whole(body):
        await answer(send, 200, body)


async def refuse(send: Send, problem: Problem) -> None:
    """Send a problem."""
    await answer(send, problem.status, problem.body, PROBLEM, problem.headers)
