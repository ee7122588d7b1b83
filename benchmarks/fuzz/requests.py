"""Requests to the server: good ones of each form, and what is made of them."""

import gzip
import json
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.fuzz.mutation import Chance, spoilt, spoilt_json

_JSON = "application/json"
_TYPES = (
    _JSON, "text/csv", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/pdf", "",
    "multipart/form-data; boundary=b", 'multipart/form-data; boundary="', "application/octet-stream", "text/html",
    "application/json; charset=utf-16", "image/png", "message/rfc822", "a/b;" * 50, "\xff", "application/JSON;",
)  # fmt: skip
_HEADERS = (
    ("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Encoding", "gzip, gzip"),
    ("Expect", "100-continue"),
    ("Host", "evil.example"), ("Host", ""), ("Host", "127.0.0.1:x"), ("Authorization", "Bearer x"),
    ("Origin", "http://e"),
    ("Authorization", "Basic \xff"), ("Cookie", "a=" + "b" * 4000), ("X-Forwarded-For", "1.2.3.4"),
    ("Range", "bytes=0-"),
    ("Accept", "a/b"), ("Accept-Encoding", "gzip"), ("Connection", "close"), ("Connection", "Upgrade"),
    ("TE", "trailers"),
    ("Upgrade", "h2c"), ("Upgrade", "websocket"), ("Transfer-Encoding", "identity"), ("Content-Length", "5"),
    ("If-None-Match", "*"), ("Sec-Fetch-Site", "cross-site"), ("X-" + "a" * 300, "\x80\xff"), ("Content-Type", ""),
)  # fmt: skip
_METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "PRI", "X" * 40)
_TARGETS = (
    "/", "//", "/..", "/%2e%2e/", "/%00", "/%ff", "/%", "*", "/models", "/models/", "/models/%2F/predict",
    "/models//predict",
    "/models/churn/predict/", "/models/churn%0d%0a/predict", "/models/\u00e9/predict", "/docs/..%2f..%2fetc%2fpasswd",
    "/predictions/%ED%A0%80/lineage", "/predictions/../lineage", "http://evil.example/health", "/health?a=b&a=%ff&[]",
    "/predictions/" + "x" * 5000 + "/lineage", "/health#x", "/health;x", "/ready?" + "a" * 3000, "/openapi.json?x=%",
    "/models/churn/explanations", "/predictions/%00/lineage", "/predictions/churn.%27--/lineage",
)  # fmt: skip


@dataclass(frozen=True)
class HttpRequest:
    """What is asked.

    Args:
        method: of HTTP.
        target: path and query.
        headers: in order, beside Host and what frames the body.
        body: as it is sent.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def head(self) -> bytes:
        """The first line and the headers, without what frames the body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{key}: {value}" for key, value in self.headers)]
        if not any(key.lower() == "host" for key, _ in self.headers):
            lines.append("Host: 127.0.0.1")
        return "\r\n".join(lines).encode("utf-8", "surrogatepass")

    def framed(self) -> bytes:
        """The request, with its length."""
        return self.head() + b"\r\nContent-Length: %d\r\n\r\n" % len(self.body) + self.body


class Requests:
    """A stream of requests to a server of a model of rows and one of documents, each built on answers of before.

    Args:
        rows: name of the model of rows.
        papers: name of the model of documents; None: there is none.
        files: contents of documents.
    """

    def __init__(self, rows: str, papers: str | None, files: list[bytes]) -> None:
        self.ids: deque[str] = deque([f"{rows}.01a20229-5b74-7a6c-80cf-ea8f9f794b59"], maxlen=200)
        """Ids of predictions that the server has answered."""
        self._rows, self._papers, self._files = rows, papers, files

    def good(self, by: Chance) -> tuple[HttpRequest, Any]:
        """A request that is right, and the JSON of its body, if it has one."""
        forms = (
            *(self._entities, self._instances, self._invocations, self._outcomes) * 3,
            *(self._csv, self._lineage, self._search) * 2,
            self._texts, self._file, self._state,
        )  # fmt: skip
        return by.choice(forms)(by)

    def bad(self, by: Chance) -> HttpRequest:
        """A request that is wrong somewhere, most of the time."""
        request, plain = self.good(by)
        if by.random() < 0.2:
            return request
        step = by.random()
        if step < 0.6 and plain is not None:
            request = replace(request, body=spoilt_json(by, plain))
        elif step < 0.8 and request.body:
            request = replace(request, body=spoilt(by, request.body))
        elif step < 0.87:
            request = replace(request, target=self._target(by, request.target))
        elif step < 0.9:
            request = replace(request, method=by.choice(_METHODS))
        if by.random() < 0.2:
            request = replace(request, headers=(*_typed(by, request.headers), by.choice(_HEADERS)))
        if by.random() < 0.05:
            request = replace(
                request, body=gzip.compress(request.body, 1), headers=(*request.headers, ("Content-Encoding", "gzip"))
            )
        return request

    def _target(self, by: Chance, good: str) -> str:
        if by.random() < 0.5:
            return by.choice(_TARGETS)
        found = spoilt(by, good.encode())
        return "/" + bytes(byte for byte in found if byte > 32 and byte != 127).decode("latin-1")

    def learn(self, body: bytes) -> None:
        """Keep ids that an answer names."""
        for part in body.split(b'"prediction_id":"')[1:6]:
            self.ids.append(part.partition(b'"')[0].decode("utf-8", "replace"))

    # --- the forms

    def _entities(self, by: Chance) -> tuple[HttpRequest, Any]:
        names = [by.choice(("c1", "c2", "nobody", 7)) for _ in range(by.choice((1, 1, 3)))]
        return self._json(f"/models/{self._rows}/predict", {"entities": [{"customer_id": name} for name in names]})

    def _row(self, by: Chance) -> dict[str, Any]:
        row = {
            "total spend": by.choice((0.5, None, -3e38)),
            "n": by.choice((1, 2.0, None)),
            "plan": by.choice(("pro", None)),
        }
        return row | ({"customer_id": "c1"} if by.random() < 0.5 else {})

    def _instances(self, by: Chance) -> tuple[HttpRequest, Any]:
        rows = [self._row(by) for _ in range(by.choice((1, 1, 3)))]
        return self._json(f"/models/{self._rows}/predict", {"instances": rows})

    def _invocations(self, by: Chance) -> tuple[HttpRequest, Any]:
        rows = [self._row(by) for _ in range(2)]
        columns = ["total spend", "n", "plan"]
        form: dict[str, Any] = by.choice((
            {"dataframe_records": rows}, {"instances": rows}, {"inputs": rows}, {"inputs": [[0.5, 1, "pro"]]},
            {"dataframe_split": {"columns": columns, "data": [[0.5, 1, "pro"]], "index": [0]}},
            {"inputs": {"total spend": [0.5], "n": [1], "plan": ["pro"]}, "params": {"a": 1}},
        ))  # fmt: skip
        return self._json(f"/models/{self._rows}/invocations", form)

    def _csv(self, by: Chance) -> tuple[HttpRequest, Any]:  # noqa: ARG002 - as all forms
        body = b'total spend,n,plan,customer_id\n0.5,1,"pro",c1\n,2,"a ""b"", c",\n'
        return HttpRequest("POST", f"/models/{self._rows}/invocations", (("Content-Type", "text/csv"),), body), None

    def _outcomes(self, by: Chance) -> tuple[HttpRequest, Any]:
        said = [
            {
                "prediction_id": by.choice(self.ids),
                "value": by.choice((0, 1, True, False, "word", 0.5)),
                "observed_at": by.choice(
                    ("2026-11-20T08:00:00Z", "2025-01-01T00:00:00.5+02:00", "0001-01-02T00:00:00Z")
                ),
            }
            | ({"kind": by.choice(("label", "click", "a\u0300"))} if by.random() < 0.5 else {})
            | ({"source": "crm"} if by.random() < 0.3 else {})
            for _ in range(by.choice((1, 1, 3)))
        ]
        return self._json("/outcomes", {"outcomes": said})

    def _lineage(self, by: Chance) -> tuple[HttpRequest, Any]:
        return HttpRequest("GET", f"/predictions/{by.choice(self.ids)}/lineage"), None

    def _state(self, by: Chance) -> tuple[HttpRequest, Any]:
        places = ("health", "ready", "models", "metrics", "openapi.json", "docs", f"models/{self._rows}")
        return HttpRequest("GET", f"/{by.choice(places)}"), None

    def _search(self, by: Chance) -> tuple[HttpRequest, Any]:
        filters = {
            "labels": ["lease"], "kinds": ["pdf"], "party": "Ann", "date_from": "2024-01-01", "date_to": "2025-01-01",
            "received_from": "2024-01-01T00:00:00Z", "received_to": "2026-01-01T00:00:00+02:00", "amount_from": 1.5,
            "amount_to": 1e6,
        }  # fmt: skip
        chosen = {key: value for key, value in filters.items() if by.random() < 0.4}
        asked = {"query": by.choice(("lease of Ann", "", '"a b"')), "filters": chosen, "limit": 3, "offset": 0}
        return self._json("/search", asked | ({"model": self._papers} if by.random() < 0.5 else {}))

    def _texts(self, by: Chance) -> tuple[HttpRequest, Any]:  # noqa: ARG002
        return self._json(f"/models/{self._papers}/predict", {"documents": [{"text": "Lease of January 5, 2024"}]})

    def _file(self, by: Chance) -> tuple[HttpRequest, Any]:
        content = by.choice(self._files)
        path = f"/models/{self._papers}/predict"
        if by.random() < 0.5:
            return HttpRequest("POST", path, (("Content-Type", "application/octet-stream"),), content), None
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n--b--\r\n"
        return HttpRequest("POST", path, (("Content-Type", "multipart/form-data; boundary=b"),), form), None

    @staticmethod
    def _json(target: str, plain: Any) -> tuple[HttpRequest, Any]:  # noqa: ANN401 - JSON
        body = json.dumps(plain).encode()
        return HttpRequest("POST", target, (("Content-Type", _JSON),), body), plain


def _typed(by: Chance, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return headers if by.random() < 0.5 else (("Content-Type", by.choice(_TYPES)),)


def on_the_wire(by: Chance, requests: list[HttpRequest]) -> bytes:
    """Requests one after the other on one connection: framed rightly, in chunks, wrongly, or spoilt in the head."""
    return b"".join(by.choice(_FRAMES)(by, request) for request in requests)


def _rightly(by: Chance, request: HttpRequest) -> bytes:  # noqa: ARG001 - as all frames
    return request.framed()


def _chunks(by: Chance, request: HttpRequest) -> bytes:
    """In chunks, some with extensions and trailers."""
    parts, rest = [], request.body
    while rest:
        size = by.choice((1, 2, 7, 100, 5000))
        extension = by.choice((b"", b"", b"", b";a=b", b';a="\xff"', b";" * 100))
        parts.append(b"%x%s\r\n%s\r\n" % (len(rest[:size]), extension, rest[:size]))
        rest = rest[size:] if len(parts) < 300 else b""
    trailers = by.choice((b"", b"", b"A: b\r\n", b"Host: evil.example\r\n", b"Authorization: Bearer x\r\n", b": \r\n"))
    return request.head() + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


def _spoilt_chunks(by: Chance, request: HttpRequest) -> bytes:
    return spoilt(by, _chunks(by, request))


def _spoilt_head(by: Chance, request: HttpRequest) -> bytes:
    head, body = request.framed().split(b"\r\n\r\n", 1)
    return spoilt(by, head) + b"\r\n\r\n" + body


def _wrong_length(by: Chance, request: HttpRequest) -> bytes:
    more = b"%d" % (len(request.body) + 9)
    length = by.choice((b"0", b"-1", b"+5", b"5, 5", b"5,6", b"1e3", b"0x5", b" ", b"9" * 30, more))
    return request.head() + b"\r\nContent-Length: " + length + b"\r\n\r\n" + request.body


def _both(by: Chance, request: HttpRequest) -> bytes:  # noqa: ARG001
    framed = b"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    return request.head() + framed + b"%x\r\n%s\r\n0\r\n\r\n" % (len(request.body), request.body)


_FRAMES = (*(_rightly,) * 6, _chunks, _chunks, _spoilt_chunks, _spoilt_head, _spoilt_head, _wrong_length, _both)
