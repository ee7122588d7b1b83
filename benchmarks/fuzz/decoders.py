"""What turns bytes of strangers into values, each by itself: it returns, or refuses by an error that is declared."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutation import Chance, spoilt, spoilt_json
from ml_assets.errors import MlAssetsError
from ml_assets.serving.auth import Authenticator
from ml_assets.serving.content import gunzip, media_type, read_content, require_utf8
from ml_assets.serving.dataframes import rows_from_csv, rows_from_json
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.problem import Problem
from ml_assets.serving.tokens import Tokens
from ml_assets.serving.uploads import receive_document
from ml_assets.serving.worker import Worker


@dataclass(frozen=True)
class HostileInput:
    """A decoder, and good bytes to spoil."""

    decode: Callable[[bytes], object]
    good: bytes


def decoders(worker: Worker, rows: str, papers: str, folder: Path) -> Mapping[str, HostileInput]:
    """All of them, of a worker that has a model of rows and one of documents.

    Args:
        worker: started.
        rows: the name of the model of rows.
        papers: of that of documents.
        folder: for files that are read.
    """
    from ml_assets.serving.routes import outcomes
    from ml_assets.serving.routes import search as searching

    services = worker.services
    model, other = services.models.routes[rows].default, services.models.routes[papers].default
    row = {"total spend": 0.5, "n": 1, "plan": "pro", "customer_id": "c1"}
    truth = {"prediction_id": f"{rows}.01a20229-5b74-7a6c-80cf-ea8f9f794b59", "value": 1, "kind": "label"}
    outcome = json.dumps({"outcomes": [truth | {"observed_at": "2025-11-20T08:00:00Z", "source": "crm"}]}).encode()
    asked = {"query": "a", "limit": 3, "filters": {"date_from": "2024-01-01", "received_from": "2024-01-01T00:00:00Z"}}

    def said(body: bytes) -> object:
        now = time.time_ns() // 1000
        found = outcomes._DECODER.decode(body).outcomes  # noqa: SLF001 - the decoder itself, without a server
        return [outcomes._row(services, each, at, now) for at, each in enumerate(found)]  # noqa: SLF001

    def searched(body: bytes) -> object:
        found = searching._DECODER.decode(body)  # noqa: SLF001
        fields = {name: getattr(found.filters, name) for name in found.filters.__struct_fields__}
        return [searching._naive(name, value) for name, value in fields.items()]  # noqa: SLF001

    def table(read: Callable[..., Any]) -> Callable[[bytes], object]:
        def decode(body: bytes) -> object:
            found = read(model, body)
            return model.requests.convert(found.rows, found.place)

        return decode

    def file(name: str, read: Callable[[], object]) -> Callable[[bytes], object]:
        def decode(body: bytes) -> object:
            (folder / name).write_bytes(body)
            return read()

        return decode

    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nLease\r\n--b--\r\n'
    kind = b"multipart/form-data; boundary=b"
    token = {"name": "a", "scopes": ["predict"], "sha256": "0" * 64, "created": "2026-11-22"}
    return {
        "predict": HostileInput(model.requests.decode, json.dumps({"instances": [row]}).encode()),
        "entities": HostileInput(model.requests.decode, b'{"entities": [{"customer_id": "c1"}]}'),
        "documents": HostileInput(other.requests.decode, b'{"documents": [{"text": "Lease"}]}'),
        "invocations": HostileInput(table(rows_from_json), json.dumps({"dataframe_records": [row]}).encode()),
        "split": HostileInput(
            table(rows_from_json),
            json.dumps({"dataframe_split": {"columns": [*row], "data": [[*row.values()]]}}).encode(),
        ),
        "csv": HostileInput(table(rows_from_csv), b'total spend,n,plan\n0.5,1,"a ""b"""\n,nan,\n'),
        "outcomes": HostileInput(said, outcome),
        "search": HostileInput(searched, json.dumps(asked).encode()),
        "form": HostileInput(lambda body: asyncio.run(receive_document(services, *_request(body, kind))), form),
        "gzip": HostileInput(lambda body: gunzip(body, 1 << 20), gzip.compress(b"Lease" * 100)),
        "headers": HostileInput(
            lambda value: _headers(services.guard, value), b"multipart/form-data; boundary=b; charset=utf-8"
        ),
        "tokens": HostileInput(file("tokens.json", Tokens(folder / "tokens.json").read), _written(token)),
        "champions": HostileInput(
            file("routes.json", Releases(folder).routes),
            b'{"models": {"a": {"route": {"model": "a", "salt": "a", "variants": [{"name": "champion", "version": 1, '
            b'"share": 1.0}]}, "releases": {"champion": {"release": "b", "version": 1, "since": 0}}}}}',
        ),
    }


def refused(one: HostileInput, body: bytes) -> str | None:
    """What is wrong with how a body was taken; None: it was decoded, or refused as declared."""
    try:
        one.decode(body)
    except Problem as problem:
        return None if 400 <= problem.status < 500 else f"{problem.status}: {problem}"
    except MlAssetsError:
        return None
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"{type(error).__name__}: {error}"
    return None


def hostile(by: Chance, good: bytes) -> bytes:
    """Bytes like those of a decoder, and wrong."""
    try:
        plain = json.loads(good)
    except ValueError:
        return spoilt(by, good)
    return spoilt_json(by, plain) if by.random() < 0.7 else spoilt(by, good)


def _written(token: dict[str, Any]) -> bytes:
    return json.dumps({"tokens": [token, token | {"name": "b"}]}).encode()


def _request(body: bytes, kind: bytes) -> tuple[dict[str, Any], Callable[[], Any]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    plain = {"type": "http", "http_version": "1.1", "scheme": "http", "method": "POST", "server": ("127.0.0.1", 8000)}
    return plain | {"headers": [(b"content-type", kind)]}, receive


def _headers(guard: Authenticator, value: bytes) -> None:
    """A value of each header that is looked at; the last problem is raised, once all were."""
    names = (b"content-type", b"content-encoding", b"host", b"authorization", b"origin", b"sec-fetch-site")
    problem: Problem | None = None
    for name in names:
        scope, receive = _request(b"{}", b"application/json")
        scope["headers"] = [*([] if name == b"host" else [(b"host", b"localhost")]), (name, value)]
        try:
            guard.admit(scope)
            media_type(scope)
            require_utf8(scope)
            asyncio.run(read_content(scope, receive))
        except Problem as raised:
            problem = raised if problem is None or problem.status < raised.status else problem
    if problem is not None and problem.status >= 500:
        raise problem
