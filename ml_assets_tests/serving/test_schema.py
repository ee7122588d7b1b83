"""The server against its own OpenAPI document: what it says of requests and answers is so."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ml_assets.serving.api import create_api
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.tokens import SCOPES, Tokens
from ml_assets.serving.worker import Worker
from ml_assets.settings import Settings
from ml_assets_tests.processes import environment
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import Server, serving
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.served import Served

EXAMPLES = 40
"""Requests of a route that are made up, beside those of its examples and of each limit in its schema."""

# All checks but for these: 413 is a refusal too; and what MLflow's clients send beside the rows (`params`) is let pass,
# though the document names only what is looked at. That an outcome lies in the future, no schema can say.
CHECKS = f"""
[checks.negative_data_rejection]
expected-statuses = {[str(status) for status in (400, 401, 403, 404, 405, 406, 408, 413, 415, 422)]}
[[operations]]
include-path = "/models/{{model}}/invocations"
checks.negative_data_rejection.enabled = false
[[operations]]
include-path = "/outcomes"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "422", "5xx"]
"""


def examined(server: Server, folder: Path, *options: str, checks: str = CHECKS) -> None:
    """Ask a server all that its document allows and forbids, the same each time."""
    folder.mkdir()
    (folder / "checks.toml").write_text(checks)
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", "checks.toml", "run", f"{server.url}/openapi.json",
        "--max-examples", str(EXAMPLES), "--generation-deterministic", "--phases", "examples,coverage,fuzzing,stateful",
        "--no-color", "--warnings", "off", "--continue-on-failure", *options,
    ]  # fmt: skip
    quiet = environment(folder, DO_NOT_TRACK="true")
    done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert "No issues found" in done.stdout
    assert "Traceback" not in server.log(), server.log()


def answered(server: Server, **options: Any) -> dict[str, float]:
    """How many requests of each route were answered with 200."""
    text = server.get("/metrics", **options).text
    found = re.findall(r'ml_assets_requests_total\{model=".*?",route="(.*?)",status="200",variant=".*?"\} (\S+)', text)
    return {route: float(number) for route, number in found}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    released.release(folder)
    today = datetime.now(UTC).date()
    released.write(Settings(data=folder).online_url, {"c000017": (0.5, 1, "pro")}, today)  # the example's entity
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_server_does_what_its_document_says(data: Path, tmp_path: Path) -> None:
    with serving(data) as server:
        examined(server, tmp_path / "schemathesis")
        found = answered(server)
    for route in ("predict", "/models/{model}/invocations", "/outcomes", "/predictions/{prediction_id}/lineage"):
        assert found[route] > 5, found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_server_does_what_its_document_says_and_asks_for_a_token(data: Path, tmp_path: Path) -> None:
    secret = Tokens(Settings(data=data).tokens).add("test", SCOPES, "2026-11-22")
    with serving(data) as server:
        examined(server, tmp_path / "schemathesis", "--header", f"Authorization: Bearer {secret}")
        assert answered(server, headers={"authorization": f"Bearer {secret}"})["predict"] > 5


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_without_a_model_does_what_its_document_says(tmp_path: Path) -> None:
    with serving(tmp_path / "data", ready=False) as server:
        not_ready = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "4xx", "503"]\n'
        examined(server, tmp_path / "schemathesis", checks=not_ready + CHECKS)


def document(data: Path) -> dict[str, Any]:
    with TestClient(Served(data).client.app, base_url="http://127.0.0.1") as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
        return found


def references(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for value in found.values():
            yield from references(value)
    elif isinstance(found, list):
        for value in found:
            yield from references(value)


@pytest.mark.parametrize("models", [0, 1, 2])
def test_all_that_the_document_names_is_in_it_and_nothing_else(tmp_path: Path, models: int) -> None:
    if models:
        released.release(tmp_path)
    if models > 1:
        _another(tmp_path)
    found = document(tmp_path)
    names = {reference.removeprefix("#/components/schemas/") for reference in references(found)}
    assert names == found["components"]["schemas"].keys()
    (parameter,) = found["paths"]["/models/{model}/predict"]["post"]["parameters"]
    assert parameter["schema"].get("enum", []) == [MODEL, "upgrade"][:models]


def _another(data: Path) -> None:
    """A second model that answers."""
    import time

    releases = Releases.at(data)
    name = releases.save_release(released.manifest(model="upgrade").to_json(), released.onnx())
    known = releases.routes()
    made = released.champion("upgrade", name, 1, time.time())
    releases.save_routes(type(known)({**known.models, "upgrade": made}, time.time()))


def test_the_document_follows_the_champions_and_the_tokens(tmp_path: Path) -> None:
    """Also between two questions: it is not the one that was made first."""
    released.release(tmp_path)
    with _client(tmp_path) as (worker, client):
        first = client.get("/openapi.json").json()
        row = first["components"]["schemas"]["Predict"]["oneOf"][1]["properties"]["instances"]["items"]
        assert row["required"] == ["total spend", "n", "plan"]
        assert row["example"] == {"total spend": 10.0, "n": 1.0, "plan": "pro"}
        assert first["paths"]["/models"]["get"]["security"] == [{}, {"HTTPBearer": ["read"]}]
        Tokens(tmp_path / "tokens.json").add("app", ["predict"], "2026-11-22")
        worker.services.guard.reload()
        worker.services.models.routes.clear()
        then = client.get("/openapi.json").json()
        assert then["paths"]["/models"]["get"]["security"] == [{"HTTPBearer": ["read"]}]
        assert "enum" not in str(then["paths"]["/models/{model}"]["get"]["parameters"])


@contextmanager
def _client(data: Path) -> Iterator[tuple[Worker, TestClient]]:
    served = Served(data)
    with served.client:
        yield served.worker, TestClient(create_api(served.worker))
