"""Once labels are known a promotion is confirmed or taken back, by what both versions said of the same rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import numpy as np
import pytest

from ml_assets.decisions.route import CHAMPION, PREVIOUS
from ml_assets.events.exposures import ShadowAnswer
from ml_assets.events.rows import Event, Prediction, outcome, prediction_id
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.late_verdict import compare_quality, ledger, read_losses, take_late_step
from ml_assets.rollouts.ledger import RolloutStep
from ml_assets.rollouts.paired_losses import compare_losses
from ml_assets.rollouts.plot import figure
from ml_assets.rollouts.report import describe_rollout, late_sentence, read_report
from ml_assets.rollouts.rollout import promote_by_hand
from ml_assets.spec.rollout import QualitySpec
from ml_assets.training.release import history
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny
from ml_assets_tests.rollouts.scene import DAY, MODEL, SPEC, Scene

HORIZON = timedelta(days=14)
QUALITY = (QualitySpec(metric="log_loss"), QualitySpec(metric="brier"))


@pytest.fixture
def scene(tiny: Tiny) -> Iterator[Scene]:
    made = Scene(tiny.root, tiny.folder(), SPEC.model_copy(update={"quality": QUALITY}))
    yield made
    made.store.close()


def promoted(scene: Scene) -> RolloutStep:
    scene.started()
    return promote_by_hand(scene.lake, scene.known, MODEL, reason="good", actor="ada", now=scene.now)


def answer(scene: Scene, kind: Literal["same", "worse"], rows: int = 3_000, *, told: float = 1.0) -> None:
    """The new champion answers, the previous one in shadow, and of a share of the rows the truth comes later."""
    step, rng, written = scene.steps[-1], np.random.default_rng(3), list[Event]()
    truth = rng.beta(2, 5, rows)
    new = rng.permutation(truth) if kind == "worse" else np.clip(truth + rng.normal(0, 0.01, rows), 0.001, 0.999)
    y, at = rng.random(rows) < truth, scene.micros(scene.now)
    for n in range(rows):
        name, unit = prediction_id(MODEL, at * 1000 + n * 1000), f"v{n}"
        written += [
            Prediction(name, MODEL, "7", CHAMPION, unit, None, float(new[n]), "no", "{}", None, None, at, 900),
            ShadowAnswer(
                name, MODEL, step.experiment, unit, PREVIOUS, "6", float(truth[n]), "no", None, 1, 9, None, at + n
            ),
        ]
        if n < told * rows:
            written.append(outcome(name, "label", bool(y[n]), observed_at=at + 1, received_at=at + 2))
    scene.write(*written)
    take(scene.lake, scene.store, MODEL, DAY)


def judge(scene: Scene, after: timedelta = timedelta(days=1)) -> RolloutStep | None:
    """What the asset does."""
    scene.now += after
    compare_quality(scene.lake, scene.known, scene.folder, now=scene.now)
    return take_late_step(scene.lake, scene.known, MODEL, horizon=HORIZON, actor="asset", now=scene.now)


def test_a_promotion_that_is_worse_when_labels_come_is_taken_back(scene: Scene) -> None:
    promoted(scene)
    answer(scene, "worse")
    step = judge(scene)
    assert step
    assert (step.action, step.challenger, step.share) == ("roll_back", 7, 0.0)
    assert "log_loss: a loss of +" in step.reason
    assert "on 3,000 rows with a label against the champion; evidently worse" in step.reason
    assert scene.registry.served == {"champion 6": 1.0}
    decisions = [(row["version"], row["decision"]) for row in history(scene.lake, MODEL)]
    assert decisions == [(7, "promoted"), (6, "rolled back")]
    report = read_report(scene.lake, MODEL)
    assert report
    assert [each.name for each in report.results] == ["log_loss", "brier"]
    assert figure("shop", report.points())
    scene.tick()
    assert len(history(scene.lake, MODEL)) == 2, "it is taken back once"
    assert scene.registry.aliases[CHAMPION] == 6
    assert judge(scene) is None


def test_a_promotion_that_is_as_good_when_labels_come_is_confirmed(scene: Scene) -> None:
    promoted(scene)
    answer(scene, "same", 6_000)
    step = judge(scene)
    assert step
    assert step.action == "confirm"
    assert "proven to be at most 0.01 worse" in step.reason
    assert scene.registry.served == {"champion 7": 1.0}, "nobody answers in shadow any more"
    assert scene.registry.aliases == {CHAMPION: 7, PREVIOUS: 6}


def test_outcomes_that_came_early_are_waited_with(scene: Scene) -> None:
    """Who cancels is known at once, who stays only when the horizon has passed."""
    promoted(scene)
    answer(scene, "worse", told=0.5)
    assert judge(scene) is None
    assert read_losses(scene.lake, MODEL, "7-1") == {}


def test_labels_that_never_come_leave_it_unknown(scene: Scene) -> None:
    promoted(scene)
    assert judge(scene) is None
    step = judge(scene, timedelta(days=30))
    assert step
    assert step.action == "close"
    assert step.reason.startswith("not known, and no more labels will come: log_loss: 0 of 1,000 rows")
    assert scene.registry.aliases[CHAMPION] == 7


def test_a_champion_that_was_moved_since_is_left_alone(scene: Scene) -> None:
    promoted(scene)
    answer(scene, "worse")
    scene.registry.aliases[CHAMPION] = 8
    step = judge(scene)
    assert step
    assert step.action == "close"
    assert step.reason.startswith("another version is the champion since; log_loss")
    assert scene.registry.aliases[CHAMPION] == 8


def test_a_limit_of_nothing_judges_nothing(scene: Scene) -> None:
    scene.spec = SPEC
    promoted(scene)
    answer(scene, "worse")
    assert judge(scene, timedelta(days=90)) is None


def test_labels_that_come_quickly_count_while_the_challenger_is_on_its_way(scene: Scene) -> None:
    scene.started()
    answer(scene, "worse")
    compare_quality(scene.lake, scene.known, scene.folder, now=scene.now)
    step = scene.tick()
    assert step
    assert step.action == "roll_back"
    assert step.reason.startswith("log_loss: a loss of +")
    assert scene.registry.served == {"champion 6": 1.0}


def test_versions_are_compared_once_an_hour(scene: Scene) -> None:
    promoted(scene)
    answer(scene, "same")
    for _ in range(3):
        compare_quality(scene.lake, scene.known, scene.folder, now=scene.now)
    assert len(ledger(MODEL).history(scene.lake)) == len(QUALITY)
    compare_quality(scene.lake, scene.known, scene.folder, now=scene.now + timedelta(hours=1))
    assert len(ledger(MODEL).history(scene.lake)) == 2 * len(QUALITY)


def test_the_labels_of_the_folder_are_the_truth_of_answers_without_an_outcome(scene: Scene) -> None:
    """Both said 0.5 of all and are compared on the mature dates alone."""
    step, at, rows = promoted(scene), scene.micros(scene.now), list[Event]()
    mature, young = FIRST + timedelta(weeks=6), AS_OF
    for n, day in enumerate([mature] * 60 + [young] * 60):
        name, unit = prediction_id(MODEL, at * 1000 + n * 1000), str(n % 60)
        rows += [
            Prediction(name, MODEL, "7", CHAMPION, unit, str(day), 0.5, "no", "{}", None, None, at, 900),
            ShadowAnswer(
                name, MODEL, step.experiment, f"{unit} {day}", PREVIOUS, "6", 0.25, "no", None, 1, 9, None, at
            ),
        ]
    scene.write(*rows)
    take(scene.lake, scene.store, MODEL, AS_OF)
    losses = compare_losses(scene.lake, scene.known, scene.folder, step, AS_OF)["brier"].differences
    labels = scene.lake.query(
        "SELECT label FROM l WHERE as_of = $day AND customer < 60", {"day": mature}, l=scene.folder.labels.kept
    )["label"].to_pylist()
    assert losses.units == len(labels) > 20
    assert losses.total == pytest.approx(sum((0.5 - y) ** 2 - (0.25 - y) ** 2 for y in labels))


def test_a_unit_counts_once_whoever_answered_it(scene: Scene) -> None:
    step, at = promoted(scene), scene.micros(scene.now)
    first, second = (prediction_id(MODEL, at * 1000 + n * 1000) for n in range(2))
    answered = Prediction(first, MODEL, "7", CHAMPION, "u", None, 0.9, "no", "{}", None, None, at, 900)
    shadowed = ShadowAnswer(first, MODEL, step.experiment, "u", PREVIOUS, "6", 0.5, "no", None, 1, 9, None, at)
    scene.write(
        answered, shadowed, outcome(first, "label", 1, observed_at=at, received_at=at),
        answered._replace(prediction_id=second, version="6", requested_at=at + 9),
        shadowed._replace(prediction_id=second, version="7", answered_at=at + 9),
        outcome(second, "label", 0, observed_at=at, received_at=at),
    )  # fmt: skip
    take(scene.lake, scene.store, MODEL, DAY)
    (log_loss, _) = compare_losses(scene.lake, scene.known, scene.folder, step, AS_OF).values()
    assert log_loss.differences.units == 1
    assert log_loss.differences.total == pytest.approx(np.log(0.5) - np.log(0.9))


def test_an_outcome_of_another_answer_of_the_same_date_is_the_truth_of_the_one_that_was_shadowed(scene: Scene) -> None:
    """Who reports what became of a customer names the first answer; that of another date says nothing."""
    step, at, rows = promoted(scene), scene.micros(scene.now), list[Event]()
    day, other = str(AS_OF), str(FIRST)

    def answer_at(entity: str | None, as_of: str | None, label: int | None = None, *, shadowed: bool = False) -> None:
        name = prediction_id(MODEL, (at + len(rows)) * 1000)
        rows.append(Prediction(name, MODEL, "7", CHAMPION, entity, as_of, 0.9, "no", "{}", None, None, at, 900))
        unit = entity or name
        if shadowed:
            rows.append(
                ShadowAnswer(name, MODEL, step.experiment, unit, PREVIOUS, "6", 0.5, "no", None, 1, 9, None, at)
            )
        if label is not None:
            rows.append(outcome(name, "label", label, observed_at=at + len(rows), received_at=at + len(rows)))

    answer_at("told", day, 0)
    answer_at("told", other, 0)
    answer_at("told", day, shadowed=True)
    answer_at("told", day, 1)  # a correction, observed last
    answer_at("told elsewhere", other, 0)
    answer_at("told elsewhere", day, shadowed=True)
    answer_at(None, day, 0)
    answer_at(None, day, 1, shadowed=True)
    for n in range(20):
        answer_at(f"u{n}", day, 1, shadowed=True)
    scene.write(*rows)
    take(scene.lake, scene.store, MODEL, DAY)
    (log_loss, _) = compare_losses(scene.lake, scene.known, scene.folder, step, AS_OF).values()
    assert log_loss.differences.units == 22
    assert log_loss.differences.total == pytest.approx(22 * (np.log(0.5) - np.log(0.9)))


def test_only_what_has_a_limit_is_compared(scene: Scene) -> None:
    step = promoted(scene)
    answer(scene, "same", 50)
    wanted = SPEC.model_copy(update={"quality": (QualitySpec(metric="brier"),)})
    only = compare_losses(scene.lake, scene.known, scene.folder, replace(step, policy=wanted.model_dump_json()), AS_OF)
    assert list(only) == ["brier"]


def test_what_labels_say_of_a_promotion_is_a_sentence(scene: Scene) -> None:
    assert late_sentence(scene.lake, MODEL) is None
    scene.started()
    assert late_sentence(scene.lake, MODEL) is None
    promote_by_hand(scene.lake, scene.known, MODEL, reason="good", actor="ada", now=scene.now)
    assert str(late_sentence(scene.lake, MODEL)).startswith("not decided: log_loss: 0 of 1,000 rows")
    assert "\nlate verdict, not decided: log_loss" in str(describe_rollout(scene.lake, MODEL))
    answer(scene, "same", 6_000)
    judge(scene)
    assert str(late_sentence(scene.lake, MODEL)).startswith("confirm: log_loss: a loss of ")
