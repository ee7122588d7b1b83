"""Documents in requests: a file in a form or as the body, or text in JSON."""

import asyncio
import io
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from ml_assets.serving.model import Model, Seen
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import Rows
from ml_assets.serving.worker import Worker
from ml_assets.text.document import Document, Page, UnreadableError

JSON = ("", "application/json")
"""Content types of bodies that hold rows."""

UPLOAD = 20 << 20
"""Bytes that a body with a file may have."""

_FORM = "multipart/form-data"
# What the machine could not do, rather than what is wrong with the file.
_OURS = ("timeout", "memory", "crashed")


def content_type(scope: Any) -> str:  # noqa: ANN401 - of ASGI
    """The type of a body, with its parameters: `application/pdf`; empty where none is named."""
    said = next((value for key, value in scope["headers"] if key == b"content-type"), b"")
    kind: str = said.decode("latin-1").strip()
    bare = kind.partition(";")[0].strip().lower()
    return kind if bare == _FORM else bare


async def uploaded(worker: Worker, model: Model, body: bytes, kind: str) -> tuple[Rows, list[Seen]]:
    """The one document of a body, and what the model sees of it.

    Its name is not looked at: nothing is ever written under it, and what a file is its content says.

    Raises:
        Problem: there is no file, or it cannot be read.
    """
    content = _file(body, kind) if kind.lower().startswith(_FORM) else body
    if not content:
        raise Problem(422, "file-missing", "the body holds no file", "send -F file=@lease.pdf", field="file")
    try:
        document = await asyncio.to_thread(worker.desk.read, content)
    except UnreadableError as error:
        status = 503 if error.code in _OURS else 422
        raise Problem(status, f"unreadable-{error.code}", str(error), "send another file", field="file") from None
    return Rows([sha256(content).hexdigest()], None), await _seen(worker, model, [document])


async def texts(worker: Worker, model: Model, found: Sequence[str]) -> list[Seen]:
    """What the model sees of documents that were sent as text."""
    pages = [tuple(Page(page, "text", 1.0) for page in text.split("\f")) for text in found]
    sizes = [len(text.encode("utf-8", "replace")) for text in found]
    return await _seen(worker, model, [Document("text", *each) for each in zip(sizes, pages, strict=True)])


async def _seen(worker: Worker, model: Model, documents: Sequence[Document]) -> list[Seen]:
    rows = await asyncio.to_thread(worker.desk.features, model.manifest, documents)
    return [Seen([row.get(name) for name in model.artifact.names]) for row in rows]


def _file(body: bytes, kind: str) -> bytes:
    """The part named `file` of a form.

    Raises:
        Problem: the form is malformed, or has no such part.
    """
    from multipart import MultipartError, MultipartParser, parse_options_header

    _, options = parse_options_header(kind)
    try:
        parser = MultipartParser(
            io.BytesIO(body), options.get("boundary", ""), memory_limit=UPLOAD, spool_limit=UPLOAD, part_limit=16
        )
        found = next((part for part in parser if part.name == "file"), None)
    except (MultipartError, ValueError) as error:
        raise Problem(400, "malformed-form", str(error), "send -F file=@lease.pdf", field="$") from None
    if found is None:
        raise Problem(422, "file-missing", "the form has no part named file", "send -F file=@lease.pdf", field="file")
    return bytes(found.raw)
