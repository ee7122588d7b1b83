"""The search index follows the lake: what is new, what was withdrawn, what people say."""

import json
import sys
from pathlib import Path

import pytest

from ml_assets.errors import DataError
from ml_assets.ingest.ingest import ingest
from ml_assets.search.index import Filters, SearchIndex
from ml_assets.search.relevance_gate import questions, relevance
from ml_assets.search.sync import Indexed, is_behind, update_index
from ml_assets.spec.model import DocumentsSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared
from ml_assets_tests.monitoring.log.test_reviews import LABELS, SEEN, TEXT, papers

WITHDRAWN = SourceSpec(name="withdrawn", files="papers/withdrawn/*.jsonl", event_time="withdrawn_at")
WORDS = ("harbor", "window", "garden", "silver", "marble", "copper")
SPEC = DocumentsSpec(source="text", reviewed="labels", withdrawn="withdrawn")


class Archive:
    """A drop zone, a lake and an index."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, papers(root)
        self.lake = Lake(str(root / "lake"), shared)
        self.index = SearchIndex(root / "search")

    def put(self, source: SourceSpec, name: str, content: str) -> None:
        path = self.root / "incoming" / "papers" / Path(source.files).parent.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        ingest(self.lake, f"papers/raw/{source.name}", source, self.root / "incoming", now=SEEN)

    def follow(self, model: Path | None = None) -> Indexed:
        return update_index(self.lake, self.folder, SPEC, self.root / "search", model)

    @property
    def behind(self) -> bool:
        return is_behind(self.lake, self.folder, SPEC, self.root / "search")

    def found(self, query: str, **filters: object) -> list[str]:
        hits = self.index.search(query, filters=Filters(**filters)).hits  # type: ignore[arg-type]
        return sorted(hit.title or "" for hit in hits)

    def identity(self, name: str) -> str:
        rows = self.lake.query("SELECT name, document_id FROM t", t="papers/raw/text").to_pylist()
        return str(next(row["document_id"] for row in rows if row["name"].endswith(name)))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path)
    made.put(TEXT, "a.txt", "The tenant pays a monthly rent and a security deposit to the landlord.")
    made.put(TEXT, "b.txt", "The landlord keeps the parking garage lit and the tenant pays for it.")
    return made


def test_nothing_is_written_where_it_stands_already(archive: Archive) -> None:
    assert archive.behind
    done = archive.follow()
    assert (done.written, done.documents, done.fitted, done.serial) == (2, 2, True, 1)
    assert not archive.behind
    again = archive.follow()
    assert (again.written, again.unchanged, again.fitted, again.serial) == (0, 2, False, 1)


def test_a_new_document_is_found_and_one_that_was_withdrawn_is_not(archive: Archive) -> None:
    archive.follow()
    archive.put(TEXT, "c.txt", "The garage has a zeppelin mast.")
    assert archive.behind
    assert archive.follow().written == 1
    assert archive.found("zeppelin") == ["papers/files/c.txt"]
    gone = {"document_id": archive.identity("c.txt"), "withdrawn_at": "2026-01-01T00:00:00"}
    archive.put(WITHDRAWN, "1.jsonl", json.dumps(gone) + "\n")
    assert archive.follow().removed == 1
    assert "papers/files/c.txt" not in archive.found("zeppelin garage")


def test_what_people_say_of_a_document_is_its_class(archive: Archive) -> None:
    archive.follow()
    assert archive.found("tenant", labels=("lease",)) == []
    said = {"document_id": archive.identity("a.txt"), "label": "lease", "reviewed_at": "2026-01-01T00:00:00"}
    archive.put(LABELS, "1.jsonl", json.dumps(said) + "\n")
    assert archive.follow().written == 1
    assert archive.found("tenant", labels=("lease",)) == ["papers/files/a.txt"]


def test_without_documents_there_is_no_index_and_nothing_to_do(tmp_path: Path) -> None:
    empty = Archive(tmp_path)
    assert empty.follow() == Indexed(0, 0, 0, 0, fitted=False, serial=0)
    assert not empty.behind


def test_the_search_is_asked_for_what_is_known_of_the_documents(archive: Archive) -> None:
    """The same documents give the same questions; each names what is to be found."""
    for nr in range(12):
        words = [f"{one}{two}{chr(97 + nr % 3)}" for one in WORDS for two in WORDS if one != two]
        archive.put(TEXT, f"{nr}.txt", f"Lease number {nr}. {' '.join(words[nr:])} {WORDS[nr % 6]}stone")
    archive.follow()
    asked = questions(archive.lake, archive.folder, SPEC)
    assert [query.text for query in asked] == [q.text for q in questions(archive.lake, archive.folder, SPEC)]
    assert all(query.judgements for query in asked)
    found = relevance(archive.lake, archive.folder, SPEC, archive.root / "search")
    assert set(found.ndcg) == {"hybrid", "bm25", "vector"}
    assert set(found.gains) == {"bm25", "vector"}
    assert found.ndcg["hybrid"].estimate > 0.2
    assert not found.passes(1.01)


def test_too_few_documents_say_nothing(archive: Archive) -> None:
    archive.follow()
    found = relevance(archive.lake, archive.folder, SPEC, archive.root / "search")
    assert (found.questions, found.passes(0.9)) == (0, True)


ENCODER = """
import zlib
import numpy as np

class SentenceTransformer:  # as much of the library as is called: each word falls into one of eight places
    def __init__(self, folder, local_files_only):
        assert local_files_only
    def get_sentence_embedding_dimension(self):
        return 8
    def encode(self, texts, normalize_embeddings):
        found = np.array([np.bincount([zlib.crc32(w.encode()) % 8 for w in t.split()], minlength=8) for t in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)
"""


def test_vectors_are_those_of_a_model_where_one_is_set(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: sys.modules.pop("sentence_transformers", None))
    library, model = archive.root / "library", archive.root / "model"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"ml-assets\[embeddings\]"):
        archive.follow(model)
    library.mkdir()
    (library / "sentence_transformers.py").write_text(ENCODER, encoding="utf-8")
    monkeypatch.syspath_prepend(str(library))
    archive.follow()
    assert is_behind(archive.lake, archive.folder, SPEC, archive.root / "search", model)
    done = archive.follow(model)
    assert (done.documents, done.fitted) == (2, True)
    assert archive.index.embedder is not None
    assert (archive.index.embedder.model, archive.index.embedder.size) == (model, 8)
    assert archive.found("monthly rent deposit")[0] == "papers/files/a.txt"
    assert (archive.follow(model).fitted, archive.behind) == (False, True)
    (model / "config.json").write_text('{"other": 1}', encoding="utf-8")  # other weights give other vectors
    with pytest.raises(DataError, match="index again"):
        SearchIndex(archive.root / "search").search("rent")
    assert archive.follow(model).fitted
    assert archive.follow().fitted  # and back to what is learned from the documents
