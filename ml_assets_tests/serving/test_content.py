"""What a body is said to be and how it is encoded: understood, or refused by name; no body is the server's fault."""

import gzip
import json
import zlib

import pytest

from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, post, refused, scores

BOM = b"\xef\xbb\xbf"
ONE = json.dumps({"instances": [ROW]}).encode()
TABLE = b"total spend,n,plan\n0.5,1,pro\n"


def test_gzip_is_understood_on_every_route(served: Served) -> None:
    for encoding in ("gzip", "x-gzip", "GZIP", "identity, gzip"):
        assert scores(post(served, PREDICT, gzip.compress(ONE), content_encoding=encoding))
    members = gzip.compress(TABLE[:20]) + gzip.compress(TABLE[20:]) + b"\0\0"
    assert scores(post(served, INVOKE, members, content_type="text/csv", content_encoding="gzip"))
    assert scores(post(served, PREDICT, ONE, content_encoding="identity"))
    assert post(served, "/search", gzip.compress(b"{}"), content_encoding="gzip").json()["type"] == "unknown-model"


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "rot13"])
def test_another_encoding_is_named(served: Served, encoding: str) -> None:
    for path in (PREDICT, INVOKE, "/outcomes", "/search"):
        answer = post(served, path, gzip.compress(ONE), content_encoding=encoding)
        assert refused(answer, 415, "unsupported-encoding")["value"] == encoding
        assert answer.headers["accept-encoding"] == "gzip"


def test_a_bomb_is_too_large_and_is_not_unpacked(served: Served) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 1 << 20
    refused(post(served, PREDICT, bomb, content_encoding="gzip"), 413, "body-too-large")
    refused(post(served, PREDICT, gzip.compress(b"") * 1000 + bomb[:9], content_encoding="gzip"), 400, "malformed-gzip")


@pytest.mark.parametrize(
    "body",
    [ONE, b"", gzip.compress(ONE)[:-9], gzip.compress(ONE) + b"more", zlib.compress(ONE)],
    ids=["plain", "nothing", "cut off", "more behind it", "zlib"],  # by itself gzip's header holds the clock
)
def test_what_is_not_gzip_is_malformed(served: Served, body: bytes) -> None:
    refused(post(served, PREDICT, body, content_encoding="gzip"), 400, "malformed-gzip")


def test_a_byte_order_mark_is_skipped(served: Served) -> None:
    assert scores(post(served, PREDICT, BOM + ONE))
    assert scores(post(served, INVOKE, BOM + ONE))
    assert scores(post(served, INVOKE, BOM + TABLE, content_type="text/csv"))
    assert scores(post(served, PREDICT, BOM + ONE, content_type="text/plain"))


def test_json_that_curl_sends_without_a_type_is_json(served: Served) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=UTF-8", "text/json"):
        assert scores(post(served, PREDICT, b"\n " + ONE, content_type=kind))
        assert scores(post(served, INVOKE, ONE, content_type=kind))
    without = served.client.build_request("POST", PREDICT, content=ONE)
    without.headers.pop("content-type", None)
    assert scores(served.client.send(without))


@pytest.mark.parametrize(
    "kind",
    ["application/xml", "multipart/mixed; boundary=x", "application/vnd.apache.parquet", "text/html", "image/png",
     "application/json-seq", "application/json; charset=latin-1", "nonsense"],
)  # fmt: skip
def test_a_type_that_is_not_understood_is_named(served: Served, kind: str) -> None:
    for path in (PREDICT, INVOKE, "/outcomes", "/search"):
        found = refused(post(served, path, ONE, content_type=kind), 415, "unsupported-type")
        assert found["value"] == kind


def test_a_form_is_not_json(served: Served) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        refused(post(served, PREDICT, b"total+spend=1&n=2", content_type=kind), 415, "unsupported-type")
    refused(post(served, PREDICT, TABLE, content_type="text/csv"), 415, "unsupported-type")


DEEP = 60_000
BODIES = {
    "lists in lists": b"[" * DEEP,
    "objects in objects": b'{"a":' * DEEP,
    "a deep instance": b'{"instances":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a deep value": b'{"inputs": [{"n":' + b"[" * DEEP,
    "half of a surrogate pair": b'{"instances": [{"n": "\\ud800"}]}',
    "half of one in a key": b'{"\\udfff": 1}',
    "a number of 5,000 digits": b'{"outcomes": [{"value": ' + b"9" * 5000 + b"}]}",
    "infinity": b'{"filters": {"amount_from": 1e999}}',
    "half of a text": b'"',
    "half of a word": b"nul",
}


@pytest.mark.parametrize("path", [PREDICT, INVOKE, "/outcomes", "/search"])
@pytest.mark.parametrize("name", BODIES)
def test_no_body_is_the_servers_fault(served: Served, path: str, name: str) -> None:
    answer = post(served, path, BODIES[name])
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]


@pytest.mark.parametrize("name", ["1" * 301, '"a\\u0000b"', f'"{"x" * 301}"', '""'])
def test_a_name_that_no_store_holds_is_named(served: Served, name: str) -> None:
    for form, row in (("entities", ""), ("instances", '"total spend": 1, "n": 1, "plan": "a", ')):
        body = f'{{"{form}": [{{{row}"customer_id": {name}}}]}}'.encode()
        assert refused(post(served, PREDICT, body), 422, "invalid-field")["field"] == f"$.{form}[0].customer_id"
