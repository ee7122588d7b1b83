"""The page of the server in a real browser, where nothing that a model was made of runs; and a proxy before it."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.serving.tokens import Tokens
from ml_assets.storage.manifest import Band, PassedGate
from ml_assets_tests.browser import rendered
from ml_assets_tests.hostile_text import MARK, WORDS
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.served import PREDICT, ROW, Served


@pytest.mark.slow
def test_no_script_of_a_category_or_a_band_runs_in_the_docs(tmp_path: Path) -> None:
    plain = released.manifest()
    limits = [position / len(WORDS) for position in range(len(WORDS))]
    made = replace(
        plain,
        inputs=(*plain.inputs[:2], replace(plain.inputs[2], example=WORDS[0])),
        bands=tuple(Band(word, limit) for word, limit in zip(WORDS, limits, strict=True)),
        gates=(PassedGate(WORDS[1], 0.8, 0.7, WORDS[2]),),
        reason=WORDS[3],
    )
    releases = Releases.at(tmp_path)
    name = releases.save_release(made.to_json(), released.onnx())
    releases.save_routes(
        Routes(
            {released.MODEL: released.champion(released.MODEL, name, 1, time.time())},
            time.time(),
        )
    )
    with serving(tmp_path) as server:
        assert WORDS[0] in str(server.get("/openapi.json").json()), "the document holds no text of strangers"
        shown = rendered(f"{server.url}/docs", tmp_path / "profile")
    assert "opblock-summary-path" in shown, "Swagger has drawn nothing"
    assert "<title>ml_assets</title>" in shown
    assert MARK not in shown.partition("</head>")[0]


def test_a_proxy_hands_requests_on_as_they_came_and_says_nothing_that_is_believed(served: Served) -> None:
    """As docs/security.md configures it: the proxy's own Host, and headers that name another client."""
    secret = Tokens(served.settings.tokens).add("app", ["predict"], "2026-11-22")
    served.worker.services.guard.reload()
    behind = {"Host": "scores.example.org", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"}
    assert served.client.post(PREDICT, json={"instances": [ROW]}, headers=behind).status_code == 401
    known = {**behind, "Authorization": f"Bearer {secret}"}
    assert served.client.post(PREDICT, json={"instances": [ROW]}, headers=known).status_code == 200
    assert served.client.get("/ready", headers=behind).status_code == 200
