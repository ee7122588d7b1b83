"""The life of an experiment: servers follow the last row of its ledger, whoever is killed or takes the same step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.events.store import EventStore
from ml_assets.rollouts import experiment, experiment_begin
from ml_assets.rollouts.experiment import LEASE, describe_experiments, list_experiments, stop, take_step
from ml_assets.rollouts.experiment_begin import ExperimentError, begin
from ml_assets.rollouts.experiment_ledger import ExperimentStep, claim, ledger
from ml_assets.rollouts.experiment_report import read_report
from ml_assets.rollouts.ledger import turn_of
from ml_assets.rollouts.offers import ledger as offers
from ml_assets.rollouts.offers import next_offer
from ml_assets.rollouts.turns import TurnTakenError, take_turn, turn_holder
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.route_tag import ENDED
from ml_assets_tests.processes import race
from ml_assets_tests.rollouts.registered import MemoryRegistry, released
from ml_assets_tests.rollouts.simulated_users import START, Users, fill, microseconds, spec
from ml_assets_tests.serving.traffic import write

BETTER = (("a", 0.2), ("b", 0.3))


def step(
    lake: Lake, registry: MemoryRegistry, days: float = 0, declared: ExperimentSpec | None = None
) -> ExperimentStep:
    now = START + timedelta(days=days)
    with EventStore(f"sqlite:///{lake.root}/events.db") as store:
        return take_step(
            lake, registry.any, store, "churn", declared or spec(), now, actor="asset", entity="customer"
        )  # fmt: skip


def test_servers_follow_an_experiment_from_its_first_row_to_its_winner(tmp_path: Path) -> None:
    lake, registry = fill(tmp_path, Users(rates=BETTER).events()), MemoryRegistry()
    first = step(lake, registry, declared=spec(minimum="8d"))
    route = registry.route("churn")
    assert (first.action, turn_holder(lake, "churn")) == ("start", "experiment price")
    assert route is not None
    assert [(each.name, each.version, each.share) for each in route.variants] == [("a", 6, 0.5), ("b", 7, 0.5)]
    assert (route.experiment, route.salt, route.unit) == ("price", "churn/price", "entity")
    assert route.until == (START + LEASE - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001
    assert (step(lake, registry, 7.5).action, registry.tag_text is not None) == ("continue", True)
    last = step(lake, registry, 8)
    assert (last.action, last.winner, last.step) == ("winner", "b", 2)
    assert (registry.route("churn"), turn_holder(lake, "churn")) == (None, None)
    assert [registry.versions[each].tags[f"{ENDED}price"] for each in (6, 7)] == [last.reason] * 2
    report = read_report(last.evidence)
    assert report is not None
    assert report.recommendation == last.reason
    assert step(lake, registry, 9) == last
    offer = next_offer(lake, "churn")
    assert offer is not None
    assert (offer.version, offer.actor, offer.gated, offer.reason) == (7, "experiment price", True, last.reason)
    assert len(offers("churn").history(lake)) == 1
    assert list_experiments(lake, "churn") == [last]
    assert describe_experiments(lake, "churn") is None


def test_the_route_lasts_until_the_last_day_at_most(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    first = step(lake, registry)
    last = step(lake, registry, 13.5)
    assert last.action == "continue"
    report = read_report(last.evidence)
    assert report is not None
    assert [note[:55] for note in report.notes] == ["nobody looked from 2026-06-01 00:00 to 2026-06-14 12:00"]
    assert str(describe_experiments(lake, "churn")).startswith("price since 2026-06-01: Wait: 0 of 1,000 units")
    route = registry.route("churn")
    assert route is not None
    assert route.until == (first.ends - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001
    assert step(lake, registry, 14).action == "none"


def test_it_is_measured_as_it_was_declared_when_it_began(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    step(lake, registry)
    assert step(lake, registry, 5, spec(duration="30d", sample=5)).ends == START + timedelta(days=14)


GUARDED = spec(guardrails=[{"metric": "errors", "at_most_worse": 0.01}, {"metric": "latency", "at_most_times": 1.2}])


def test_limits_of_guardrails_are_made_of_the_champions_answers_and_told_to_servers(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    with pytest.raises(ExperimentError, match="the champion has answered 0 of the 100 times"):
        step(lake, registry, declared=GUARDED)
    assert turn_holder(lake, "churn") is None
    at = microseconds(START - timedelta(hours=1))
    answers = [
        Prediction(
            prediction_id("churn", 1), "churn", "6", "champion", f"c{n}", None, 0.5, None, "{}", None, None, at, n
        )
        for n in range(1, 201)
    ]
    with EventStore(f"sqlite:///{lake.root}/events.db") as store:
        write(store, *answers)
    assert step(lake, registry, declared=GUARDED).action == "start"
    route = registry.route("churn")
    assert route is not None
    assert route.limits == pytest.approx((100, 190, 198), abs=1)
    assert route.tolerance == 1.2


def test_two_at_once_are_refused_by_name(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    step(lake, registry)
    with pytest.raises(TurnTakenError, match="experiment colour cannot begin while experiment price runs"):
        step(lake, registry, declared=spec(name="colour"))
    stop(lake, registry.any, "churn", "price", START, actor="ana", reason="enough")
    assert step(lake, registry, declared=spec(name="colour")).action == "start"


def test_an_experiment_waits_for_a_rollout(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    take_turn(lake, "churn", "rollout 8-1", START)
    with pytest.raises(TurnTakenError, match="while rollout 8-1 runs"):
        step(lake, MemoryRegistry())
    assert ledger("churn", "price").last(lake) is None


def test_the_turn_of_a_rollout_that_never_took_a_step_is_given_back(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    take_turn(lake, "churn", turn_of("8-1"), START - timedelta(minutes=11))
    assert step(lake, MemoryRegistry()).action == "start"


def test_a_person_ends_it_once_and_for_a_reason(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    step(lake, registry)
    last = stop(lake, registry.any, "churn", "price", START, actor="ana", reason="prices were wrong")
    assert (last.action, last.actor, last.reason) == ("stop", "ana", "stopped: prices were wrong")
    assert registry.route("churn") is None
    with pytest.raises(ExperimentError, match="ended at 2026-06-01 00:00 UTC: stopped: prices were wrong"):
        stop(lake, registry.any, "churn", "price", START, actor="ana", reason="again")
    with pytest.raises(ExperimentError, match="churn has no experiment colour"):
        stop(lake, registry.any, "churn", "colour", START, actor="ana", reason="what")
    assert step(lake, registry, 3) == last


def test_it_ends_when_its_control_is_not_the_champion_any_more(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    step(lake, registry)
    registry.versions[8], registry.number = released(8), 8
    last = step(lake, registry, 1)
    assert last.action == "stop"
    assert last.reason == "stopped: its control, version 6, is not the champion any more: version 8 is"
    assert turn_holder(lake, "churn") is None
    assert f"{ENDED}price" in registry.versions[8].tags, "servers can say how it ended"


def test_evidence_that_is_not_believed_goes_on_until_the_last_day(tmp_path: Path) -> None:
    events = [each for each in Users(count=2_000).events() if getattr(each, "variant", "") != "b"]
    lake, registry = fill(tmp_path, events), MemoryRegistry()
    step(lake, registry)
    assert (step(lake, registry, 8).action, registry.tag_text is not None) == ("error", True)
    last = step(lake, registry, 14)
    assert last.action == "stop"
    assert last.reason.startswith("its last day was reached without a verdict. Believe nothing of this: sample-ratio")


def _without_version(registry: MemoryRegistry) -> None:
    del registry.versions[7]


def _unreleased(registry: MemoryRegistry) -> None:
    registry.versions[7] = replace(released(7), tags={})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(_without_version, "variant b, version 7, is not there"), (_unreleased, "variant b, version 7, never passed")],
)
def test_a_version_that_no_server_can_load_is_refused(
    tmp_path: Path, change: Callable[[MemoryRegistry], None], sentence: str
) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    change(registry)
    with pytest.raises(ExperimentError, match=sentence):
        step(lake, registry)
    assert turn_holder(lake, "churn") is None


def test_it_does_not_begin_before_its_start(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    declared = spec(start="2026-06-02T02:00:00+02:00")
    with pytest.raises(ExperimentError, match="experiment price of churn begins at 2026-06-02 00:00 UTC"):
        step(lake, registry, declared=declared)
    assert step(lake, registry, 1, declared).action == "start"


class Killed(BaseException):
    """What a test kills a process by."""


KILLS = [
    ("begin", "take_turn", 0), ("begin", "claim", 0), ("registry", "set_route", 0), ("step", "claim", 14),
    ("registry", "clear_route", 14), ("registry", "tag", 14), ("step", "end_turn", 14),
]  # fmt: skip
"""Each function that writes: where it is called, its name, and the day on which it is."""


@pytest.mark.parametrize(("where", "name", "day"), KILLS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere_it_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str, day: int, *, after: bool
) -> None:
    """Each write is killed once, before or after it happened; the caller simply calls again."""
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    owner: Any = {"begin": experiment_begin, "step": experiment, "registry": registry}[where]
    works = getattr(owner, name)

    def kill_once(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(owner, name, works)
        if after:
            works(*given, **named)
        raise Killed

    for days in (0, 14):
        if days == day:
            monkeypatch.setattr(owner, name, kill_once)
            with pytest.raises(Killed):
                step(lake, registry, days)
        step(lake, registry, days)
    history = ledger("churn", "price").history(lake)
    assert [row.action for row in history] == ["start", "none"]
    assert (registry.route("churn"), turn_holder(lake, "churn")) == (None, None)
    assert all(f"{ENDED}price" in each.tags for each in registry.versions.values())


def test_a_measurement_that_was_overtaken_by_the_end_does_not_undo_it(tmp_path: Path) -> None:
    lake, registry = Lake(str(tmp_path)), MemoryRegistry()
    first = step(lake, registry)
    now = START + timedelta(days=1)
    claim(lake, "churn", replace(first, step=1, action="stop", reason="stopped: enough"))
    assert experiment.apply_step(lake, registry.any, "churn", first, now).action == "stop"
    assert registry.route("churn") is None


def _begin(root: str, actor: str) -> str:
    with EventStore(f"sqlite:///{root}/events.db") as store:
        return begin(Lake(root), MemoryRegistry().any, store, "churn", spec(), START, actor=actor).actor


def test_of_processes_that_begin_it_at_once_one_does(tmp_path: Path) -> None:
    actors = race(_begin, [(str(tmp_path), f"actor {number}") for number in range(3)])
    assert len(set(actors)) == 1
    assert len(ledger("churn", "price").history(Lake(str(tmp_path)))) == 1
