"""Bodies of requests: media type, charset, and the bytes without their content encoding."""

import zlib
from typing import Any

from ml_assets.serving.http import BODY, Receive, headers, read_body
from ml_assets.serving.lanes import Lane
from ml_assets.serving.problem import Problem

JSON = frozenset({"", "application/json", "text/json"})
CSV = "text/csv"
FORM = "multipart/form-data"
TEXT = "text/plain"
# What `curl -d` and others write where nobody named a type: JSON where it begins like it.
_UNTOLD = frozenset({"application/x-www-form-urlencoded", TEXT})
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
BOM = b"\xef\xbb\xbf"
_GZIP = frozenset({"gzip", "x-gzip"})  # RFC 9110, 8.4.1.3
_MEMBERS = 100  # of one gzip file; each costs a copy of what follows it


def media_type(scope: Any) -> str:  # noqa: ANN401 - of ASGI
    """The media type of a body, in lower case and without parameters; empty where none is named."""
    declared: bytes = headers(scope).get(b"content-type", b"")
    return declared.decode("latin-1").partition(";")[0].strip().lower()


async def read_content(
    scope: Any,  # noqa: ANN401 - of ASGI
    receive: Receive,
    most: int | None = None,
    lane: Lane | None = None,
) -> bytes:
    """Read the body and decompress it.

    Args:
        scope: of ASGI.
        receive: of ASGI.
        most: bytes that it may have, on the wire and decompressed; None: `BODY`.
        lane: where to decompress; None: in the event loop, where a megabyte takes milliseconds.

    Raises:
        Problem: it is encoded in a way that is not understood, too large, damaged, or does not come.
        GoneError: the client went away.
    """
    encoding = headers(scope).get(b"content-encoding")
    if encoding is None:
        return await read_body(scope, receive, most)
    compressed = _compressed(encoding)
    body, most = await read_body(scope, receive, most), BODY if most is None else most
    if not compressed:
        return body
    return gunzip(body, most) if lane is None else await lane.run(gunzip, body, most)


async def read_json_content(scope: Any, receive: Receive, *others: str) -> tuple[str, bytes]:  # noqa: ANN401 - of ASGI
    """The body of a route that takes JSON, without a byte order mark, and its media type: `application/json`.

    Args:
        scope: of ASGI.
        receive: of ASGI.
        others: media types that the route takes as well.

    Raises:
        Problem: it is of another type, or as in `read_content`.
        GoneError: the client went away.
    """
    by_name = headers(scope)
    if by_name.get(b"content-type") == b"application/json" and b"content-encoding" not in by_name:  # nearly always
        return "application/json", (await read_body(scope, receive)).removeprefix(BOM)
    kind = media_type(scope)
    if kind not in JSON and kind not in _UNTOLD and kind not in others:
        raise unsupported_media_type(scope, kind, *others)
    body = (await read_content(scope, receive)).removeprefix(BOM)
    if kind in others:
        require_utf8(scope)
        return kind, body
    if kind in _UNTOLD and not begins_like_json(body):
        raise unsupported_media_type(scope, kind, *others)
    require_utf8(scope)
    return "application/json", body


def begins_like_json(body: bytes) -> bool:
    """Tell whether a body begins like an object or a list of JSON."""
    return body[: BODY + 1].removeprefix(BOM).lstrip()[:1] in {b"{", b"["}  # JSON has no more than that


def is_json(kind: str, body: bytes) -> bool:
    """Tell JSON from a file by the media type, or without one by how the body begins."""
    return kind in JSON or (kind in _UNTOLD and begins_like_json(body))


def require_utf8(scope: Any) -> None:  # noqa: ANN401 - of ASGI
    """Refuse text in another encoding than UTF-8.

    Raises:
        Problem: the content type names one.
    """
    declared: bytes = headers(scope).get(b"content-type", b"")
    if b";" not in declared:
        return
    for part in declared.decode("latin-1").split(";")[1:]:
        name, _, value = part.partition("=")
        charset = value.strip().strip('"')
        if name.strip().lower() == "charset" and charset.lower() not in _UTF8:
            raise Problem(
                415, "unsupported-type", f"the charset {charset!r} is not understood", "send UTF-8",
                field="Content-Type", value=declared.decode("latin-1"),
            )  # fmt: skip


def unsupported_media_type(scope: Any, kind: str, *others: str) -> Problem:  # noqa: ANN401 - of ASGI
    """The refusal of a media type."""
    accepted = ", ".join(("application/json", *others))
    return Problem(
        415, "unsupported-type", f"a body of the type {kind} is not understood here",
        f"send one of {accepted} and name it: -H 'Content-Type: application/json'", field="Content-Type",
        value=headers(scope).get(b"content-type", b"").decode("latin-1"),
    )  # fmt: skip


def gunzip(body: bytes, most: int) -> bytes:
    """The content of a body in gzip; never more of it is in memory than `most` bytes and one.

    Raises:
        Problem: it holds more, or is not gzip.
    """
    parts, room = [], most + 1
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error as error:
            raise _damaged(str(error)) from None
        room -= len(parts[-1])
        if room <= 0:
            raise Problem(
                413, "body-too-large", f"the body has more than {most} bytes once it is decompressed",
                "send several requests", field="body",
            )  # fmt: skip
        if not member.eof:
            raise _damaged("it ends in the middle")
        body = member.unused_data.lstrip(b"\0")  # with which some writers fill a block
        if not body:
            return b"".join(parts)
    raise _damaged(f"it has more than {_MEMBERS} members")


def _compressed(encoding: bytes) -> bool:
    """Tell whether a body has to be decompressed.

    Raises:
        Problem: it is encoded in another way, or twice.
    """
    declared = encoding.decode("latin-1")
    encodings = [name for part in declared.lower().split(",") if (name := part.strip()) not in {"", "identity"}]
    if not encodings:
        return False
    if len(encodings) > 1 or encodings[0] not in _GZIP:
        raise Problem(
            415, "unsupported-encoding", f"the content encoding {declared!r} is not understood",
            "send the body as it is, or Content-Encoding: gzip", field="Content-Encoding", value=declared,
        )  # fmt: skip
    return True


def _damaged(why: str) -> Problem:
    return Problem(
        400, "malformed-gzip", f"the body cannot be decompressed: {why}",
        "send gzip, or leave Content-Encoding out", field="body",
    )  # fmt: skip
