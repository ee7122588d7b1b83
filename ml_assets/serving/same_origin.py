"""Host and Origin checks: any web page may send requests to 127.0.0.1, and browsers say whose page it is."""

import re
from collections.abc import Mapping

from ml_assets.serving.http import Scope

# With any port: behind `ssh -L 8080:127.0.0.1:8000` a browser says localhost:8080, and no page can choose it.
_OWN = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def is_own_name(host: bytes) -> bool:
    """Tell whether a Host is a name of loopback, and not one that somebody has pointed at it.

    >>> is_own_name(b"localhost:8000"), is_own_name(b"evil.example")
    (True, False)
    """
    return _OWN.fullmatch(host) is not None


def foreign_page(scope: Scope, sent: Mapping[bytes, bytes]) -> tuple[str, bytes] | None:
    """The header that names a page of another site, and its value; None for a program, an own page or a link.

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
    """Tell whether a browser opens a page for its user: that changes nothing, and no other page sees it."""
    way = sent.get(b"sec-fetch-mode"), sent.get(b"sec-fetch-dest")
    return way == (b"navigate", b"document") and scope.get("method") == "GET"
