"""An A/B test served by processes under load, on users of known effect; and faults that only several servers have."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.experiment import measure, stop, take_step
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.rollouts.experiment_report import ExperimentReport, read_report
from ml_assets.rollouts.offers import next_offer
from ml_assets.settings import Settings
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets_tests.rollouts.test_experiment_served import _release as release
from ml_assets_tests.serving.process import Server, serving
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.served import PREDICT, ROW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RATES = {"a": 0.2, "b": 0.4}
USERS, CLIENTS = 1_600, 8
WEEK = timedelta(days=8)
AHEAD = """
import time

def later(clock, by):
    return lambda: clock() + by

time.time, time.time_ns = later(time.time, 600), later(time.time_ns, 600 * 10**9)
"""
"""`sitecustomize.py` of a server whose clock is ten minutes ahead."""


def spec(name: str) -> ExperimentSpec:
    return ExperimentSpec.model_validate({
        "name": name, "sample": 300, "primary": {"metric": "purchase", "window": "1m", "delay": "1m"},
        "variants": {"a": {"version": "champion", "share": 0.5}, "b": {"version": 2, "share": 0.5}},
    })  # fmt: skip


@dataclass(frozen=True)
class Market:
    """Two servers on one registry and one event store; the clock of the second one is ahead.

    Args:
        data: of the first server, where the registry and the events are.
        first: with two workers.
        second: with one worker, and a folder of its own.
    """

    data: Path
    first: Server
    second: Server

    @property
    def registry(self) -> Registry:
        settings = Settings(data=self.data)
        return Registry(settings.tracking_uri, str(settings.artifacts))

    @property
    def events(self) -> Path:
        return Path(Settings(data=self.data).event_store_url.removeprefix("sqlite:///"))

    @property
    def lake(self) -> Lake:
        return Lake(str(self.data / "lake"))

    def step(self, name: str, after: timedelta = timedelta()) -> ExperimentStep:
        """Take what servers wrote, and the next step."""
        now = datetime.now(UTC).replace(tzinfo=None) + after
        with EventStore(f"sqlite:///{self.events}") as store:
            take(self.lake, store, MODEL, None)
            return take_step(self.lake, self.registry, store, MODEL, spec(name), now, actor="asset", entity=ENTITY)

    def begin(self, name: str, servers: Sequence[Server]) -> None:
        """Start an experiment; returns when each worker of the servers splits."""
        assert self.step(name).action == "start"
        for server in servers:
            server.wait("the split", partial(_variants, server))

    def stop(self, name: str) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        stop(self.lake, self.registry, MODEL, name, now, actor="ada", reason="the test is over")


def _variants(server: Server) -> set[str]:
    """The variants of many connections: as long as one worker does not split, its answers are the champion's."""
    found = set[str]()
    for _ in range(12):
        with httpx2.Client(base_url=server.url, trust_env=False) as client:
            answer = client.post(PREDICT, json={"instances": [ROW]}).json()
            found.add(answer["predictions"][0]["variant"])
    return set() if "champion" in found else found


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Iterator[Market]:
    root = tmp_path_factory.mktemp("market")
    settings = Settings(data=root / "data")
    database = Path(settings.tracking_uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True)
    shutil.copy(empty_registry, database)
    for number in (1, 2):
        release(Registry(settings.tracking_uri, str(settings.artifacts)), number)
    (root / "clock").mkdir()
    (root / "clock" / "sitecustomize.py").write_text(AHEAD)
    shared: dict[str, Any] = {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "ML_ASSETS_EVENT_STORE": settings.event_store_url,
    }
    with ExitStack() as running, ThreadPoolExecutor(2) as pool:
        starts = [
            pool.submit(running.enter_context, serving(settings.data, workers=2)),
            pool.submit(running.enter_context, serving(root / "other", PYTHONPATH=str(root / "clock"), **shared)),
        ]
        yield Market(settings.data, *(start.result() for start in starts))


def visit(servers: Sequence[Server], units: Sequence[str], *, buy: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Users come to each server in turn, many at once, and buy after the first answer or not; unit → its answers."""
    chances = dict(zip(units, np.random.default_rng(5).uniform(size=len(units)), strict=True))

    def ask(some: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        answers: dict[str, list[dict[str, Any]]] = {unit: [] for unit in some}
        with ExitStack() as opened:
            clients = [opened.enter_context(httpx2.Client(base_url=each.url, trust_env=False)) for each in servers]
            for client in clients:
                for unit in some:
                    answer = client.post(PREDICT, json={"instances": [{**ROW, ENTITY: unit}]})
                    assert answer.status_code == 200, answer.text
                    answers[unit] += answer.json()["predictions"]
            buyers = [given[0] for unit, given in answers.items() if buy and chances[unit] < _rate(given[0])]
            if buyers:
                _buy(clients[0], buyers)
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = pool.map(ask, [units[at::CLIENTS] for at in range(CLIENTS)])
        return {unit: answers for part in parts for unit, answers in part.items()}


def _rate(answer: dict[str, Any]) -> float:
    return RATES.get(answer["variant"], RATES["a"])


def _buy(client: httpx2.Client, answers: Sequence[dict[str, Any]]) -> None:
    now = datetime.now(UTC).isoformat()
    told = [
        {"prediction_id": each["prediction_id"], "kind": "purchase", "value": 1, "observed_at": now} for each in answers
    ]
    assert client.post("/outcomes", json={"outcomes": told}).json() == {"accepted": len(told)}


def _without_some(market: Market, folder: Path) -> EventStore:
    """A copy of the events, from which every third exposure of b has gone."""
    folder.mkdir()
    with closing(sqlite3.connect(market.events)) as old, closing(sqlite3.connect(folder / "events.db")) as new:
        old.backup(new)
        new.execute("DELETE FROM exposures WHERE variant = 'b' AND sequence % 3 = 0")
        new.commit()
    return EventStore(f"sqlite:///{folder}/events.db")


def test_the_better_variant_wins_under_load_and_its_interval_holds_the_truth(market: Market, tmp_path: Path) -> None:
    """Also: where a third of the units of a variant is lost on the way, that is named and nobody wins."""
    market.begin("price", [market.first])
    answers = visit([market.first, market.first], [f"price-{number}" for number in range(USERS)])
    assert all(len({each["variant"] for each in some}) == 1 for some in answers.values()), "whichever worker answers"
    now = datetime.now(UTC).replace(tzinfo=None) + WEEK
    lost = Lake(str(tmp_path / "lost" / "lake"))
    started = _first_step(market)
    with _without_some(market, tmp_path / "lost") as store:
        take(lost, store, MODEL, None)
    mismatch = measure(lost, MODEL, started, now, entity=ENTITY)
    assert (mismatch.action, mismatch.winner) == ("error", None)
    assert "sample-ratio mismatch" in mismatch.reason
    last = market.step("price", WEEK)
    report = _report(last)
    assert (report.action, last.winner, report.faults) == ("winner", "b", ())
    assert [note[:13] for note in report.notes] == ["nobody looked"], "of the week that the test did not wait"
    assert sum(variant.exposed for variant in report.variants) == USERS
    (effect,) = report.effects
    assert effect.interval.low < RATES["b"] - RATES["a"] < effect.interval.high
    assert last.reason.startswith("Ship b: b is better: +0.")
    offer = next_offer(market.lake, MODEL)
    assert offer is not None
    assert (offer.version, offer.actor) == (2, "experiment price")
    market.first.wait("its end", lambda: market.first.get("/experiments/price/assignment?unit=c").status_code == 409)


def test_a_server_whose_clock_is_ahead_is_named_and_nobody_wins(market: Market) -> None:
    market.begin("clock", [market.first, market.second])
    units = [f"clock-{number}" for number in range(80)]
    both = visit([market.first], units[:40]) | visit([market.second], units[40:], buy=False)
    assert {each[0]["variant"] for each in both.values()} == {"a", "b"}
    last = market.step("clock")
    assert last.action == "error"
    assert "the clock of a server is off: 40 exposures in the future" in last.reason
    market.stop("clock")


def test_a_server_that_is_not_told_of_the_experiment_is_named_and_nobody_wins(market: Market) -> None:
    """The process that follows the registry has stopped; its worker goes on as before."""
    market.second.wait("the champion", lambda: {"champion"} == _answered(market.second))
    os.kill(market.second.parent, signal.SIGSTOP)
    market.begin("stale", [market.first])
    answers = visit([market.first, market.second], [f"stale-{number}" for number in range(80)])
    assert {each[1]["variant"] for each in answers.values()} == {"champion"}
    time.sleep(0.01)
    last = market.step("stale", timedelta(minutes=15))
    os.kill(market.second.parent, signal.SIGCONT)
    assert last.action == "error"
    assert "50.0% of the answers to units of other variants came from servers that do not follow" in last.reason
    market.stop("stale")


def _answered(server: Server) -> set[str]:
    answer = server.post(PREDICT, {"instances": [ROW]}).json()
    return {each["variant"] for each in answer["predictions"]}


def _first_step(market: Market) -> ExperimentStep:
    from ml_assets.rollouts.experiment_ledger import ledger

    step = ledger(MODEL, "price").last(market.lake)
    assert step is not None
    return step


def _report(step: ExperimentStep) -> ExperimentReport:
    report = read_report(step.evidence)
    assert report is not None
    return report
