"""`ml-assets rollout`: how it stands, in lines that a person reads."""

from pathlib import Path

from ml_assets.commands.rollout import describe_rollout
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import MODEL, Scene


def test_a_rollout_is_described_with_its_guardrails_and_who_waits(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Tiny(tmp_path).folder())
    assert describe_rollout(scene.lake, MODEL) == "shop: no rollout yet"
    scene.started()
    scene.ask(2_000)
    scene.tick()
    scene.offer(8)
    first, second, errors, waits = describe_rollout(scene.lake, MODEL).splitlines()
    assert first == "shop: rollout 7-1 of version 7 beside version 6: 10% of the units"
    assert second.startswith("2026-06-01 12:15 UTC, sensor: hold: ")
    assert errors.startswith("errors: ")
    assert waits == "version 8 waits for its turn: good"
    scene.store.close()
