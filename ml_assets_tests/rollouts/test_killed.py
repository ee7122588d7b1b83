"""Whoever steps a rollout may be killed at any write: started again, it ends as if it had not been."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ml_assets.errors import TrainingError
from ml_assets.rollouts.late_verdict import QualityRow, take_late_step
from ml_assets.rollouts.late_verdict import ledger as ledger_of_quality
from ml_assets.rollouts.rollout import promote_by_hand, resume, roll_back_by_hand
from ml_assets.rollouts.turns import turn_holder
from ml_assets.spec.rollout import RolloutSpec, ShadowSpec
from ml_assets.training.release import ledger
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import MODEL, KilledError, Scene

QUICK = RolloutSpec(sample=20, bake=timedelta(minutes=1), guardrails=(), shadow=ShadowSpec(after=timedelta(days=14)))


@dataclass(frozen=True)
class End:
    """All that a life leaves behind, but for measurements."""

    steps: list[tuple[str, str, float]]
    served: dict[str, int | float]
    aliases: dict[str, int]
    champions: list[int]
    turn: str | None


def live(scene: Scene, acts: list[Callable[[Scene], object]]) -> End:
    """Each act in turn; one that is killed is begun again, and servers have somebody to ask all the time."""
    scene.answer()
    scene.offer()
    for act in acts:
        try:
            act(scene)
        except KilledError:
            assert sum(scene.registry.served.values()) == 1
            act(scene)
    champions = [row.version for row in ledger(MODEL).history(scene.lake)]
    # Who looks again may keep one more measurement.
    taken = [step for step in scene.steps if step.action != "hold"]
    steps: list[tuple[str, str, float]] = [(step.rollout, step.action, step.share) for step in taken]
    return End(steps, scene.registry.served, scene.registry.aliases, champions, turn_holder(scene.lake, MODEL))


def ask(scene: Scene) -> None:
    scene.ask(300)


def look(scene: Scene) -> None:
    scene.tick(after=timedelta(minutes=20))


def look_late(scene: Scene) -> None:
    scene.tick(after=timedelta(days=15))


def by_hand(step: Callable[..., object]) -> Callable[[Scene], object]:
    """A step of a person, who does not take it again where it stands."""

    def act(scene: Scene) -> None:
        try:
            step(scene.lake, scene.known, MODEL, reason="said ada", actor="ada", now=scene.now)
        except TrainingError:
            scene.tick()

    return act


def labels_come(scene: Scene) -> None:
    """Both versions were compared, and the new one is worse."""
    rows = (QualityRow("7-1", scene.now, "log_loss", 2_000, 600.0, 400.0, 2_000),)
    ledger_of_quality(MODEL).append(scene.lake, *rows, records={"labels": 1})


def look_at_labels(scene: Scene) -> None:
    take_late_step(scene.lake, scene.known, MODEL, horizon=timedelta(days=14), actor="asset", now=scene.now)
    scene.tick()


LIVES: dict[str, list[Callable[[Scene], object]]] = {
    "promoted": [Scene.begin, ask, look, ask, look, look, look_late],
    "rolled back": [Scene.begin, ask, by_hand(roll_back_by_hand), look],
    "taken back": [Scene.begin, by_hand(promote_by_hand), labels_come, look_at_labels, look],
    "promoted by hand": [Scene.begin, by_hand(promote_by_hand), look, look_late],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVES)
def test_a_rollout_that_is_killed_at_any_write_ends_the_same(name: str, tmp_path: Path) -> None:
    def scene(number: int | None) -> Scene:
        root = tmp_path / f"life {number}"
        root.mkdir()
        made = Scene(root, Tiny(root).folder(), QUICK)
        made.registry.fate.kill_at = number
        return made

    unharmed = scene(None)
    end, writes = live(unharmed, LIVES[name]), unharmed.registry.fate.writes
    unharmed.store.close()
    assert end.turn is None
    for number in range(1, writes):  # the first write is the offer
        killed = scene(number)
        assert live(killed, LIVES[name]) == end, f"killed before write {number}"
        killed.store.close()


def test_a_stage_that_was_begun_anew_and_killed_is_followed(scene: Scene) -> None:
    scene.started()
    scene.registry.fate.kill_at = scene.registry.fate.writes + 1
    with pytest.raises(KilledError):
        resume(scene.lake, scene.known, MODEL, reason="hash put right", actor="ada", now=scene.now)
    assert scene.registry.text
    assert scene.registry.text.experiment == "7-1/0"
    scene.tick()
    assert (scene.registry.text.experiment, scene.registry.text.salt) == ("7-1/1", "shop/7-1/1")
