"""A shop with a model that was trained, a real registry, event store and server, and processes that watch a rollout."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sqlalchemy import distinct, func, select

from ml_assets.commands.simulation.challenger import Fault
from ml_assets.commands.simulation.counts import DrivenTraffic
from ml_assets.commands.simulation.customers import Customers, read_customers
from ml_assets.commands.simulation.driver import TrafficPlan, drive
from ml_assets.commands.simulation.release import SimulatedChallenger, offer_challenger
from ml_assets.events.exposures import ShadowAnswer
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets.features.online.store import open_store
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.ledger import RolloutStep, last_step, open_step, steps_of
from ml_assets.rollouts.rollout import roll_back_by_hand
from ml_assets.rollouts.watch import RolloutLook, begin_and_look
from ml_assets.settings import PROJECT, Settings
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.rollout import GuardrailSpec, RolloutSpec, ShadowSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.duck import memory
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.dataset import build
from ml_assets.training.definition import ModelDefinition, assemble
from ml_assets.training.online_writer import OnlineWriter, write_champion
from ml_assets.training.publish import manifest
from ml_assets.training.release import release
from ml_assets.training.report import report
from ml_assets.training.score import predict
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, MODEL, SOURCES, Tiny, habits
from ml_assets_tests.processes import environment

SECOND = timedelta(seconds=1)
SPEC = RolloutSpec(
    sample=60, bake=SECOND, every=SECOND, lease=30 * SECOND, shadow=ShadowSpec(share=1.0, after=timedelta(days=1)),
    guardrails=(
        GuardrailSpec(metric="errors", at_most_worse=0.1), GuardrailSpec(metric="latency", at_most_times=1.5),
        GuardrailSpec(metric="missing", at_most_worse=0.2), GuardrailSpec(metric="disagreement", at_most_times=2),
    ),
)  # fmt: skip

VIEW: dict[str, Any] = {"name": "habits", "sql": "features/habits.sql", "lookback": "56d", "ttl": "9999d"}
DECLARED: dict[str, Any] = MODEL | {"window": {"train": 2, "test": 1}, "serve": {"bands": {"low": 0, "high": 0.5}}}
CUSTOMERS = 3_000
PATIENCE = 240.0
"""Seconds until a step that does not come fails a test; CI has two busy cores."""


def without(metric: str, **more: Any) -> RolloutSpec:
    """All of it but one guardrail, and more."""
    kept = tuple(each for each in SPEC.guardrails if each.metric != metric)
    return SPEC.model_copy(update={"guardrails": kept, **more})


class LiveShop:
    """A data folder over which servers and watchers run.

    Args:
        data: the folder.
        tracking: the URL of a tracking server; empty: the database in the folder is asked.
    """

    def __init__(self, data: Path, tracking: str = "") -> None:
        self.data = data
        self.settings = Settings(data=data)
        self.lake = Lake(str(data / "lake"), memory)
        # Not of the settings: mlflow exports the URI of a test that trained before.
        self.registry = Registry(tracking or f"sqlite:///{data}/mlflow/mlflow.db", str(data / "mlflow" / "artifacts"))

    @property
    def folder(self) -> ModelDefinition:
        """The model, whose features may be used for ever: the orders are of last year."""
        return assemble("shop", self.data / "shop", ModelSpec(**DECLARED), [*SOURCES.values()], [ViewSpec(**VIEW)])

    def build(self) -> None:
        """Orders, a champion, its online features, and the scores of everybody."""
        Tiny(self.data).deliver("orders", habits(range(4, 14), customers=CUSTOMERS))
        lake, registry, folder = self.lake, self.registry, self.folder
        version = train(lake, registry, folder, build(lake, folder, AS_OF), tags={}).version
        judged = report(lake, registry, folder, version)
        content = manifest(lake, registry, folder, judged)
        now = datetime.now(UTC).replace(tzinfo=None)
        release(lake, registry, version, judged.verdict, manifest=content, as_of=AS_OF, decided_at=now)
        predict(lake, registry, folder, AS_OF)
        store = open_store(self.settings.online_url)
        write_champion(OnlineWriter(lake, folder, store, AS_OF, now), registry)
        store.close()

    def customers(self) -> Customers:
        """Who ask; nobody far more often than the others, so that a test need not wait for the rare ones."""
        everybody = read_customers(self.lake, self.folder, np.random.default_rng(0))
        return replace(everybody, activity=np.full(len(everybody), 1 / len(everybody)))

    def declare(self, spec: RolloutSpec) -> None:
        """A folder `defs` as a user has one, for Dagster: the model, its queries and its rollout."""
        defs = self.data / "defs"
        shutil.copytree(self.data / "shop", defs / "shop", dirs_exist_ok=True)
        shutil.copy(PROJECT / "ml_assets" / "defs" / "resources.py", defs)
        declared = {
            "Source": [each.model_dump(mode="json", exclude_unset=True) for each in SOURCES.values()],
            "FeatureView": [VIEW],
            "Model": [DECLARED],
            "Rollout": [spec.model_dump(mode="json", exclude_unset=True)],
        }
        documents = [
            {"type": f"ml_assets.components.{kind}", "attributes": attributes}
            for kind, instances in declared.items()
            for attributes in instances
        ]
        (defs / "shop" / "defs.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")

    def offer(self, fault: Fault) -> SimulatedChallenger:
        return offer_challenger(
            self.lake, self.registry, self.folder, fault, now=datetime.now(UTC).replace(tzinfo=None)
        )

    def look(self, actor: str, spec: RolloutSpec = SPEC) -> RolloutLook:
        """What a watcher does at each tick."""
        now = datetime.now(UTC).replace(tzinfo=None)
        with EventStore(self.settings.event_store_url) as store:
            return begin_and_look(self.lake, self.registry, store, self.folder, spec, actor=actor, now=now)

    def take_log(self) -> None:
        """What servers wrote comes into the lake, with the outcomes that they were told."""
        with EventStore(self.settings.event_store_url) as store:
            take(self.lake, store, "shop", AS_OF)

    def shadowed(self, rollout: str) -> int:
        """Units of a rollout that both versions have answered."""
        shadows = EVENTS[ShadowAnswer].table.c
        units = select(func.count(distinct(shadows.entity))).where(shadows.experiment.startswith(f"{rollout}/"))
        with EventStore(self.settings.event_store_url) as store:
            return int(store.select(units)[0][0])

    def last(self) -> RolloutStep | None:
        return last_step(self.lake, "shop")

    def steps(self, rollout: str) -> list[RolloutStep]:
        return steps_of(self.lake, "shop", rollout)

    def await_step(self, what: str, version: int, right: Callable[[RolloutStep], bool]) -> RolloutStep:
        """The last step of the rollout of a version, once it is as it is waited for."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            last = self.last()
            if last is not None and last.challenger == version and right(last):
                return last
            time.sleep(0.1)
        logs = "\n".join(log.read_text()[-1500:] for log in self.data.glob("watcher*.log"))
        pytest.fail(f"{what} did not come within {PATIENCE:g} s: {self.last()}\n{logs}")

    def await_end(self, version: int) -> RolloutStep:
        """The step that ends the rollout of a version."""
        return self.await_step("the end of the rollout", version, lambda step: not step.is_open)

    def close_rollout(self) -> None:
        """End what a test left."""
        if open_step(self.lake, "shop"):
            now = datetime.now(UTC).replace(tzinfo=None)
            roll_back_by_hand(self.lake, self.registry, "shop", reason="the test is over", actor="test", now=now)

    @contextmanager
    def traffic(self, url: str, rate: float = 200, **more: Any) -> Iterator[list[DrivenTraffic]]:
        """Requests as long as the body runs; afterwards the list holds what came of them."""
        stop, results = threading.Event(), list[DrivenTraffic]()
        plan = TrafficPlan(url, "shop", "customer", rate=rate, seconds=600, **more)
        customers = self.customers()
        thread = threading.Thread(target=lambda: results.append(drive(plan, customers, stop=stop)))
        thread.start()
        try:
            yield results
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def daemon(self, tracking: str) -> Iterator[None]:
        """Dagster's daemon over what is declared, as `ml-assets up` starts it; killed with all that it has started."""
        dagster = self.data / "dagster"
        dagster.mkdir(exist_ok=True)
        where = {"DAGSTER_HOME": str(PROJECT), "ML_ASSETS_DAGSTER": str(dagster), "MLFLOW_TRACKING_URI": tracking}
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "ml_assets_tests.rollouts.location"]
        with (self.data / "watcher-daemon.log").open("ab") as said:
            process = subprocess.Popen(
                [*command, "--log-level", "warning"], cwd=PROJECT, env=environment(self.data, **where), stdout=said,
                stderr=said, start_new_session=True,
            )  # fmt: skip
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def watched(
        self, actor: str = "watcher", spec: RolloutSpec = SPEC, tracking: str = ""
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A process that looks again and again, killed in the end."""
        declared = spec.model_dump_json()
        command = [sys.executable, "-m", "ml_assets_tests.rollouts.watcher", str(self.data), actor, declared, tracking]
        with (self.data / f"{actor}.log").open("ab") as said:
            process = subprocess.Popen(command, cwd=PROJECT, env=environment(self.data), stdout=said, stderr=said)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
