"""`ml-assets rollout`: how it stands, in lines that a person reads."""

from pathlib import Path

from ml_assets.commands.rollout import show_rollout
from ml_assets.rollouts.rollout import promote_by_hand
from ml_assets.spec.rollout import QualitySpec
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import MODEL, SPEC, Scene


def test_a_rollout_is_described_with_its_guardrails_and_who_waits(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"quality": (QualitySpec(metric="log_loss"),)})
    scene = Scene(tmp_path, Tiny(tmp_path).folder(), spec)
    assert show_rollout(scene.lake, MODEL) == "shop: no rollout yet"
    scene.started()
    scene.ask(2_000)
    scene.tick()
    scene.offer(8)
    first, second, errors, labels, waits = show_rollout(scene.lake, MODEL).splitlines()
    assert first == "shop: rollout 7-1 of version 7 beside version 6: 10% of the units"
    assert second.startswith("2026-06-01 12:15 UTC, sensor: hold: ")
    assert errors.startswith("errors: ")
    assert labels.startswith("log_loss: 0 of 1,000 rows")
    assert waits == "version 8 waits for its turn: good"
    promote_by_hand(scene.lake, scene.known, MODEL, reason="good", actor="ada", now=scene.now)
    assert "\nlate verdict, not decided: log_loss: 0 of 1,000 rows" in show_rollout(scene.lake, MODEL)
    scene.store.close()
