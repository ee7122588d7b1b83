"""A rollout over a real registry: what its routes say at each step is what servers follow."""

from pathlib import Path

import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS, Variant
from ml_assets.rollouts.apply import apply_step
from ml_assets.rollouts.by_hand import go_back
from ml_assets.rollouts.offers import offer_version
from ml_assets.rollouts.rollout import begin, promote_by_hand, resume
from ml_assets.storage.registry import Registry
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import DAY, MODEL, START, Scene
from ml_assets_tests.serving.released import manifest, onnx
from ml_assets_tests.storage.test_registry import trained

pytestmark = pytest.mark.slow  # MLflow takes seconds to import


@pytest.fixture
def registry(tmp_path: Path, empty_registry: Path) -> Registry:
    """A model with seven versions, of which 6 is the champion."""
    shop = Tiny(tmp_path)
    shop.take_registry(empty_registry)
    for number in range(1, 8):
        version = trained(shop.registry, onnx(), MODEL, f"r{number}")
        if number > 5:
            shop.registry.publish(version, manifest(number, model=MODEL).to_json())
    shop.registry.promote(shop.registry.version(MODEL, 6))
    return shop.registry


def served(registry: Registry) -> tuple[Variant, ...]:
    """The variants that servers are told of, all of which they can load."""
    registered = registry.routes()[MODEL]
    assert registered.versions.keys() == {variant.name for variant in registered.route.variants}
    return registered.route.variants


def alias(registry: Registry, name: str) -> int | None:
    version = registry.versions_of_alias(name).get(MODEL)
    return None if version is None else version.number


def test_every_step_is_a_route_and_an_alias_of_the_registry(registry: Registry, tmp_path: Path) -> None:
    scene = Scene(tmp_path, Tiny(tmp_path).folder())
    scene.answer()
    lake, store, spec = scene.lake, scene.store, scene.spec
    offer_version(lake, registry.version(MODEL, 7), as_of=DAY, at=START, actor="ada", reason="good", gated=False)
    assert begin(lake, registry, store, scene.folder, spec, actor="asset", now=START).step
    assert served(registry) == (Variant(CHAMPION, 6, 0.9), Variant(CHALLENGER, 7, 0.1))
    assert (alias(registry, CHAMPION), alias(registry, CHALLENGER)) == (6, 7)
    again = resume(lake, registry, MODEL, reason="hash put right", actor="ada", now=START)
    assert registry.routes()[MODEL].route.salt == again.salt
    promote_by_hand(lake, registry, MODEL, reason="good", actor="ada", now=START)
    assert served(registry) == (Variant(CHAMPION, 7, 1.0), Variant(PREVIOUS, 6, 0.0))
    assert (alias(registry, CHALLENGER), alias(registry, PREVIOUS)) == (None, 6)
    sentence = go_back(lake, registry, MODEL, to=6, reason="it is wrong", actor="ada", now=START)
    assert "rolled back, it is wrong" in sentence
    assert served(registry) == (Variant(CHAMPION, 6, 1.0),)
    apply_step(lake, registry, MODEL, now=START)
    assert (alias(registry, CHAMPION), registry.route(MODEL)) == (6, None)
    store.close()
