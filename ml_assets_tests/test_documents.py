"""Documents as a user has them: read, classified, searched and served, by real processes over real files."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ml_assets.search.index import Filters, SearchIndex
from ml_assets_tests.documents.made import LEASE, pdf
from ml_assets_tests.documents.test_read_hostile import HOSTILE
from ml_assets_tests.preloaded import call
from ml_assets_tests.processes import environment
from ml_assets_tests.serving.process import Server, serving

pytestmark = pytest.mark.slow

END = "2026-08-30"
CLASSES = {"lease", "amendment", "addendum", "cam_statement", "other"}


def command(data: Path, *arguments: str) -> str:
    done = call(*arguments, env=environment(data))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(data: Path) -> dict[str, Any]:
    answer = json.loads(command(data, "run", "documents", "--as-of", END, "--json"))
    found: dict[str, Any] = answer["documents"]
    return found


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    data = tmp_path_factory.mktemp("documents")
    command(data, "data", "documents", "--documents", "240", "--weeks", "24", "--end", END, "--seed", "1")
    return data, run(data)


def test_documents_are_read_classified_and_found(stocked: tuple[Path, dict[str, Any]]) -> None:
    data, done = stocked
    assert done["rows"]["text"]["accepted"] == 240
    assert done["champion"]["version"] == 1
    assert all(gate["passed"] for gate in done["gates"])
    assert done["metrics"]["accuracy"] >= 0.75
    assert done["predictions"] > 5
    index = SearchIndex(data / "search" / "documents")
    found = index.search("security deposit", filters=Filters(labels=("lease",)))
    assert found.hits
    assert all(hit.label == "lease" for hit in found.hits)
    assert all("<mark>" in hit.snippet for hit in found.hits)


def test_a_second_run_reads_nothing_and_a_new_document_is_classified_and_found(
    stocked: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    data = shutil.copytree(stocked[0], tmp_path / "data")
    own = tmp_path / "own"
    own.mkdir()
    content = pdf([[*LEASE, "Quillfeather Holdings is the guarantor."]], title="Lease of Harbor Street")
    (own / "harbor.pdf").write_bytes(content)
    command(data, "data", "documents", "--from", str(own))
    again = run(data)
    assert (again["trained"], again["rows"]["text"]["new_files"]) == (False, 1)
    who = hashlib.sha256(content).hexdigest()
    index = SearchIndex(data / "search" / "documents")
    assert index.search("Quillfeather").hits[0].document_id == who
    withdrawn = data / "incoming" / "documents" / "withdrawn"
    withdrawn.mkdir()
    (withdrawn / "1.jsonl").write_text(json.dumps({"document_id": who, "withdrawn_at": "2026-08-29T10:00:00"}) + "\n")
    run(data)
    assert who not in {hit.document_id for hit in index.search("Quillfeather").hits}


def test_the_server_takes_files_and_text_and_searches(stocked: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data = shutil.copytree(stocked[0], tmp_path / "data")
    with serving(data) as server:
        content = pdf([LEASE])
        sent = server.client.post("/models/documents/predict", files={"file": ("../../x.pdf", content)})
        assert sent.status_code == 200, sent.text
        (answer,) = sent.json()["predictions"]
        assert answer["predicted"] in CLASSES
        assert answer["decision"] in {answer["predicted"], "needs_review"}
        assert answer["reasons"]
        raw = server.client.post(
            "/models/documents/predict", content=content, headers={"content-type": "application/pdf"}
        )
        assert raw.json()["predictions"][0]["score"] == answer["score"]
        text = server.post("/models/documents/predict", {"documents": [{"text": "\n".join(LEASE)}] * 2}).json()
        assert len({(one["predicted"], one["score"]) for one in text["predictions"]}) == 1
        lineage = server.get(f"/predictions/{answer['prediction_id']}/lineage").json()
        assert lineage["prediction"]["entity"] == hashlib.sha256(content).hexdigest()
        assert lineage["prediction"]["predicted"] == answer["predicted"]
        found = server.post("/search", {"query": "security deposit", "filters": {"labels": ["lease"]}, "limit": 3})
        assert found.status_code == 200, found.text
        assert len(found.json()["hits"]) == 3
        traced = server.get(f"/predictions/{found.json()['prediction_id']}/lineage").json()
        assert traced["search"]["hits"] == [hit["document_id"] for hit in found.json()["hits"]]
        for name, (code, make) in HOSTILE.items():
            _refused(server, name, code, make())
        assert server.post("/search", {"query": "rent", "limit": 0}).status_code == 422
    assert not list(data.rglob("x.pdf"))


def _refused(server: Server, name: str, code: str, content: bytes) -> None:
    """One of those of the reader's own tests, sent under a name that promises something else."""
    sent = server.client.post("/models/documents/predict", files={"file": ("lease.pdf", content)})
    told = "body-too-large" if code == "too-large" else f"unreadable-{code}" if content else "file-missing"
    assert (sent.status_code, sent.json()["type"]) == (413 if code == "too-large" else 422, told), name
    assert sent.json()["remedy"]
