"""What people say of served documents becomes labels, once, through the drop zone of the source of reviews."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from ml_assets.events.rows import outcome
from ml_assets.events.store import EventStore
from ml_assets.ingest.ingest import ingest
from ml_assets.monitoring.log.reviews import deliver
from ml_assets.monitoring.log.take import take
from ml_assets.monitoring.performance.served import answers
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.lake import Lake
from ml_assets.training.definition import ModelDefinition, assemble
from ml_assets_tests.conftest import shared
from ml_assets_tests.serving.traffic import NOW, prediction, write

DUE = date(2026, 3, 1)
SEEN = datetime(2026, 2, 20)  # noqa: DTZ001 - the lake's times are naive UTC
TEXT = SourceSpec(name="text", read="documents", files="papers/files/*", event_time="received_at")
LABELS = SourceSpec(name="labels", files="papers/labels/*.jsonl", event_time="reviewed_at")
QUERIES = {
    "population.sql": "SELECT document_id FROM text",
    "label.sql": "SELECT population.document_id, arg_max(labels.label, labels.reviewed_at) AS label FROM population "
    "LEFT JOIN labels USING (document_id) GROUP BY population.document_id",
    "content.sql": "SELECT document_id, text FROM text",
}


def papers(root: Path) -> ModelDefinition:
    path = root / "papers"
    path.mkdir(exist_ok=True)
    for name, sql in QUERIES.items():
        (path / name).write_text(sql, encoding="utf-8")
    spec = ModelSpec.model_validate({
        "entity": "document_id", "cadence": {"every": "weekly", "start": "2026-01-04"}, "features": ["content"],
        "label": {"sql": "label.sql", "horizon": "14d", "classes": ["lease", "amendment", "other"]},
        "documents": {"source": "text", "reviewed": "labels"},
    })  # fmt: skip
    return assemble("papers", path, spec, [TEXT, LABELS], [ViewSpec(name="content", sql="content.sql")])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path}/events.db") as opened:
        yield opened


def test_an_outcome_becomes_a_review_once(lake: Lake, store: EventStore, tmp_path: Path) -> None:
    folder, drop = papers(tmp_path), tmp_path / "incoming" / "papers" / "labels"
    assert deliver(lake, folder, drop) == 0
    one, two = (prediction(name, model="papers")._replace(predicted="other") for name in ("doc-a", "doc-b"))
    said = [
        outcome(one.prediction_id, "label", "lease", observed_at=NOW, received_at=NOW, source="a.morgan"),
        outcome(two.prediction_id, "label", "no such class", observed_at=NOW, received_at=NOW),
        outcome(two.prediction_id, "click", "lease", observed_at=NOW, received_at=NOW),
    ]
    write(store, one, two, *said)
    take(lake, store, "papers", DUE)
    assert [deliver(lake, folder, drop), deliver(lake, folder, drop)] == [1, 1]
    (file,) = drop.iterdir()
    (line,) = [json.loads(text) for text in file.read_text().splitlines()]
    assert (line["document_id"], line["label"], line["reviewer"]) == ("doc-a", "lease", "a.morgan")
    assert ingest(lake, "papers/raw/labels", LABELS, tmp_path / "incoming").accepted == 1
    assert deliver(lake, folder, drop) == 0
    write(store, outcome(two.prediction_id, "label", "amendment", observed_at=NOW + 5, received_at=NOW))
    take(lake, store, "papers", DUE)
    assert deliver(lake, folder, drop) == 1
    assert ingest(lake, "papers/raw/labels", LABELS, tmp_path / "incoming").accepted == 1
    found = lake.query("SELECT document_id, label FROM t ORDER BY ALL", t="papers/raw/labels").to_pylist()
    assert [(row["document_id"], row["label"]) for row in found] == [("doc-a", "lease"), ("doc-b", "amendment")]


def test_an_answer_is_right_where_the_truth_is_what_it_named(lake: Lake, store: EventStore, tmp_path: Path) -> None:
    folder, incoming = papers(tmp_path), tmp_path / "incoming" / "papers"
    for name in ("files", "labels"):
        (incoming / name).mkdir(parents=True)
    (incoming / "files" / "a.txt").write_text("A lease")
    (incoming / "labels" / "1.jsonl").write_text(
        '{"document_id": "x", "label": "other", "reviewed_at": "2026-02-20T10:00:00"}\n'
    )
    for source in (TEXT, LABELS):
        ingest(lake, f"papers/raw/{source.name}", source, tmp_path / "incoming", now=SEEN)
    named = {"doc-a": "lease", "doc-b": "lease", "doc-c": "other"}
    rows = {who: prediction(who, model="papers")._replace(predicted=what, as_of=None) for who, what in named.items()}
    truth = {"doc-a": "lease", "doc-b": "amendment", "doc-c": "nobody's class"}
    said = [
        outcome(rows[who].prediction_id, "label", what, observed_at=NOW, received_at=NOW) for who, what in truth.items()
    ]
    write(store, *list(rows.values())[:2], *said[:2])
    take(lake, store, "papers", DUE)
    found = {row["entity"]: row["label"] for row in answers(lake, folder, 4, DUE).rows.to_pylist()}
    assert found == {"doc-a": 1.0, "doc-b": 0.0}
    write(store, rows["doc-c"], said[2])
    take(lake, store, "papers", DUE)
    assert "doc-c" not in {row["entity"] for row in answers(lake, folder, 4, DUE).rows.to_pylist()}
