"""Error responses as of RFC 9457 (problem+json), with the field, the value and the remedy."""

import math
from typing import Any

import msgspec

from ml_assets.errors import MlAssetsError
from ml_assets.redaction import redact

_SHOWN = 100  # characters of a value that are repeated


class Problem(MlAssetsError):  # noqa: N818 - the term of RFC 9457
    """An error response.

    >>> Problem(404, "unknown-model", "no such model", "released are churn").body
    b'{"type":"unknown-model","status":404,"detail":"no such model","remedy":"released are churn"}'

    Args:
        status: of HTTP: 4xx is what the client sent, 503 is what the server cannot do now.
        kind: a word for programs, such as `unknown-entity`.
        detail: a sentence for people.
        remedy: what to do about it.
        field: where in the request, as a JSON path.
        value: what stood there.
        retry_after: seconds.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        remedy: str,
        *,
        field: str | None = None,
        value: object = msgspec.UNSET,
        retry_after: int | None = None,
    ) -> None:
        detail = redact(detail)
        super().__init__(f"{detail}: {remedy}")
        self.status = status
        self.retry_after = retry_after
        self._said = {"type": kind, "status": status, "detail": detail, "field": field, "remedy": remedy}
        if value is not msgspec.UNSET:
            self._said["value"] = _short(value)

    @property
    def body(self) -> bytes:
        """`application/problem+json`."""
        return msgspec.json.encode({key: value for key, value in self._said.items() if key == "value" or value})

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Beside the content type and length."""
        pairs = [] if self.retry_after is None else [(b"retry-after", str(self.retry_after).encode())]
        if self.status in {408, 413}:  # the rest of the body is not read
            pairs.append((b"connection", b"close"))
        if self.status == 415:  # RFC 9110, 15.5.16
            pairs.append((b"accept-encoding", b"gzip"))
        if self.status == 401:
            pairs.append((b"www-authenticate", b"Bearer"))
        return pairs


def unavailable(kind: str, detail: str, remedy: str = "try again; /health says what is degraded") -> Problem:
    """A 503: the server cannot answer now, and the request is not at fault."""
    return Problem(503, kind, detail, remedy, retry_after=1)


def server_error(error: Exception) -> Problem:
    """A fault of the server's own; its log says more than a client may know."""
    return Problem(500, "failed", f"the server failed: {type(error).__name__}", "report it; the server's log says more")


def _short(value: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
