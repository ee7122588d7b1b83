"""Going back by hand: what was changed last is taken back."""

from datetime import timedelta

import pytest

from ml_assets.decisions.route import CHAMPION, PREVIOUS
from ml_assets.errors import TrainingError
from ml_assets.rollouts.by_hand import go_back
from ml_assets.rollouts.rollout import promote_by_hand
from ml_assets.training.release import history
from ml_assets_tests.rollouts.scene import MODEL, KilledError, Scene


def back(scene: Scene, to: int | None = None) -> str:
    scene.now += timedelta(minutes=1)
    return go_back(scene.lake, scene.known, MODEL, to=to, reason="it is wrong", actor="ada", now=scene.now)


def test_a_rollout_that_is_running_ends_and_its_champion_stays(scene: Scene) -> None:
    scene.started()
    assert back(scene).startswith("rollout 7-1 of version 7 is ended; version 6")
    last = scene.steps[-1]
    assert (last.action, last.actor, last.reason) == ("roll_back", "ada", "it is wrong")
    assert scene.registry.served == {"champion 6": 1.0}


def test_a_named_version_answers_after_the_rollout_has_ended(scene: Scene) -> None:
    scene.started()
    assert "version 5 since" in back(scene, 5)
    assert scene.actions == ["start", "roll_back"]
    assert scene.registry.served == {"champion 5": 1.0}


def test_after_a_promotion_the_previous_champion_answers_again_and_stays(scene: Scene) -> None:
    scene.started()
    promote_by_hand(scene.lake, scene.known, MODEL, reason="it is better", actor="ada", now=scene.now)
    assert scene.registry.aliases == {CHAMPION: 7, PREVIOUS: 6}
    with pytest.raises(TrainingError, match="no champion before version 7"):
        back(scene)  # the ledger of this scene begins with version 7
    assert back(scene, 6).startswith("version 6 since")
    assert scene.registry.served == {"champion 6": 1.0}
    scene.tick()
    assert scene.registry.aliases == {CHAMPION: 6}, "a promotion that was taken back is not applied again"
    assert [row["decision"] for row in history(scene.lake, MODEL)] == ["promoted", "rolled back"]


def test_a_promotion_that_was_killed_is_finished_before_anything_is_taken_back(scene: Scene) -> None:
    scene.started()
    scene.registry.fate.kill_at = scene.registry.fate.writes + 1
    with pytest.raises(KilledError):
        promote_by_hand(scene.lake, scene.known, MODEL, reason="it is better", actor="ada", now=scene.now)
    assert scene.registry.aliases[CHAMPION] == 6
    assert back(scene, 6).startswith("version 6 since")
    assert [row["version"] for row in history(scene.lake, MODEL)] == [7, 6]
