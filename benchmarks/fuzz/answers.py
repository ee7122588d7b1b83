"""What a server sent on one connection, read strictly: each answer, and what is wrong with it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

DECLARED = frozenset({
    "busy", "loading", "search-index", "unreadable-timeout", "unreadable-memory", "unreadable-crashed",
})  # fmt: skip
"""Types of 503 that a server whose stores are well may answer with."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ?[^\r\n]*\r\n")
_PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class HttpAnswer:
    """One answer.

    Args:
        status: of HTTP.
        headers: by name in lower case.
        body: decoded from chunks.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def kind(self) -> str:
        """Its status, and of a problem its type."""
        try:
            return f"{self.status} {json.loads(self.body)['type']}" if self.status >= 300 else str(self.status)
        except (ValueError, KeyError, TypeError):
            return str(self.status)

    def fault(self, *, bare: bool = False) -> str | None:
        """Why this is none of the answers that the server declares; None: it is one.

        Args:
            bare: it is the answer to `HEAD`, which has no body.
        """
        if 200 <= self.status < 300 or bare:
            return None if self.status < 500 else f"{self.status} without a body"
        if self.headers.get("content-type") != _PROBLEM:
            return f"{self.status} is {self.headers.get('content-type')}, not {_PROBLEM}: {self.body[:100]!r}"
        try:
            said = json.loads(self.body)
            named, remedy = said["status"], said["remedy"]
        except (ValueError, KeyError, TypeError) as error:
            return f"{self.status} says no status and remedy ({error}): {self.body[:100]!r}"
        if named != self.status or not remedy:
            return f"{self.status} says {named} and the remedy {remedy!r}"
        # A busy machine may be too slow for the store; whatever else it says of itself is a fault.
        late = said["type"] == "event-store" and "did not commit within" in said["detail"]
        if self.status >= 500 and not (self.status == 503 and (late or said["type"] in DECLARED)):
            return f"{self.status} {said['type']}: {said['detail']}"
        return None


class MalformedAnswerError(Exception):
    """What a server sent is no HTTP."""


def answers(sent: bytes, *, bare: bool = False) -> Iterator[HttpAnswer]:
    """The answers that stand in `sent`, the last of which may be cut; those of 1xx are left out.

    Args:
        sent: all that came on a connection so far.
        bare: the answers are to `HEAD`.

    Raises:
        MalformedAnswerError: it is no HTTP.
    """
    while sent:
        head, ended, rest = sent.partition(b"\r\n\r\n")
        if not ended:
            return
        status = _STATUS.match(head + b"\r\n")
        if status is None:
            raise MalformedAnswerError(repr(head[:100]))
        pairs = [line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:]]
        headers = {key.lower(): value.strip() for key, _, value in pairs}
        body, sent = _body(headers, rest, none=bare or status[1][:1] == b"1")
        if body is None:
            return
        if status[1][:1] != b"1":
            yield HttpAnswer(int(status[1]), headers, body)


def _body(headers: dict[str, str], rest: bytes, *, none: bool) -> tuple[bytes | None, bytes]:
    """The body and what follows; no body where it has not come."""
    if none:
        return b"", rest
    if headers.get("transfer-encoding") == "chunked":
        return _chunked(rest)
    if "content-length" not in headers:
        raise MalformedAnswerError(f"no length: {headers}")
    length = int(headers["content-length"])
    return (rest[:length], rest[length:]) if len(rest) >= length else (None, rest)


def _chunked(rest: bytes) -> tuple[bytes | None, bytes]:
    parts = []
    while True:
        size, ended, rest = rest.partition(b"\r\n")
        if not ended or len(rest) < int(size, 16) + 2:
            return None, rest
        length = int(size, 16)
        parts.append(rest[:length])
        rest = rest[length + 2 :]
        if not length:
            return b"".join(parts), rest
