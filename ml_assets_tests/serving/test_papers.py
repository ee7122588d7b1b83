"""A model of documents: what is a file, what is JSON, what is neither; and the truth of several classes."""

import gc
import gzip
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ml_assets.events.rows import Outcome, Prediction
from ml_assets.serving.problem import Problem
from ml_assets.serving.uploads import _file
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.served import INVOKE, PREDICT, ROW, Served, post, refused, scores

PATH = f"/models/{papers.MODEL}/predict"
TEXT = b"Lease of January 5, 2024 between Apex Foods LLC and Ann Lee."
SENT = json.dumps({"documents": [{"text": TEXT.decode()}]}).encode()
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--b--\r\n'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    released.release(tmp_path)
    papers.release(tmp_path)
    made = Served(tmp_path, papers.MODEL)
    with made.client:
        yield made


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/json", ""])
def test_json_is_never_taken_for_the_document(served: Served, kind: str) -> None:
    """`curl -d` names a form, and others a plain text."""
    assert scores(post(served, PATH, b" " + SENT, content_type=kind)) == pytest.approx([0.7])
    refused(post(served, PATH, b"{bad json", content_type=kind), 400, "malformed-json")
    refused(post(served, PATH, b"[1, 2", content_type=kind), 400, "malformed-json")
    assert refused(post(served, PATH, b'{"entities": []}', content_type=kind), 422, "invalid-field")["remedy"]
    assert len(served.events(Prediction)) == 1


@pytest.mark.slow
def test_a_file_is_one_by_its_type(served: Served) -> None:
    assert scores(post(served, PATH, TEXT, content_type="text/plain; charset=utf-8")) == pytest.approx([0.7])
    assert scores(post(served, PATH, SENT, content_type="application/octet-stream")) == pytest.approx([0.7])
    assert scores(post(served, PATH, FORM % SENT, content_type="multipart/form-data; boundary=b"))
    assert scores(post(served, PATH, gzip.compress(TEXT), content_type="text/html", content_encoding="gzip"))
    assert len({row.entity for row in served.events(Prediction)}) == 2


@pytest.mark.parametrize(
    "kind", ["multipart/mixed; boundary=b", "application/xml", "text/csv", "video/mp4", "nonsense"]
)
def test_a_type_that_is_not_understood_is_named(served: Served, kind: str) -> None:
    found = refused(post(served, PATH, TEXT, content_type=kind), 415, "unsupported-type")
    assert (found["field"], found["value"]) == ("Content-Type", kind)
    refused(post(served, PATH, TEXT, content_type="application/x-www-form-urlencoded"), 415, "unsupported-type")
    assert served.events(Prediction) == []


def label(served: Served, value: Any, kind: str = "label") -> Any:
    (answer,) = post(served, PATH, SENT).json()["predictions"]
    said = {
        "prediction_id": answer["prediction_id"],
        "value": value,
        "kind": kind,
        "observed_at": "2026-11-20T08:00:00Z",
    }
    return served.client.post("/outcomes", json={"outcomes": [said]})


@pytest.mark.parametrize("value", ["not-a-class", 1, True, "", "Lease"])
def test_a_truth_that_the_model_cannot_predict_is_named(served: Served, value: Any) -> None:
    found = refused(label(served, value), 422, "invalid-field")
    assert (found["field"], found["value"]) == ("$.outcomes[0].value", value)
    assert "lease, addendum, other" in found["remedy"]
    assert served.events(Outcome) == []


def test_a_class_is_a_truth_and_other_kinds_are_free(served: Served) -> None:
    assert label(served, "addendum").status_code == 200
    assert label(served, 3.5, "minutes").status_code == 200
    assert [row.value for row in served.events(Outcome)] == ['"addendum"', "3.5"]


def test_the_other_model_takes_no_files(served: Served) -> None:
    refused(post(served, PREDICT, TEXT, content_type="application/pdf"), 415, "unsupported-type")
    refused(post(served, INVOKE, FORM % TEXT, content_type="multipart/form-data; boundary=b"), 415, "unsupported-type")


def test_a_release_whose_extractor_cannot_be_imported_is_refused_by_name(tmp_path: Path) -> None:
    """What names the extractor is the manifest; a request cannot."""
    released.release(tmp_path)
    papers.release(tmp_path, extract="nowhere.at_all:facts")
    served = Served(tmp_path, papers.MODEL, patience=10)
    with served.client:
        found = refused(post(served, PATH, SENT), 503, "no-release")
        assert "version 1 cannot be loaded: extract names 'nowhere.at_all:facts', which cannot be" in found["detail"]
        assert post(served, PREDICT, json.dumps({"instances": [ROW]}).encode()).status_code == 200


FILTERS = {
    "received_from": "0001-01-01T00:00:00+14:00",
    "received_to": "9999-12-31T23:59:59-14:00",
    "amount_from": 1e308 * 10,
    "party": " ",
    "date_from": "2024-13-01",
    "labels": [1],
    "nothing": 1,
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_search_that_cannot_be_asked_is_named(served: Served, name: str) -> None:
    body = json.dumps({"filters": {name: FILTERS[name]}}).encode()
    found = refused(post(served, "/search", body), 422, "invalid-field")
    path = {"labels": "$.filters.labels[0]", "nothing": "$.filters"}.get(name, f"$.filters.{name}")
    assert found["field"] == path
    assert "value" in found or name == "nothing"


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"limit": 0}, "limit"), ({"limit": 1.5}, "limit"), ({"query": "\0"}, "query"), ({"offset": -1}, "offset")],
)
def test_a_search_names_what_is_wrong_beside_its_filters(served: Served, asked: Any, field: str) -> None:
    found = refused(post(served, "/search", json.dumps(asked).encode()), 422, "invalid-field")
    assert (found["field"], found["value"]) == (f"$.{field}", asked[field])


FORMS = {
    "malformed": FORM[:-6] % (b"x" * 3_000_000),
    "other": FORM.replace(b'"file"', b'"other"') % (b"x" * 3_000_000),
    "right": FORM % (b"x" * 3_000_000),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_let_go_of_without_the_collector(name: str) -> None:
    """Forms of 20 MB that wait for it would be all the memory there is."""
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _ in range(3):
            with suppress(Problem):
                _file(FORMS[name], "multipart/form-data; boundary=b")
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_the_file_of_a_form_is_the_part_of_that_name() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    content = bytes(range(256)) * 1000
    form = part % (b"note", b"x") + part % (b"file", content) + part % (b"file", b"another") + b"--b--\r\n"
    assert _file(form, "multipart/form-data; boundary=b") == content
    assert _file(part % (b"file", b"") + b"--b--\r\n", "multipart/form-data; boundary=b") == b""
    for wrong in (form[:-100], part % (b"note", b"x") * 20 + b"--b--\r\n", b"", b"--b--\r\n"):
        with suppress(Problem):
            assert _file(wrong, "multipart/form-data; boundary=b") == content
