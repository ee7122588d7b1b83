"""Who may ask for what: bearer tokens where there are some, this machine alone where there are none."""

from functools import cache
from ipaddress import ip_address
from typing import Any

from ml_assets.errors import DataError
from ml_assets.serving.http import headers
from ml_assets.serving.problem import Problem
from ml_assets.serving.tokens import Scope, Token, Tokens, find

_HERE = (b"localhost", b"127.0.0.1", b"[::1]")


class Guard:
    """Lets requests in.

    Without tokens only this machine is answered, and only under its own name: a page of another site that a browser
    here shows could otherwise ask under a name that it has pointed at 127.0.0.1 (DNS rebinding).

    Args:
        tokens: those of the server.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._source = tokens
        self._seen = -1.0
        self._tokens: tuple[Token, ...] = ()
        self.trouble: str | None = None
        """Why the file of tokens cannot be read: then nobody is let in."""
        self.look()

    def look(self) -> None:
        """Take up tokens that were added or removed."""
        changed = self._source.changed()
        if changed == self._seen:
            return
        try:
            self._tokens, self.trouble = self._source.read(), None
        except DataError as error:
            self._tokens, self.trouble = (), str(error)
        self._seen = changed

    @property
    def open(self) -> bool:
        """Whether this machine is answered without a token, because there is none."""
        return self.trouble is None and not self._tokens

    def presented(self, scope: Any) -> bool:  # noqa: ANN401 - of ASGI
        """Whether a request comes with a token.

        Raises:
            Problem: with one that is not known.
        """
        if b"authorization" not in headers(scope):
            return False
        self.require(scope, None)
        return True

    def require(self, scope: Any, wanted: Scope | None) -> None:  # noqa: ANN401 - of ASGI
        """Return if a request may.

        Args:
            scope: of ASGI.
            wanted: what its token must be good for; None: any token will do.

        Raises:
            Problem: 401 without a token that is known, 403 where it is good for something else.
        """
        if self.trouble is not None:
            raise Problem(503, "tokens", "the server cannot read its tokens", "see the server's /health or log")
        if not self._tokens:
            _require_here(scope)
            return
        said = headers(scope).get(b"authorization", b"")
        kind, _, secret = said.partition(b" ")
        token = find(self._tokens, secret.strip().decode("latin-1")) if kind.lower() == b"bearer" else None
        if token is None:
            raise Problem(
                401, "unauthorized", "no token that this server knows", "send Authorization: Bearer <token>; "
                "`ml-assets token add NAME` makes one",
            )  # fmt: skip
        if wanted is not None and wanted not in token.scopes:
            raise Problem(
                403, "forbidden", f"the token {token.name!r} is good for {', '.join(token.scopes)}, not for {wanted}",
                f"add a token with --scope {wanted}",
            )  # fmt: skip


def _require_here(scope: Any) -> None:  # noqa: ANN401 - of ASGI
    server, host = scope.get("server"), headers(scope).get(b"host", b"")
    bare = host.rsplit(b":", 1)[0] if host and not host.endswith(b"]") else host
    if (server is not None and not is_loopback(server[0])) or bare.lower() not in _HERE:
        raise Problem(
            403, "no-tokens", "without tokens this server answers its own machine only, as localhost",
            "make a token with `ml-assets token add NAME`", field="Host", value=host.decode("latin-1"),
        )  # fmt: skip


def require_host(scope: Any) -> None:  # noqa: ANN401 - of ASGI
    """Refuse a request that does not say whom it is for, or says several (RFC 9112, 3.2).

    Raises:
        Problem: HTTP/1.1 asks for one Host.
    """
    host = headers(scope).get(b"host")
    if (host is None and scope.get("http_version") == "1.1") or (host is not None and b"," in host):
        raise Problem(
            400, "malformed-host", "the request has no Host" if host is None else "the request has several Hosts",
            "send one Host header", field="Host", value=(host or b"").decode("latin-1"),
        )  # fmt: skip


@cache
def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
