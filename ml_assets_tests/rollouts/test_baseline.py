"""What the limits of a rollout are made of is counted in the lake and the event store together, and frozen."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.decisions.route import CHAMPION
from ml_assets.events.rows import Prediction, Traffic
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.baseline import RolloutBaseline, measure_champion
from ml_assets.rollouts.begin import begin
from ml_assets.rollouts.disagreement import expected_disagreement
from ml_assets.spec.rollout import QualitySpec, RolloutSpec
from ml_assets.storage.registry import Version
from ml_assets.training.dataset import build
from ml_assets.training.publish import manifest
from ml_assets.training.release import release
from ml_assets.training.report import report
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, Tiny, habits
from ml_assets_tests.rollouts.scene import DAY, MODEL, START, Scene, version


def measured(scene: Scene, unit: str = "entity") -> RolloutBaseline:
    return measure_champion(scene.lake, scene.known, scene.store, version(6), unit=unit, now=scene.now)


def test_rows_that_the_lake_has_and_rows_that_wait_are_counted_once(scene: Scene) -> None:
    scene.answer(200, errors=4)
    waiting = measured(scene)
    assert waiting.answers == 200
    assert waiting.error_rate == pytest.approx(4 / 201)
    assert waiting.missing_rate == pytest.approx(15 / 151), (
        "of 150 units those whose number ends with 0; others lack what many lack"
    )
    assert waiting.latency == pytest.approx((1_497.5, 1_945.25, 1_985.05))
    assert measured(scene, "request").missing_rate == pytest.approx(20 / 201)
    take(scene.lake, scene.store, MODEL, DAY)
    assert measured(scene) == waiting
    scene.write(Traffic(MODEL, "w2", scene.micros(scene.now), scene.micros(scene.now) + 1, 100, 0, 8, "[]"))
    assert measured(scene).error_rate == pytest.approx(12 / 301)


def test_answers_of_others_and_of_before_are_left_out(scene: Scene) -> None:
    scene.answer(200)
    before = measured(scene)
    old, now = scene.micros(scene.now - timedelta(days=8)), scene.micros(scene.now)
    answer = Prediction("x1", MODEL, "6", CHAMPION, "c", None, 0.5, "no", "{}", None, None, old, 9_000_000)
    scene.write(
        answer,
        answer._replace(prediction_id="x2", requested_at=now, version="5"),
        answer._replace(prediction_id="x3", requested_at=now, variant="challenger"),
        answer._replace(prediction_id="x4", requested_at=now, model="other"),
        Traffic(MODEL, "w1", old, old + 1, 1_000, 0, 900, "[]"),
        Traffic(MODEL, "w1", now, now + 1, 1_000, 0, 900, "[]", "challenger"),
    )
    assert measured(scene) == before


def test_of_no_event_a_rate_above_0_is_made(scene: Scene) -> None:
    scene.answer(200)
    assert measured(scene).error_rate == pytest.approx(0.5 / 201)
    assert measured(replace(scene, root=scene.root / "empty")).answers == 0
    kept = measured(scene)
    assert RolloutBaseline.from_json(kept.to_json()) == kept


def test_a_champion_of_a_minute_is_not_taken_for_one_that_always_fails(scene: Scene) -> None:
    """Servers count requests by the minute: with 200 answers and no request counted, half of nothing was an error."""
    at = scene.micros(scene.now)
    answers = [Prediction(f"a{n}", MODEL, "6", CHAMPION, f"c{n}", None, 0.5, "no", "{}", None, None, at, 900)
               for n in range(200)]  # fmt: skip
    scene.write(*answers)
    assert measured(scene).error_rate == pytest.approx(0.5 / 201)


def test_a_stage_waits_for_no_more_units_than_the_entities_that_are_known_can_give(scene: Scene) -> None:
    scene.lake.append(f"{MODEL}/predictions", pa.table({"as_of": [DAY - timedelta(weeks=1)] + [DAY] * 3_000}))
    scene.spec = scene.spec.model_copy(update={"sample": 1_000, "quality": (QualitySpec(metric="log_loss"),)})
    step = scene.started()
    assert (
        "log_loss cannot be judged by labels: a shadow.share of 0.1 of 3,000 entities gives about 300 " in step.reason
    )
    scene.ask(1_000)
    held = scene.tick()
    assert held
    assert (
        " of 240 units seen by the challenger (10 % of 3,000 entities are 300, too few for a sample of 1,000)"
        in held.reason
    )
    scene.ask(2_000)
    advanced = scene.tick(after=timedelta(hours=1))
    assert advanced
    assert advanced.action == "advance"
    assert "units in 1 h 15 min at a share of 10 % (10 % of 3,000 entities are 300, " in advanced.reason


def ship(shop: Tiny, number: int) -> Version:
    """A version that was trained, evaluated and released."""
    folder = shop.folder()
    version = train(
        shop.lake, shop.registry, folder, build(shop.lake, folder, AS_OF + timedelta(weeks=number)), tags={}
    )
    done = report(shop.lake, shop.registry, folder, version.version)
    content = manifest(shop.lake, shop.registry, folder, done)
    release(
        shop.lake, shop.registry, version.version, done.verdict, manifest=content, as_of=AS_OF, decided_at=START,
    )  # fmt: skip
    return shop.registry.version("shop", version.version.number)


@pytest.mark.slow
def test_the_expected_disagreement_is_that_of_the_test_rows(tiny: Tiny, empty_registry: Path) -> None:
    tiny.take_registry(empty_registry)
    tiny.deliver("orders", habits(range(14, 30), seed=1))
    first, second = ship(tiny, 0), ship(tiny, 1)
    folder = tiny.folder()
    assert expected_disagreement(tiny.lake, tiny.registry, folder, first, first) == 0
    share = expected_disagreement(tiny.lake, tiny.registry, folder, first, second)
    assert 0 < share < 0.5
    assert share == expected_disagreement(tiny.lake, tiny.registry, folder, first, second)


def test_a_rollout_whose_limits_cannot_be_made_waits_and_says_why(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Tiny(tmp_path).folder(), RolloutSpec())
    scene.answer()
    scene.offer()
    beginning = begin(scene.lake, scene.known, scene.store, scene.folder, scene.spec, actor="sensor", now=scene.now)
    assert beginning.step is None
    assert beginning.reason.startswith("version 7 waits: shop version 7 has no training.json")
    scene.store.close()
