"""The life of a model, by its commands: rolled back, exported, moved, reset in the middle of a kill, and removed."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml_assets.components.templates.sample import sample
from ml_assets_tests.preloaded import Preloaded
from ml_assets_tests.processes import answering, environment, free_port
from ml_assets_tests.project_copy import copy_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODEL = "late_payers"


@dataclass
class Home:
    """A copy of the project, a data folder, a temporary folder, and `ml-assets` over them."""

    project: Path
    data: Path
    temporary: Path

    @property
    def folder(self) -> Path:
        return self.project / "ml_assets" / "defs" / MODEL

    def start(self, *arguments: str) -> Preloaded:
        own = environment(self.data, PYTHONPATH=str(self.project), TMPDIR=str(self.temporary))
        nothing, out = subprocess.DEVNULL, subprocess.PIPE
        return Preloaded(
            *arguments, cwd=self.project, env=own, stdin=nothing, stdout=out, stderr=out, start_new_session=True
        )

    def call(self, *arguments: str, code: int = 0) -> str:
        with self.start(*arguments) as process:
            said, errors = process.communicate(timeout=600)
        assert process.returncode == code, errors
        return said if code == 0 else errors

    def run(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.call("run", MODEL, "--json"))[MODEL]
        return answer

    def champion(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("status", "--json"))["models"][MODEL]["champion"]
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("home")
    (root / "tmp").mkdir()
    project = copy_project(root / "project", "churn", "retail", "documents")
    made = Home(project, root / "data", root / "tmp")
    made.call("new", MODEL)
    return made


def test_a_model_from_its_first_run_to_its_removal(home: Home, tmp_path: Path) -> None:
    first = home.run()
    assert first["champion"]["version"] == 1
    _exports(home, tmp_path, first)
    _goes_back(home)
    _moves(home, tmp_path)
    assert [*home.temporary.iterdir()] == [], "nothing is left, however often something runs"
    _resets(home)
    _removes(home)
    assert [*home.temporary.iterdir()] == []


def _exports(home: Home, folder: Path, first: dict[str, Any]) -> None:
    said = home.call("export", MODEL, "predictions", "--to", str(folder / "p.csv"))
    assert said == f"400 rows of predictions of {MODEL} at {first['as_of']} in {folder / 'p.csv'}\n"
    home.call("export", MODEL, "features", "--to", str(folder / "f.parquet"))
    home.call("export", MODEL, "training-set", "--to", str(folder / "t.csv.gz"))
    predictions, features = pd.read_csv(folder / "p.csv"), pq.read_table(folder / "f.parquet").to_pandas()
    assert set(predictions["account_id"]) == set(features["account_id"])
    assert {"label", "account_id"} <= set(pd.read_csv(folder / "t.csv.gz").columns)
    assert "--overwrite" in home.call("export", MODEL, "predictions", "--to", str(folder / "p.csv"), code=2)


def _goes_back(home: Home) -> None:
    _seed(home, 7)
    second = home.run()
    assert (second["candidate"], second["champion"]["version"]) == (2, 2)
    assert "needs a reason" in home.call("rollback", MODEL, "--reason", " ", code=2)
    said = home.call("rollback", MODEL, "--reason", "prices are wrong")
    assert said.startswith(f"{MODEL}: version 1 since {second['as_of']}: rolled back, prices are wrong.")
    assert home.run()["champion"]["version"] == 1, "what was rolled back from is not promoted again"
    found = home.champion()
    assert (found["version"], found["decision"], found["reason"]) == (1, "rolled back", "prices are wrong")
    home.call("rollback", MODEL, "--to", "2", "--reason", "they were right")
    _seed(home, None)
    reverted = home.run()
    assert (reverted["candidate"], reverted["champion"]["version"]) == (1, 2)


def _seed(home: Home, seed: int | None) -> None:
    path = home.folder / "defs.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("  seed:")]
    if seed is not None:
        lines.insert(next(i for i, line in enumerate(lines) if line.startswith("  entity:")), f"  seed: {seed}")
    path.write_text("\n".join(lines) + "\n")


def _moves(home: Home, folder: Path) -> None:
    """The data folder is copied elsewhere, and the old one deleted; what was answered before is still traced."""
    account = str(pd.read_csv(folder / "p.csv")["account_id"][0])
    with _serving(home) as url:
        (answer,) = _ask(f"{url}/models/{MODEL}/predict", {"entities": [{"account_id": account}]})["predictions"]
    shutil.copytree(home.data, folder / "some where" / "data")
    shutil.rmtree(home.data)
    home.data = folder / "some where" / "data"
    with _serving(home) as url:
        traced = _ask(f"{url}/predictions/{answer['prediction_id']}/lineage")
    assert (traced["version"]["version"], traced["prediction"]["score"]) == ("2", answer["score"])
    again = home.run()
    assert (again["trained"], again["champion"]["version"], again["rows"]["events"]["new_files"]) == (False, 2, 0)
    assert home.champion()["version"] == 2


@contextmanager
def _serving(home: Home) -> Iterator[str]:
    port = free_port()
    server = home.start("serve", "--port", str(port))
    try:
        yield answering(f"http://127.0.0.1:{port}", f"/models/{MODEL}")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=60)


def _ask(url: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - of this machine
    with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.load(answer)
        return found


def _resets(home: Home) -> None:
    """Own files take the place of the sample, as the README of a new model says."""
    assert "nobody is there to ask" in home.call("reset", MODEL, code=2)
    own = sample("another", last_date(home))
    for source, rows in own.items():
        zone = home.data / "incoming" / MODEL / source
        (zone / "sample.parquet").unlink()
        pq.write_table(rows, zone / "own.parquet")
    _kill(home, "reset", MODEL, "--yes")
    interrupted = list((home.data / "forgetting").glob("*.json"))
    if interrupted:
        assert f"`ml-assets reset {MODEL}` was interrupted" in home.call("run", MODEL, code=2)
    assert home.call("reset", MODEL, "--yes").startswith(f"{MODEL} was reset")
    found = home.run()
    assert (found["champion"]["version"], found["trained"]) == (3, True)
    assert found["rows"]["events"]["accepted"] > 1000


def last_date(home: Home) -> date:
    return date.fromisoformat(json.loads(home.call("status", "--json"))["models"][MODEL]["last_run"]["as_of"])


def _kill(home: Home, *arguments: str) -> None:
    """As soon as it has begun to delete; it may be quicker."""
    process = home.start(*arguments)
    end = time.monotonic() + 120
    while process.poll() is None and not (home.data / "forgetting").exists() and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.communicate()


def _removes(home: Home) -> None:
    assert home.call("remove", MODEL, "--yes") == f"{MODEL} was removed\n"
    assert not home.folder.exists()
    found = json.loads(home.call("status", "--json"))
    assert (found["models"], found["left_over"]) == ({}, {})
    left = {finding["name"]: finding for finding in json.loads(home.call("doctor", "--json"))["findings"]}["left over"]
    assert left["status"] == "ok"
    assert MODEL not in {path.name for path in home.data.glob("*/*")}
