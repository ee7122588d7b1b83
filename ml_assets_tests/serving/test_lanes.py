"""What is slow of one kind keeps nothing else waiting, and what waits is bounded in number and bytes."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_assets.documents.document import Document, Page
from ml_assets.serving import http
from ml_assets.serving.dataframes import rows_from_csv, rows_from_json
from ml_assets.serving.document_features import LIMITS, READERS
from ml_assets.serving.lanes import Lane
from ml_assets.serving.problem import Problem
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.served import PREDICT, ROW, Served, post, refused, scores

PATH = f"/models/{papers.MODEL}/predict"
SENT = json.dumps({"documents": [{"text": "Lease of January 5, 2024."}]}).encode()
QUEUE = 8


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    released.release(tmp_path)
    papers.release(tmp_path)
    made = Served(tmp_path, papers.MODEL)
    with made.client:
        yield made


def test_a_lane_takes_a_few_and_says_so_to_others_at_once() -> None:
    async def run() -> None:
        lane, go = Lane("things are being done", 2, 3), threading.Event()
        inside = [asyncio.create_task(lane.run(lambda: go.wait(10))) for _ in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem, match="5 things are being done") as caught:
            await lane.run(print)
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
        go.set()
        assert await asyncio.gather(*inside) == [True] * 5
        assert await lane.run(max, 1, 2) == 2
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        assert await lane.run(len, "abc") == 3
        lane.close()

    asyncio.run(run())


def test_who_waits_too_long_for_a_turn_is_told_so() -> None:
    async def run() -> None:
        lane, go = Lane("things are being done", 1, 3, patience=0.05), threading.Event()
        first = asyncio.create_task(lane.run(lambda: go.wait(10)))
        await asyncio.sleep(0.01)
        with pytest.raises(Problem, match="no turn came within"):
            await lane.run(print)
        go.set()
        assert await first
        assert await lane.run(len, "abc") == 3
        lane.close()

    asyncio.run(run())


def test_files_that_take_long_keep_nothing_else_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def slow(content: bytes) -> Document:
        go.wait(30)
        return Document("text", len(content), (Page("Lease", "text", 1.0),))

    monkeypatch.setattr(served.worker.services.documents, "read", slow)
    file = {"content_type": "application/pdf"}
    with ThreadPoolExecutor(READERS + QUEUE) as clients:
        inside = [clients.submit(post, served, PATH, b"%d" % number, **file) for number in range(READERS + QUEUE)]
        until = time.monotonic() + 10
        while served.worker.services.lanes.reading._inside < READERS + QUEUE:
            assert time.monotonic() < until
            time.sleep(0.01)
        began = time.monotonic()
        answer = post(served, PATH, b"one more", **file)
        refused(answer, 503, "busy")
        assert answer.headers["retry-after"] == "1"
        said = post(served, PATH, SENT)
        assert scores(said) == pytest.approx([0.7])
        assert scores(post(served, PREDICT, json.dumps({"instances": [ROW]}).encode()))
        identity = said.json()["predictions"][0]["prediction_id"]
        assert served.client.get(f"/predictions/{identity}/lineage").status_code == 200
        refused(post(served, "/search", b"{}"), 503, "search-index")  # there is none here, and it was looked for
        served.worker.services.models.routes.clear()
        served.worker.services.models._models.clear()
        served.worker.services.models._seen = -1.0  # a release is loaded meanwhile
        served.worker.services.models._loader.troubles.clear()
        while served.client.post(PREDICT, json={"instances": [ROW]}).status_code != 200:
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        go.set()
        assert [each.result().status_code for each in inside] == [200] * len(inside)
    metrics = served.client.get("/metrics").text
    labels = f'model="{papers.MODEL}",route="predict",status="503",variant="champion"'
    assert f"ml_assets_requests_total{{{labels}}} 1.0" in metrics


def test_bodies_are_counted_while_they_are_held(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    before = http._Bodies.size
    large = json.dumps({"outcomes": [{"value": "x" * 200_000}]}).encode()
    for path in (PATH, PREDICT, "/outcomes", "/search", f"/models/{papers.MODEL}/invocations", "/nothing"):
        assert post(served, path, large).status_code < 500
    assert served.client.post("/outcomes", content=iter([large[:70_000], large[70_000:]])).status_code == 422
    assert served.client.head("/health").status_code == 200
    assert http._Bodies.size == before
    monkeypatch.setattr(http, "IN_FLIGHT", before + 150_000)
    answer = post(served, "/outcomes", large)
    refused(answer, 503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert scores(post(served, PATH, SENT))
    assert http._Bodies.size == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_pages_of_a_text_are_bounded_as_those_of_a_file(served: Served, kind: str) -> None:
    texts = [{"text": "a"}, {"text": "\f" * LIMITS.pages}]
    found = refused(
        post(served, PATH, json.dumps({"documents": texts}).encode(), content_type=kind), 422, "too-many-pages"
    )
    assert found["field"] == "$.documents[1].text"
    texts[1]["text"] = "\f" * (LIMITS.pages - 1)
    assert scores(post(served, PATH, json.dumps({"documents": texts}).encode(), content_type=kind))


@pytest.mark.slow
def test_characters_of_a_file_are_bounded_as_those_of_a_text(served: Served) -> None:
    row: dict[str, Any] = {"documents": [{"text": "a" * (LIMITS.characters + 1)}]}
    refused(post(served, PATH, json.dumps(row).encode()), 422, "invalid-field")
    file = b"a\t" * LIMITS.characters
    refused(post(served, PATH, file, content_type="text/plain"), 422, "unreadable-too-long")
    assert scores(post(served, PATH, file[: LIMITS.characters], content_type="text/plain"))


def test_rows_beyond_those_that_there_may_be_are_not_looked_at(served: Served) -> None:
    """Half a million short rows in a megabyte kept the event loop, and so everybody, for two seconds."""
    path = f"/models/{released.MODEL}/invocations"
    table = b"n,plan\n" + b"1,\n" * 300_000
    split = {"dataframe_split": {"columns": ["n"], "data": [[1]] * 50_000}}
    columns = {"inputs": {"n": [1] * 50_000, "plan": ["a"] * 50_000}}
    model = served.worker.services.models.routes[released.MODEL].default
    most = model.manifest.max_rows
    for content in (table, b"\n" * 1_000_000):
        assert len(rows_from_csv(model, content).rows) == most + 1
        assert post(served, path, content, content_type="text/csv").status_code in {413, 422}
    for body in (split, columns, {"dataframe_records": [{"n": 1}] * 50_000}, {"instances": [[1, 2, "a"]] * 50_000}):
        content = json.dumps(body).encode()
        assert len(rows_from_json(model, content).rows) == most + 1
        refused(post(served, path, content), 413, "too-many-rows")
