"""Rollouts with real processes: a server under load, watchers that are killed, challengers whose fault is known."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from ml_assets.commands.simulation.challenger import Fault
from ml_assets.commands.simulation.counts import DrivenTraffic
from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS
from ml_assets.spec.rollout import QualitySpec
from ml_assets.training.release import history
from ml_assets_tests.processes import free_port, tracking
from ml_assets_tests.rollouts.live import SECOND, SPEC, LiveShop, without
from ml_assets_tests.serving.process import Server, serving

PAIRS = 1_300
"""Units that both versions answered, until labels come: a thousand of them are judged."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> LiveShop:
    shop = LiveShop(tmp_path_factory.mktemp("live"))
    shop.build()
    return shop


@pytest.fixture(scope="module")
def server(stocked: LiveShop) -> Iterator[Server]:
    with serving(stocked.data, workers=2) as started:
        yield started


@pytest.fixture
def shop(stocked: LiveShop) -> Iterator[LiveShop]:
    yield stocked
    stocked.close_rollout()


def champion(shop: LiveShop) -> int:
    version = shop.registry.champion("shop")
    assert version is not None
    return version.number


def answers(traffic: DrivenTraffic, variant: str) -> dict[int, int]:
    """Version → answers to those who were assigned to a variant."""
    return traffic.variants[variant].versions if variant in traffic.variants else {}


def require_sound(shop: LiveShop, rollout: str) -> None:
    """Each step stands once, and the rollout begins and ends once."""
    steps = shop.steps(rollout)
    assert [step.step for step in steps] == list(range(len(steps)))
    assert [step.action == "start" for step in steps] == [True] + [False] * (len(steps) - 1)
    assert [step.is_open for step in steps] == [True] * (len(steps) - 1) + [False]


def test_a_better_challenger_becomes_the_champion_and_no_request_fails(shop: LiveShop, server: Server) -> None:
    """Two watchers look at once, and one of them is killed in the middle."""
    before = champion(shop)
    with shop.traffic(server.url) as traffic, shop.watched("watcher-a") as first, shop.watched("watcher-b"):
        challenger = shop.offer("better").version
        shop.await_step("the stage of one half", challenger.number, lambda step: step.share >= 0.5)
        first.kill()
        last = shop.await_end(challenger.number)
        server.wait("the new champion", lambda: _versions(server, shop) == {challenger.number})
    (seen,) = traffic
    assert (last.action, last.share) == ("promote", 1.0), last.reason
    assert seen.errors == {}
    assert champion(shop) == challenger.number
    assert shop.registry.versions_of_alias(PREVIOUS)["shop"].number == before
    assert "shop" not in shop.registry.versions_of_alias(CHALLENGER)
    require_sound(shop, last.rollout)
    assert {step.share for step in shop.steps(last.rollout)} == {0.1, 0.5, 1.0}
    assert answers(seen, CHALLENGER)[challenger.number] > 60


@pytest.mark.parametrize(("fault", "reason"), [("slow", "latency"), ("failing", "errors"), ("missing", "disagreement")])
def test_a_challenger_is_rolled_back_for_its_own_fault(
    shop: LiveShop, server: Server, fault: Fault, reason: str
) -> None:
    before = champion(shop)
    spec = without("disagreement") if fault == "failing" else SPEC  # who fails in shadow disagrees, too
    with shop.traffic(server.url) as traffic, shop.watched(spec=spec):
        challenger = shop.offer(fault).version
        last = shop.await_end(challenger.number)
        server.wait("the champion alone", lambda: shop.registry.route("shop") is None)
        time.sleep(2)
    (seen,) = traffic
    assert last.action == "roll_back"
    assert f"{reason}: " in last.reason
    assert champion(shop) == before
    assert seen.errors == {}, "those whom it failed were answered by the champion"
    require_sound(shop, last.rollout)
    assert _versions(server, shop) == {before}


def test_a_challenger_that_is_worse_when_labels_come_is_rolled_back_for_its_quality(
    shop: LiveShop, server: Server
) -> None:
    """At its stage where quality is required there, else after its promotion: nothing but labels speaks against it."""
    before, required = champion(shop), (QualitySpec(metric="log_loss", required=True),)
    with shop.watched(spec=without("disagreement", quality=required)):
        held = shop.offer("worse").version
        with shop.traffic(server.url, rate=300) as traffic:
            server.wait("pairs", lambda: shop.shadowed(f"{held.number}-1") > PAIRS)
            shop.await_step("a look", held.number, lambda step: (step.action, step.share) == ("hold", 0.5))
        shop.take_log()
        last = shop.await_end(held.number)
    assert (last.action, last.share) == ("roll_back", 0.0)
    assert last.reason.startswith("log_loss: a loss of +"), last.reason
    assert "evidently worse" in last.reason
    assert (champion(shop), traffic[0].errors) == (before, {})
    require_sound(shop, last.rollout)

    with shop.watched(spec=without("disagreement")):
        promoted = shop.offer("worse").version
        with shop.traffic(server.url, rate=300) as traffic:
            shop.await_step("its promotion", promoted.number, lambda step: step.action == "promote")
            server.wait("the new champion", lambda: _versions(server, shop) == {promoted.number})
            server.wait("pairs", lambda: shop.shadowed(f"{promoted.number}-1") > PAIRS)
        assert shop.last() == shop.steps(f"{promoted.number}-1")[-1]
        shop.take_log()
        last = shop.await_step(
            "the late verdict", promoted.number, lambda step: step.action != "promote" and not step.is_open
        )
        server.wait("the champion of before", lambda: _versions(server, shop) == {before})
    assert last.action == "roll_back"
    assert last.reason.startswith("log_loss: a loss of +"), last.reason
    assert (champion(shop), traffic[0].errors) == (before, {})
    assert [row["decision"] for row in history(shop.lake, "shop")[-2:]] == ["promoted", "rolled back"]


def test_without_traffic_nothing_moves(shop: LiveShop, server: Server) -> None:
    with shop.traffic(server.url), shop.watched():
        challenger = shop.offer("same").version
        shop.await_step("its start", challenger.number, lambda _: True)
    shown = len(shop.steps(f"{challenger.number}-1"))
    with shop.watched():
        last = shop.await_step("three looks", challenger.number, lambda step: step.step >= shown + 2)
    assert (last.action, last.share) == ("hold", 0.1)
    assert "units seen by the challenger" in last.reason


def test_server_watcher_and_event_store_go_away_in_the_middle_and_the_rollout_goes_on(
    shop: LiveShop, server: Server
) -> None:
    """A server is killed with all its workers, then the event store of the other one is locked for seconds."""
    with serving(shop.data, workers=1) as doomed, shop.traffic(doomed.url), shop.watched() as watcher:
        challenger = shop.offer("same").version
        shop.await_step("its first units", challenger.number, lambda step: step.step >= 1)
        watcher.kill()
        os.killpg(doomed.parent, signal.SIGKILL)
    with shop.traffic(server.url) as traffic, shop.watched():
        with closing(sqlite3.connect(shop.data / "events.db")) as events:
            events.execute("BEGIN EXCLUSIVE")
            time.sleep(3)
            events.rollback()
        last = shop.await_end(challenger.number)
    assert last.action == "promote", last.reason
    assert {error.partition(" ")[0] for error in traffic[0].errors} <= {"503"}, "nothing is answered unrecorded"
    shop.look("ada")  # the watcher may have been killed between the ledger and the registry
    assert champion(shop) == challenger.number
    require_sound(shop, last.rollout)


@pytest.mark.timeout(900)
def test_registry_daemon_and_watcher_are_killed_in_the_middle_and_each_step_is_taken_once(shop: LiveShop) -> None:
    """A tracking server, Dagster's own daemon and another watcher over a rollout, which the daemon begins and ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    spec = SPEC.model_copy(update={"bake": 8 * SECOND, "every": 20 * SECOND, "lease": 60 * SECOND})
    shop.declare(spec)

    @contextmanager
    def attended() -> Iterator[None]:
        artifacts = str(shop.registry.artifacts)
        with shop.daemon(url), tracking(shop.registry.uri, shop.data, artifacts=artifacts, port=port):
            yield

    with ExitStack() as first:
        first.enter_context(attended())
        with (
            serving(shop.data, workers=1, MLFLOW_TRACKING_URI=url) as server,
            shop.traffic(server.url, rate=100) as traffic,
        ):
            challenger = shop.offer("same").version
            shop.await_step("its start", challenger.number, lambda _: True)
            with shop.watched("watcher", spec, url):
                shop.await_step("the stage of one half", challenger.number, lambda step: step.share >= 0.5)
            first.close()
            server.wait("a registry that is away", lambda: "registry" in server.health())
            assert challenger.number in _versions(server, shop), "the split goes on until the lease ends"
            with attended():
                last = shop.await_end(challenger.number)
                server.wait("the new champion", lambda: _versions(server, shop) == {challenger.number})
    assert last.action == "promote", last.reason
    assert {shop.steps(last.rollout)[0].actor, last.actor} <= {"asset", "sensor"}, "the daemon began it, and ended it"
    assert traffic[0].errors == {}
    assert champion(shop) == challenger.number
    require_sound(shop, last.rollout)


def test_with_nobody_watching_the_lease_ends_the_canary(shop: LiveShop, server: Server) -> None:
    with shop.traffic(server.url), shop.watched():
        challenger = shop.offer("same").version
        shop.await_step("its start", challenger.number, lambda _: True)
        server.wait("an answer of it", lambda: challenger.number in _versions(server, shop))
    route = shop.registry.route("shop")
    assert route is not None
    shop.registry.set_route(replace(route, until=time.time() - 61))  # an hour has passed
    server.wait("the champion alone", lambda: _versions(server, shop) == {champion(shop)})
    with shop.traffic(server.url) as traffic:
        time.sleep(2)
    assert [*traffic[0].variants] == [CHAMPION]
    last = shop.look("ada").step
    assert last is not None
    assert last.action == "restart"
    assert "nobody watched from " in last.reason
    server.wait("an answer of it", lambda: challenger.number in _versions(server, shop))


def _versions(server: Server, shop: LiveShop) -> set[int]:
    """The versions that answer a hundred customers."""
    rows = [{"customer": name} for name in shop.customers().names[:100]]
    answer = server.post("/models/shop/predict", {"entities": rows})
    assert answer.status_code == 200, answer.text
    return {row["model_version"] for row in answer.json()["predictions"]}
