"""Authentication: bearer tokens with scopes; loopback only as long as no token was ever made."""

import os
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ml_assets.errors import DataError
from ml_assets.serving.http import headers
from ml_assets.serving.problem import Problem
from ml_assets.serving.same_origin import foreign_page, is_own_name
from ml_assets.serving.tokens import Scope, Token, Tokens, find_token

_ADD = "make a token with `ml-assets token add NAME`"


class Authenticator:
    """Admits requests and checks their tokens.

    Without a file of tokens only this machine is answered, and only under its own name: a page of another site that a
    browser here shows could otherwise ask under a name that it has pointed at 127.0.0.1 (DNS rebinding), or send what
    a browser sends without asking first. A file that holds no token lets nobody in.

    Args:
        tokens: those of the server.
        mark: a file that is there once this server has seen a file of tokens. Its workers share it, so that none of
            them, nor one that replaces another, takes a file that vanished for one that never was.
    """

    def __init__(self, tokens: Tokens, mark: Path | None = None) -> None:
        self._source = tokens
        self._mark = mark
        self._had = False
        self._seen: object = ...
        self._tokens: tuple[Token, ...] = ()
        self.open = False
        """True while no token was ever made: then loopback is answered without one."""
        self.trouble: str | None = None
        """The error of reading the file of tokens: then nobody is let in."""
        self.reload()

    def reload(self) -> None:
        """Read the tokens again if the file has changed."""
        changed = self._source.last_change()
        if changed == self._seen and self.trouble is None:
            return
        try:
            tokens, self.trouble = self._source.read(), None
        except DataError as error:
            tokens, self.trouble = (), str(error)
        if tokens is None and self._knows_of_tokens():
            tokens = ()
            self.trouble = f"{self._source.path} has gone: restore it; or restart the server to go on without tokens"
        elif tokens is not None:
            self._remember()
        self._tokens, self.open, self._seen = tokens or (), tokens is None, changed

    def has_token(self, scope: Any) -> bool:  # noqa: ANN401 - of ASGI
        """Tell whether a request carries a token.

        Raises:
            Problem: with one that is not known.
        """
        if b"authorization" not in headers(scope):
            return False
        self.require(scope, None)
        return True

    def admit(self, scope: Any) -> None:  # noqa: ANN401 - of ASGI
        """Return if a request may be looked at, whatever it asks for.

        Raises:
            Problem: 400, it has no Host or several; 403, there are no tokens and it comes from another machine or page.
        """
        sent_headers = headers(scope)
        host = sent_headers.get(b"host")
        if (host is None and scope["http_version"] != "1.0") or (host is not None and b"," in host):
            raise Problem(
                400, "malformed-host", "the request has no Host" if host is None else "the request has several Hosts",
                "send one Host header", field="Host", value=(host or b"").decode("latin-1"),
            )  # fmt: skip
        if self.open:
            _require_here(scope, host)
            browser = b"origin" in sent_headers or b"sec-fetch-site" in sent_headers  # a program is not asked for more
            if browser and (foreign := foreign_page(scope, sent_headers)):
                raise _foreign(*foreign)

    def require(self, scope: Any, wanted: Scope | None) -> None:  # noqa: ANN401 - of ASGI
        """Return if a request that was admitted may.

        Args:
            scope: of ASGI.
            wanted: what its token must be good for; None: any token will do.

        Raises:
            Problem: 401 without a token that is known, 403 where it is good for something else.
        """
        if self.open:
            return
        if self.trouble is not None:
            raise Problem(503, "tokens", "the server cannot read its tokens", "see the server's /health or log")
        authorization = headers(scope).get(b"authorization", b"")
        kind, _, secret = authorization.partition(b" ")
        token = find_token(self._tokens, secret.strip().decode("latin-1")) if kind.lower() == b"bearer" else None
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

    def _knows_of_tokens(self) -> bool:
        return self._had or (self._mark is not None and self._mark.exists())

    def _remember(self) -> None:
        if self._mark is not None and not self._had:
            self._mark.touch()
        self._had = True


def _require_here(scope: Any, host: bytes | None) -> None:  # noqa: ANN401 - of ASGI
    """Refuse another machine, and another name: only programs that speak HTTP/1.0 may leave it out, no browser does."""
    server = scope.get("server")
    if (server is not None and not is_loopback(server[0])) or (host is not None and not is_own_name(host)):
        raise Problem(
            403, "no-tokens", "without tokens this server answers its own machine only, as localhost",
            _ADD, field="Host", value=(host or b"").decode("latin-1"),
        )  # fmt: skip


def _foreign(field: str, value: bytes) -> Problem:
    return Problem(
        403, "foreign-origin", "without tokens this server answers no page of another site", _ADD,
        field=field, value=value.decode("latin-1"),
    )  # fmt: skip


def mark_path() -> Path | None:
    """The mark of this server, among what its workers share; None outside of one."""
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(shared) / "tokens" if shared else None


@cache
def is_loopback(host: str) -> bool:
    """Tell whether an address is a loopback address.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
