"""A challenger earns its traffic in stages, and what is measured of it decides each of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS, Route, Variant
from ml_assets.errors import TrainingError
from ml_assets.events.counts import count_traffic
from ml_assets.events.rows import Traffic
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets.rollouts.ledger import counted_stages, running_stages
from ml_assets.rollouts.measurement import find_tally
from ml_assets.rollouts.rollout import promote_by_hand, resume, roll_back_by_hand
from ml_assets.rollouts.turns import TurnTakenError, end_turn, take_turn
from ml_assets.training.release import history
from ml_assets_tests.rollouts.scene import MODEL, SPEC, START, Scene


def test_a_good_challenger_becomes_the_champion_in_stages(scene: Scene) -> None:
    first = scene.started()
    assert (first.rollout, first.share, first.control, first.challenger) == ("7-1", 0.1, 6, 7)
    assert scene.registry.served == {"champion 6": 0.9, "challenger 7": 0.1}
    scene.ask(12_000)
    scene.tick(after=timedelta(minutes=40))
    second = scene.tick(after=timedelta(minutes=40))
    assert second
    assert (second.action, second.share, second.experiment) == ("advance", 0.5, "7-1/2")
    scene.ask(12_000)
    scene.tick(after=timedelta(minutes=40))
    promoted = scene.tick(after=timedelta(minutes=40))
    assert promoted
    assert promoted.action == "promote"
    assert scene.registry.served == {"champion 7": 1.0, "previous 6": 0.0}
    assert scene.registry.aliases == {CHAMPION: 7, PREVIOUS: 6}
    (row,) = history(scene.lake, MODEL)
    assert (row["version"], row["previous"], row["decision"]) == (7, 6, "promoted")
    scene.tick(after=timedelta(days=15))
    assert scene.registry.served == {"champion 7": 1.0}
    assert scene.actions == ["start", "hold", "advance", "hold", "promote"]


def test_a_failing_challenger_is_rolled_back(scene: Scene) -> None:
    scene.started()
    scene.ask(3_000, challenger=0.3)
    step = scene.tick()
    assert step
    assert step.action == "roll_back"
    assert "units are the challenger's" in step.reason
    assert scene.registry.served == {"champion 6": 1.0}
    assert scene.registry.aliases == {CHAMPION: 6}
    assert scene.tick() == step, "its end is applied again, and nothing else happens"


def test_without_traffic_a_stage_is_held(scene: Scene) -> None:
    scene.started()
    step = scene.tick(after=timedelta(minutes=30))
    assert step
    assert (step.action, step.share) == ("hold", 0.1)
    assert "0 of 1,000 units seen by the challenger" in step.reason


def test_a_challenger_that_no_server_can_ask_is_rolled_back(scene: Scene) -> None:
    scene.started()
    scene.now += timedelta(minutes=5)
    at = scene.micros(scene.now)
    scene.write(Traffic(MODEL, "w2", at, at + 1, 250, 0, 0, "[]"))
    held = scene.tick(after=timedelta(minutes=40))
    assert held
    assert held.action == "hold"
    step = scene.tick(after=timedelta(minutes=40))
    assert step
    assert step.action == "roll_back"
    assert step.reason.startswith("no server can ask it: in 1 h 25 min the champion has answered 250 requests")


def test_a_rollout_waits_until_the_champion_has_answered(scene: Scene) -> None:
    scene.answer(99)
    scene.offer()
    beginning = scene.begin()
    assert beginning.step is None
    assert "has answered 99 of the 100 times" in beginning.reason
    scene.answer()
    assert scene.begin().step


def test_the_newest_candidate_is_next_and_none_replaces_a_running_one(scene: Scene) -> None:
    scene.started()
    scene.offer(5)
    scene.offer(8)
    assert scene.begin().reason.startswith("rollout 7-1 is running")
    scene.ask(3_000, challenger=0.3)
    scene.tick()
    beginning = scene.begin()
    assert beginning.step
    assert beginning.step.challenger == 8
    roll_back_by_hand(scene.lake, scene.known, MODEL, reason="no", actor="ada", now=scene.now)
    assert scene.begin().reason == "no candidate waits for its rollout"


def test_a_rollout_waits_for_an_experiment(scene: Scene) -> None:
    scene.answer()
    scene.offer()
    take_turn(scene.lake, MODEL, "experiment price", START)
    assert scene.begin().reason.startswith(
        "version 7 waits: shop: rollout 7-1 cannot begin while experiment price runs"
    )
    end_turn(scene.lake, MODEL, "experiment price", START)
    assert scene.begin().step
    with pytest.raises(TurnTakenError, match="experiment price cannot begin while rollout 7-1 runs"):
        take_turn(scene.lake, MODEL, "experiment price", START)
    roll_back_by_hand(scene.lake, scene.known, MODEL, reason="no", actor="ada", now=scene.now)
    take_turn(scene.lake, MODEL, "experiment price", START)


def test_the_shadow_after_a_promotion_leaves_the_route_of_an_experiment_alone(scene: Scene) -> None:
    scene.started()
    promote_by_hand(scene.lake, scene.known, MODEL, reason="it repairs it", actor="ada", now=scene.now)
    shadow = scene.registry.text
    assert shadow
    scene.registry.text = Route(MODEL, "s", (Variant(CHAMPION, 7, 0.5), Variant("b", 5, 0.5)), experiment="price")
    scene.tick()
    assert scene.registry.text.experiment == "price"
    scene.registry.text = None
    scene.tick()
    assert scene.registry.text == shadow


def test_a_lease_is_renewed_while_somebody_watches(scene: Scene) -> None:
    scene.started()
    first = scene.registry.text
    assert first
    scene.tick(after=timedelta(minutes=5))
    assert scene.registry.text == first
    scene.tick(after=timedelta(minutes=20))
    assert scene.registry.text == replace(first, until=(first.until or 0) + 25 * 60)


def test_a_stage_begins_anew_after_nobody_watched(scene: Scene) -> None:
    scene.started()
    scene.ask(2_000, challenger=0.05)
    step = scene.tick(after=timedelta(hours=5))
    assert step
    assert (step.action, step.experiment) == ("restart", "7-1/1")
    assert step.reason == "nobody watched from 2026-06-01 13:00 to 2026-06-01 17:00 UTC: the stage begins anew"
    assert step.salt == "shop/7-1", "units keep their variant"
    measurement = scene.measure()
    assert measurement
    assert [stage.experiment for stage in measurement.stages] == ["7-1/1"]
    assert measurement.counts[0].exposed == {}


def test_a_stage_begins_anew_in_another_event_store(scene: Scene) -> None:
    first = scene.started()
    scene.store.close()
    for file in scene.root.glob("events.db*"):
        file.unlink()
    scene.store = EventStore(f"sqlite:///{scene.root}/events.db")
    step = scene.tick()
    assert step
    assert (step.action, step.store != first.store) == ("restart", True)
    assert step.reason.startswith("the event store is another one")
    again = scene.tick()
    assert again
    assert again.action == "hold"


def test_a_rollout_is_closed_where_somebody_moved_the_champion(scene: Scene) -> None:
    scene.started()
    scene.registry.aliases[CHAMPION] = 5
    step = scene.tick()
    assert step
    assert step.action == "close"
    assert step.reason.startswith("version 5 is the champion, not version 6")
    assert scene.registry.served == {"champion 5": 1.0}


def test_steps_follow_each_other_whatever_the_clocks_say(scene: Scene) -> None:
    scene.started()
    scene.now = START - timedelta(hours=2)
    scene.tick()
    scene.tick()
    moments = [step.at for step in scene.steps]
    assert moments == sorted(set(moments))
    assert [step.step for step in scene.steps] == [0, 1, 2]


def test_a_stage_whose_counts_were_not_believed_is_never_believed_again(scene: Scene) -> None:
    scene.started()
    assert scene.registry.text
    scene.registry.text = replace(scene.registry.text, salt="another")  # servers assign by another salt than they did
    scene.ask(3_000)
    scene.registry.text = replace(
        scene.registry.text, variants=(Variant(CHAMPION, 6, 1.0), Variant(CHALLENGER, 7, 0.0))
    )
    scene.ask(3_000)
    step = scene.tick()
    assert step
    assert (step.action, step.share) == ("error", 0.1)
    assert step.reason.startswith("sample-ratio mismatch: ")
    again = scene.tick()
    assert again
    assert again.action == "error"
    assert again.reason.endswith("`ml-assets rollout shop resume --reason …` begins the stage anew")
    assert again.reason.count("sample-ratio") == 1
    resume(scene.lake, scene.known, MODEL, reason="hash put right", actor="ada", now=scene.now)
    scene.ask(3_000)
    held = scene.tick()
    assert held
    assert held.action == "hold"


def test_people_end_promote_and_resume(scene: Scene) -> None:
    scene.started()
    with pytest.raises(TrainingError, match="a reason is needed"):
        resume(scene.lake, scene.known, MODEL, reason=" ", actor="ada", now=scene.now)
    again = resume(scene.lake, scene.known, MODEL, reason="hash put right", actor="ada", now=scene.now)
    assert (again.action, again.salt, again.experiment) == ("restart", "shop/7-1/1", "7-1/1")
    assert scene.registry.text
    assert scene.registry.text.salt == again.salt
    promoted = promote_by_hand(scene.lake, scene.known, MODEL, reason="it repairs it", actor="ada", now=scene.now)
    assert (promoted.actor, scene.registry.aliases[CHAMPION]) == ("ada", 7)
    with pytest.raises(TrainingError, match="no rollout is running"):
        roll_back_by_hand(scene.lake, scene.known, MODEL, reason="late", actor="ada", now=scene.now)
    assert CHALLENGER not in scene.registry.aliases


def test_a_look_counts_on_from_the_last_one_and_finds_what_counting_all_finds(scene: Scene) -> None:
    """Through a stage, its successor, one that was begun anew by hand and is held for longer than rows are kept."""
    scene.spec = SPEC.model_copy(update={"sample": 100, "bake": timedelta(minutes=100)})
    scene.started()
    seen = set[str]()
    for turn in range(12):
        scene.ask(400, disagree=0.1)
        scene.asked -= 150  # some of them come back, in the next stage, too
        if turn == 8:
            resume(scene.lake, scene.known, MODEL, reason="put right", actor="ada", now=scene.now)
        step = scene.tick(after=timedelta(minutes=20))
        assert step
        stages = counted_stages(scene.steps)
        kept = find_tally(scene.steps, step.store, [stage.experiment for stage in stages])
        counted = scene.measure()
        assert kept is not None
        assert counted is not None
        assert counted.counts == count_traffic(scene.store, MODEL, running_stages(scene.lake, MODEL))
        seen.add(step.experiment)
    assert len(seen) == 3
    for kind in EVENTS:
        scene.store.mark_exported(kind, MODEL, scene.store.last(kind))
    scene.store.retain(MODEL, scene.micros(scene.now + timedelta(days=40)), spared=running_stages(scene.lake, MODEL))
    held = scene.measure()
    assert held is not None
    assert counted is not None
    assert held.counts == counted.counts


def test_what_was_counted_in_another_store_is_not_gone_on_from(scene: Scene) -> None:
    step = scene.started()
    scene.ask(500)
    scene.tick()
    assert find_tally(scene.steps, step.store, [step.experiment]) is not None
    assert find_tally(scene.steps, "another", [step.experiment]) is None
    assert find_tally(scene.steps, step.store, ["7-1/9"]) is None
