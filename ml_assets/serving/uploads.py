"""Documents in requests: a file in a form or as the body, or text in JSON."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from ml_assets.documents.document import Document, Page, UnreadableError
from ml_assets.errors import DeclarationError
from ml_assets.serving.content import (
    BOM,
    FORM,
    TEXT,
    is_json,
    media_type,
    read_content,
    require_utf8,
    unsupported_media_type,
)
from ml_assets.serving.document_features import LIMITS
from ml_assets.serving.http import BODY, Receive, headers
from ml_assets.serving.models.model import ModelInput, ServedModel
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services

UPLOAD = 20 << 20
"""Bytes that a body with a file may have."""

FILES = (
    "application/octet-stream", "application/pdf", "image/png", "image/jpeg", "image/tiff",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "text/html", TEXT,
)  # fmt: skip
"""Media types of a body that is a file; what it is, its content says."""

# What may be a file as well, such as e-mail and saved web pages; the reader says which of them it takes.
_PERHAPS = re.compile(
    r"image/.+|message/rfc822|multipart/related|"
    r"application/(x-pdf|xhtml\+xml|rtf|msword|vnd\.(ms-word|openxmlformats-officedocument)\..+)"
)
_PIECE = 1 << 16  # bytes of a form that are looked at together
# What the machine could not do, rather than what is wrong with the file.
_OURS = ("timeout", "memory", "crashed", "extractor")


async def receive_document(services: Services, scope: Any, receive: Receive) -> tuple[bytes, bool]:  # noqa: ANN401 - of ASGI
    """Receive a body for a model of documents; the second value tells a file from JSON.

    Raises:
        Problem: it is neither, or there is no file in the form.
        GoneError: the client went away.
    """
    kind = media_type(scope)
    listed = kind in (FORM, *FILES) or _PERHAPS.fullmatch(kind) is not None
    if not listed and not is_json(kind, b"{"):
        raise unsupported_media_type(scope, kind, FORM, *FILES)
    body = await read_content(scope, receive, UPLOAD, services.lanes.unpacking)
    if kind == FORM:
        declared = headers(scope)[b"content-type"].decode("latin-1")
        return await services.lanes.unpacking.run(_file, body, declared), True
    if not is_json(kind, body):
        if not listed:
            raise unsupported_media_type(scope, kind, FORM, *FILES)
        return body, True
    require_utf8(scope)
    if len(body) > BODY:
        raise Problem(
            413, "body-too-large", f"the body begins like JSON and has more than {BODY} bytes",
            "send a file in a form: -F file=@lease.txt", field="body",
        )  # fmt: skip
    return body.removeprefix(BOM), False


async def read_upload(services: Services, content: bytes) -> RequestRows:
    """The one document that was sent.

    Its name is not looked at: nothing is ever written under it, and what a file is its content says.

    Raises:
        Problem: there is no file, or it cannot be read.
    """
    if not content:
        raise Problem(422, "file-missing", "the body holds no file", "send -F file=@lease.pdf", field="file")
    try:
        document, name = await services.lanes.reading.run(_read, services, content)
    except UnreadableError as error:
        raise _unreadable(error, "file") from None
    return RequestRows([name], None, documents=[document])


def read_texts(documents: Sequence[str]) -> list[Document]:
    """Documents that were sent as text.

    Raises:
        Problem: one has more pages than a file may have.
    """
    for at, text in enumerate(documents):
        if (pages := text.count("\f") + 1) > LIMITS.pages:
            raise Problem(
                422, "too-many-pages", f"the text has {pages} pages, more than {LIMITS.pages}",
                "send it in parts; a form feed begins a page", field=f"$.documents[{at}].text",
            )  # fmt: skip
    read = [tuple(Page(page, "text", 1.0) for page in text.split("\f")) for text in documents]
    sizes = [len(text.encode("utf-8", "replace")) for text in documents]
    return [Document("text", *each) for each in zip(sizes, read, strict=True)]


async def inputs_from_documents(
    services: Services, model: ServedModel, documents: Sequence[Document]
) -> list[ModelInput]:
    """The model's inputs of documents.

    Raises:
        Problem: too many are being read; or nothing can be found in one.
    """
    try:
        rows = await services.lanes.describing.run(services.documents.features, model.manifest, documents)
    except UnreadableError as error:
        raise _unreadable(error, "$") from None
    except DeclarationError as error:
        raise unavailable("no-release", str(error)) from None
    return [ModelInput([row.get(name) for name in model.artifact.names]) for row in rows]


def _unreadable(error: UnreadableError, field: str) -> Problem:
    status = 503 if error.code in _OURS else 422
    return Problem(status, f"unreadable-{error.code}", str(error), "send another file", field=field)


def _read(services: Services, content: bytes) -> tuple[Document, str]:
    """A file, and under which name its answer is recorded."""
    return services.documents.read(content), sha256(content).hexdigest()


def _file(body: bytes, kind: str) -> bytes:
    """The part named `file` of a form.

    Raises:
        Problem: the form is malformed, or has no such part.
    """
    from multipart import MultipartError, parse_options_header

    _, options = parse_options_header(kind)
    try:
        content = _part(body, options.get("boundary", ""))
    except (MultipartError, ValueError) as error:
        problem = Problem(400, "malformed-form", str(error), "send -F file=@lease.pdf", field="$")
        error.with_traceback(None)  # the parser keeps its error, and that the form, until the collector comes by
        raise problem from None
    if content is None:
        raise Problem(422, "file-missing", "the form has no part named file", "send -F file=@lease.pdf", field="file")
    return content


def _part(body: bytes, boundary: str) -> bytes | None:
    """The content of the part named `file`; what follows it is not looked at."""
    from multipart import MultipartSegment, PushMultipartParser

    parser = PushMultipartParser(boundary, max_segment_count=16)
    parts: list[bytes] | None = None
    for start in range(0, len(body), _PIECE):
        for event in parser.parse(body[start : start + _PIECE]):
            if isinstance(event, MultipartSegment):
                parts = [] if event.name == "file" else None
            elif event is None and parts is not None:
                return b"".join(parts)
            elif event is not None and parts is not None:
                parts.append(event)
    parser.close()
    return None
