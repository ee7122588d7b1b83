"""Documents are split by what is in them: the same document stays with its variant, as text or as a file."""

import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ml_assets.decisions.assignment import unit_point
from ml_assets.decisions.route import CHALLENGER, CHAMPION, Route, Variant
from ml_assets.events.exposures import Exposure, ShadowAnswer, VariantFailure
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets_tests.serving import papers
from ml_assets_tests.serving.served import Served

PATH = f"/models/{papers.MODEL}/predict"
SALT = "papers/7"
TEXTS = [f"Lease {number} between Apex Foods LLC and Ann Lee." for number in range(6)]


def _variant(text: str) -> str:
    return CHALLENGER if unit_point(SALT, sha256(text.encode()).hexdigest()) < 0.5 else CHAMPION


@pytest.fixture
def served(tmp_path: Path) -> Served:
    papers.release(tmp_path)
    releases = Releases.at(tmp_path)
    champion = releases.routes().models[papers.MODEL].default
    again = replace(releases.manifest(champion.release), version=2)
    challenger = VariantRelease(releases.save_release(again.to_json(), papers.onnx()), 2, time.time())
    variants = (Variant(CHAMPION, 1, 0.5), Variant(CHALLENGER, 2, 0.5))
    route = Route(papers.MODEL, SALT, variants, experiment="7-1/1", shadow=1.0)
    split = ReleasedRoute(route, {CHAMPION: champion, CHALLENGER: challenger})
    releases.save_routes(Routes({papers.MODEL: split}, time.time()))
    return Served(tmp_path, papers.MODEL)


def test_a_document_stays_with_its_variant_and_the_other_answers_it_in_shadow(served: Served) -> None:
    assert {_variant(text) for text in TEXTS} == {CHAMPION, CHALLENGER}
    with served.client as client:
        for texts in (TEXTS[:3], TEXTS[3:], TEXTS[:1]):
            answers = client.post(PATH, json={"documents": [{"text": text} for text in texts]}).json()["predictions"]
            assert [answer["variant"] for answer in answers] == [_variant(text) for text in texts]
            assert [answer["predicted"] for answer in answers] == ["lease"] * len(texts)
        until = time.monotonic() + 20
        while len(served.events(ShadowAnswer)) < len(TEXTS) and time.monotonic() < until:
            time.sleep(0.05)
    exposures = {each.entity: each.variant for each in served.events(Exposure)}
    assert exposures == {sha256(text.encode()).hexdigest(): _variant(text) for text in TEXTS}
    shadows = {each.entity: each for each in served.events(ShadowAnswer)}
    assert {name: each.variant for name, each in shadows.items()} == {
        name: CHAMPION if variant == CHALLENGER else CHALLENGER for name, variant in exposures.items()
    }
    assert all((each.agrees, each.predicted, each.error) == (1, "lease", None) for each in shadows.values())
    assert served.events(VariantFailure) == []


@pytest.mark.slow
def test_a_file_is_the_unit_of_its_content(served: Served) -> None:
    head = {"content-type": "text/plain; charset=utf-8"}
    with served.client as client:
        for text in TEXTS[:3]:
            (answer,) = client.post(PATH, content=text.encode(), headers=head).json()["predictions"]
            assert answer["variant"] == _variant(text)
    assert {each.entity for each in served.events(Exposure)} == {
        sha256(text.encode()).hexdigest() for text in TEXTS[:3]
    }
