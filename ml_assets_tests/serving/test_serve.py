"""The server as processes: workers killed under load, champions swapped under load, MLflow's own client."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import pytest

from ml_assets.events.rows import Prediction
from ml_assets.events.store import EventStore
from ml_assets.settings import Settings
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.storage.registry import Registry, Version
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import Server, serving
from ml_assets_tests.serving.released import INPUTS, MODEL, probability

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PREDICT = f"/models/{MODEL}/predict"
BODY = {"instances": [{"total spend": 0.5, "n": 1, "plan": "pro"}]}
SWAP = 5.0
"""Seconds in which a promotion has to reach every worker."""


@dataclass
class Load:
    """Clients that ask without a pause.

    Args:
        url: of the server.
        acknowledged: ids of all answers.
        versions: model version → when it last answered.
        failed: what went wrong, by kind.
    """

    url: str
    acknowledged: list[str] = field(default_factory=list)
    versions: dict[int, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        with httpx2.Client(base_url=self.url, timeout=10, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(PREDICT, json=BODY)
                except httpx2.TransportError as error:
                    self.failed.append(type(error).__name__)
                    continue
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                    continue
                (row,) = answer.json()["predictions"]
                self.acknowledged.append(row["prediction_id"])
                self.versions[row["model_version"]] = time.monotonic()

    @contextmanager
    def running(self, clients: int = 6) -> Iterator["Load"]:
        threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def recorded(data: Path) -> list[str]:
    with EventStore(Settings(data=data).event_store_url) as store:
        return [row.prediction_id for row in store.read_since(Prediction, 0, 1_000_000, model=MODEL).rows]


def test_workers_killed_under_load_lose_nothing_that_was_acknowledged_and_are_replaced(tmp_path: Path) -> None:
    released.release(tmp_path)
    with serving(tmp_path, workers=2) as server:
        first = set(server.workers())
        with Load(server.url).running() as load:
            for number in range(6):
                time.sleep(0.7)
                with suppress(ProcessLookupError):
                    os.kill(server.wait("a worker", server.workers)[number % 2 - 1], signal.SIGKILL)
            server.wait("two new workers", lambda: len(set(server.workers()) - first) == 2)
            before = len(load.acknowledged)
            server.wait("more answers", lambda: len(load.acknowledged) > before + 50)
    kept = recorded(tmp_path)
    assert len(load.acknowledged) > 200
    assert set(load.acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    other = [failure for failure in load.failed if "Error" not in failure]
    assert other == [], "connections break, and nothing else goes wrong"


def test_a_server_that_is_told_to_stop_answers_what_it_has_in_hand(tmp_path: Path) -> None:
    released.release(tmp_path)
    with serving(tmp_path, workers=2) as server, Load(server.url).running() as load:
        server.wait("some answers", lambda: len(load.acknowledged) > 50)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert set(load.acknowledged) <= set(recorded(tmp_path))
    assert not [failure for failure in load.failed if not failure.endswith("Error")]


class Shelf:
    """A real registry with versions of the small model, whose features are online."""

    def __init__(self, data: Path) -> None:
        self.data = data
        released.write(Settings(data=data).online_url, {"e1": (0.5, 1, "pro")})
        # Not of the settings: mlflow exports the URI of a test that trained before.
        self.registry = Registry(f"sqlite:///{data}/mlflow/mlflow.db", str(data / "mlflow" / "artifacts"))

    def train(self, shift: float) -> Version:
        with self.registry.run(MODEL, "x", {"as_of": str(released.AS_OF), "recipe": f"shift {shift}"}) as run:
            kinds = {each.name: each.kind for each in INPUTS}
            return run.register(ModelPackage(released.onnx(shift), kinds, (), PROBABILITIES, MISSING), {})

    def release(self, version: Version, shift: float) -> Version:
        made = replace(released.manifest(version.number, shift), sha256=version.tags["sha256"])
        done = self.registry.publish(version, made.to_json())
        self.registry.promote(done)
        return done


def _only(load: Load, version: int) -> Callable[[], bool]:
    """Whether no other version has answered for half a second."""

    def look() -> bool:
        now = time.monotonic()
        others = [at for number, at in load.versions.items() if number != version]
        return version in load.versions and all(now - at > 0.5 for at in others)

    return look


def test_a_promotion_and_a_rollback_reach_every_worker_within_five_seconds_and_no_request_fails(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shifts = {1: 0.0, 2: 1.0, 3: 2.0}
    versions = {number: shelf.train(shift) for number, shift in shifts.items()}
    one = shelf.release(versions[1], shifts[1])
    with serving(tmp_path, workers=2) as server, Load(server.url).running() as load:
        _swap(server, load, 2, lambda: shelf.release(versions[2], shifts[2]))
        _swap(server, load, 1, lambda: shelf.registry.promote(one))
        _tamper(tmp_path, versions[3])
        shelf.release(versions[3], shifts[3])
        why = server.wait("the refusal", lambda: server.health().get(f"model {MODEL}"))
        assert "SHA-256" in why
        time.sleep(1)
        assert load.versions.keys() == {1, 2}
        assert server.get("/ready").status_code == 200
        shelf.registry.promote(one)
        server.wait("the end of the trouble", lambda: not server.health())
        assert server.get(f"/models/{MODEL}").json()["version"] == 1
        _mlflow(server)
    assert load.failed == []
    assert set(load.acknowledged) <= set(recorded(tmp_path))


def _swap(server: Server, load: Load, version: int, act: Callable[[], object]) -> None:
    act()
    server.wait(f"version {version} alone", _only(load, version), SWAP + 0.5)


def _tamper(data: Path, version: Version) -> None:
    """Another file where the artifact of a version was."""
    for path in (data / "mlflow").glob("**/model.onnx"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == version.tags["sha256"]:
            path.write_bytes(released.onnx(5.0))


def _mlflow(server: Server) -> None:
    """MLflow's own client, as it is."""
    from mlflow.pyfunc.scoring_server import client as mlflow_client

    made: Any = mlflow_client.ScoringServerClient
    client = made("127.0.0.1", f"{server.port}/models/{MODEL}")
    client.ping()
    frame = pd.DataFrame({"total spend": [0.5, None], "n": [1, 2], "plan": ["pro", None]})
    found = client.invoke(frame).get_predictions()
    assert found[0].tolist() == pytest.approx([probability(0.5, 1), probability(0, 2)], rel=1e-6)
