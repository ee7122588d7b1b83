"""Whom a request is for, and whose page it is from, as a browser says it: any page may send requests to 127.0.0.1."""

import re
from collections.abc import Mapping

from ml_assets.serving.http import Scope

# With any port: behind `ssh -L 8080:127.0.0.1:8000` a browser says localhost:8080, and no page can choose it.
_OWN = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def is_own_name(host: bytes) -> bool:
    """Whether a request is for this machine by its own name, and not by one that somebody has pointed at it."""
    return _OWN.fullmatch(host) is not None


def foreign_page(scope: Scope, sent: Mapping[bytes, bytes]) -> tuple[str, bytes] | None:
    """The header that betrays a page of another site, and what it says; None of a program, an own page, or a link.

    Args:
        scope: of ASGI, of a request or a websocket.
        sent: its headers.
    """
    origin, site = sent.get(b"origin"), sent.get(b"sec-fetch-site", b"none")
    scheme = scope["scheme"].replace("ws", "http").encode()  # a websocket is asked for by a page, too
    if origin is not None and origin.lower() != scheme + b"://" + sent.get(b"host", b"").lower():
        return "Origin", origin
    if site not in {b"same-origin", b"none"} and not _follows_link(scope, sent):
        return "Sec-Fetch-Site", site
    return None


def _follows_link(scope: Scope, sent: Mapping[bytes, bytes]) -> bool:
    """Whether a browser opens a page for its user: it changes nothing, and no other page sees it."""
    way = sent.get(b"sec-fetch-mode"), sent.get(b"sec-fetch-dest")
    return way == (b"navigate", b"document") and scope.get("method") == "GET"
