"""A simulated challenger is a version like any other: registered, gated, released, offered."""

from datetime import datetime
from pathlib import Path

import pytest

from ml_assets.commands.simulation.release import TAG, offer_challenger
from ml_assets.errors import TrainingError
from ml_assets.rollouts.offers import next_offer
from ml_assets.storage.manifest import Manifest
from ml_assets.training.dataset import build
from ml_assets.training.publish import manifest
from ml_assets.training.release import release
from ml_assets.training.report import report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, Tiny

pytestmark = pytest.mark.slow  # trains over a real MLflow
NOW = datetime(2025, 6, 1)  # noqa: DTZ001 - the lake's times are naive UTC


def test_it_is_released_beside_the_champion_and_waits_for_its_rollout(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    lake, registry, folder = tiny.lake, tiny.registry, tiny.folder()
    with pytest.raises(TrainingError, match="shop has no champion to make a challenger of: `ml-assets run shop` first"):
        offer_challenger(lake, registry, folder, "same", now=NOW)
    version = train(lake, registry, folder, build(lake, folder, AS_OF), tags={}).version
    judged = report(lake, registry, folder, version)
    content = manifest(lake, registry, folder, judged)
    release(lake, registry, version, judged.verdict, manifest=content, as_of=AS_OF, decided_at=NOW)

    challenger = offer_challenger(lake, registry, folder, "missing", now=NOW)

    champion, waiting = registry.champion("shop"), next_offer(lake, "shop")
    assert champion is not None
    assert champion.number == 1
    assert challenger.version.number == 2
    assert challenger.version.tags[TAG] == "missing"
    assert challenger.leading in {"orders", "mean_amount", "days_since", "kind"}
    assert registry.onnx(challenger.version) != registry.onnx(champion)
    released = Manifest.from_json(registry.manifest(challenger.version))
    assert (released.version, released.inputs) == (2, Manifest.from_json(content).inputs)
    assert {round(each.missing or 0, 4) for each in released.inputs} == {0.0241}  # customers without an order
    assert waiting is not None
    assert (waiting.version, waiting.actor, waiting.reason) == (2, "simulation", "a simulated challenger: missing")
