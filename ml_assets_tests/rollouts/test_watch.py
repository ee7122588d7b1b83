"""A look at a rollout does what follows at once, keeps a measurement every now and then, and says how it stands."""

from datetime import timedelta

from ml_assets.alerts.outbox import alerts
from ml_assets.decisions.guardrail import GuardrailStatus
from ml_assets.decisions.route import CHALLENGER
from ml_assets.events.counts import last_answer
from ml_assets.events.exposures import Exposure
from ml_assets.rollouts.plot import figure
from ml_assets.rollouts.report import describe_rollout, read_report
from ml_assets.rollouts.rollout import resume, roll_back_by_hand
from ml_assets.rollouts.watch import RolloutLook, begin_and_look, look, tell_step
from ml_assets_tests.rollouts.scene import MODEL, Scene

TICK = timedelta(seconds=15)


def looked(scene: Scene, after: timedelta = TICK) -> RolloutLook:
    """What the sensor does."""
    scene.now += after
    return look(scene.lake, scene.known, scene.store, MODEL, actor="sensor", now=scene.now)


def begun(scene: Scene) -> RolloutLook:
    """What the asset does."""
    return begin_and_look(scene.lake, scene.known, scene.store, scene.folder, scene.spec, actor="asset", now=scene.now)


def test_before_the_first_candidate_there_is_nothing_to_do(scene: Scene) -> None:
    assert looked(scene) == RolloutLook(None, "no candidate was offered yet")
    assert describe_rollout(scene.lake, MODEL) is None
    assert read_report(scene.lake, MODEL) is None


def test_a_candidate_waits_for_the_asset_to_begin_its_rollout(scene: Scene) -> None:
    scene.offer()
    waiting = looked(scene)
    assert waiting.waiting
    assert waiting.waiting.version == 7
    still = begun(scene)
    assert (still.step, still.waiting) == (None, waiting.waiting)
    assert "has answered 0 of the 100 times" in still.reason
    scene.answer()
    step = begun(scene).step
    assert step
    assert (step.action, step.actor) == ("start", "asset")
    assert describe_rollout(scene.lake, MODEL) == "rollout 7-1 of version 7, stage 1 of 3, share 10%: start, good"
    scene.offer(8)
    assert str(describe_rollout(scene.lake, MODEL)).endswith(
        "\nversion 8 waits for its rollout since 2026-06-01 12:00 UTC"
    )


def test_a_measurement_that_changes_nothing_is_kept_every_five_minutes(scene: Scene) -> None:
    scene.started()
    for _ in range(40):
        looked(scene)
    assert scene.actions == ["start", "hold", "hold"]


def test_a_breach_is_acted_on_at_the_next_look(scene: Scene) -> None:
    scene.started()
    scene.ask(3_000, challenger=0.3)
    found = looked(scene)
    assert found.step
    assert (found.step.action, scene.registry.served) == ("roll_back", {"champion 6": 1.0})
    assert looked(scene).reason.startswith("no rollout is running; rollout 7-1: roll_back, errors: ")
    assert scene.actions == ["start", "roll_back"]


def told(scene: Scene) -> list[tuple[str, str]]:
    tell_step(scene.lake, MODEL, scene.steps[-1], "http://ui")
    return [(alert.severity.value, alert.text) for alert in alerts(scene.lake, MODEL)]


def test_people_are_told_once_of_what_changes_who_answers(scene: Scene) -> None:
    tell_step(scene.lake, MODEL, None, "")
    scene.started()
    assert told(scene) == []
    scene.ask(3_000, challenger=0.3)
    looked(scene)
    ((severity, text),) = told(scene)
    assert severity == "warning"
    assert text.startswith("rollout 7-1 of shop, version 7: roll back, errors: ")
    assert told(scene) == [(severity, text)]


def test_people_are_not_told_of_their_own_decisions(scene: Scene) -> None:
    scene.started()
    roll_back_by_hand(scene.lake, scene.known, MODEL, reason="no", actor="ada", now=scene.now)
    assert told(scene) == []


def test_an_error_is_kept_once_and_so_is_its_end(scene: Scene) -> None:
    scene.started()
    scene.write(*(Exposure(MODEL, "7-1/0", f"e{n}", CHALLENGER, f"e{n}", 1) for n in range(500)))
    for _ in range(3):
        assert "sample-ratio mismatch" in looked(scene).reason
    assert scene.actions == ["start", "error"]
    report = read_report(scene.lake, MODEL)
    assert report
    assert report.log_e_mismatch > 5
    resume(scene.lake, scene.known, MODEL, reason="the proxy was put right", actor="ada", now=scene.now)
    assert "0 of 1,000 units" in looked(scene).reason
    assert scene.actions == ["start", "error", "restart"]


def test_a_report_holds_every_number_of_the_last_measurement(scene: Scene) -> None:
    scene.started()
    scene.ask(500, challenger=0.02)
    looked(scene, timedelta(minutes=6))
    report = read_report(scene.lake, MODEL)
    assert report
    measured = scene.measure()
    assert measured
    assert report.results == measured.guardrails
    assert report.results[0].status is GuardrailStatus.OPEN
    assert report.stages[0].counts == measured.counts[0]
    assert report.units_lacking > 0
    assert report.log_e_mismatch < 5
    assert report.unwatched is None
    metadata = report.metadata()
    assert (metadata["share"], metadata["stage"], metadata["verdict"]) == (0.1, "1 of 3", "hold")
    assert metadata["log_e_errors"] == report.results[0].log_e
    (row,) = report.table()
    assert row["units lacking"] == f"{report.results[0].units:,}"
    assert figure("shop", report.points())[:4] == b"\x89PNG"


def test_a_bound_that_is_infinite_is_read_as_it_was(scene: Scene) -> None:
    scene.started()
    looked(scene, timedelta(minutes=6))
    report = read_report(scene.lake, MODEL)
    assert report
    assert report.results[0].ratio
    assert report.results[0].ratio.high == float("inf")
    assert "0 to any" in str(report.table()[0]["times the champion's"])


def test_a_stage_that_nobody_watched_is_named(scene: Scene) -> None:
    scene.started()
    looked(scene, timedelta(hours=5))
    report = read_report(scene.lake, MODEL)
    assert report
    assert "nobody watched from" in str(report.unwatched)


def test_a_rollout_that_ended_says_how(scene: Scene) -> None:
    scene.started()
    roll_back_by_hand(scene.lake, scene.known, MODEL, reason="too soon", actor="ada", now=scene.now)
    assert describe_rollout(scene.lake, MODEL) == (
        "rollout 7-1 of version 7 ended at 2026-06-01 12:00 UTC: roll back, too soon"
    )


def test_the_last_answer_tells_whether_anybody_asks(scene: Scene) -> None:
    assert last_answer(scene.store, MODEL) == 0
    scene.answer(3)
    assert last_answer(scene.store, MODEL) == 3
    assert last_answer(scene.store, "other") == 0
