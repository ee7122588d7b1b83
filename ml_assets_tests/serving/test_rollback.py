"""A rollback is everywhere within two seconds: under load, in every worker, also with a remote registry."""

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.events.exposures import Exposure, VariantFailure
from ml_assets.events.store import EventStore
from ml_assets.settings import Settings
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.storage.registry import Registry, Version
from ml_assets_tests.processes import tracking
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.released import INPUTS, MODEL
from ml_assets_tests.serving.rollouts import route, row
from ml_assets_tests.serving.served import PREDICT

WITHIN = 2.0
"""Seconds from the write of the registry to the last answer of the challenger."""


def _release(registry: Registry, shift: float) -> Version:
    """A version with its manifest, which nobody serves yet."""
    content = released.onnx(shift)
    with registry.run(MODEL, "x", {"as_of": str(released.AS_OF), "recipe": f"shift {shift}"}) as run:
        kinds = {each.name: each.kind for each in INPUTS}
        version = run.register(ModelPackage(content, kinds, (), PROBABILITIES, MISSING), {})
    manifest = replace(released.manifest(version.number, shift), sha256=sha256(content).hexdigest())
    return registry.publish(version, manifest.to_json())


@dataclass
class Customers:
    """Clients that ask for one customer after the other.

    Args:
        url: of the server.
        answers: variant → when it answered last, and how often.
        failed: what went wrong.
    """

    url: str
    answers: dict[str, tuple[float, int]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _names: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def asking(self, clients: int = 6) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask_on) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def count(self, variant: str) -> int:
        return self.answers.get(variant, (0.0, 0))[1]

    def has(self, count: int) -> bool:
        """Whether the challenger has answered so often."""
        return self.count(CHALLENGER) >= count

    def _ask_on(self) -> None:
        with httpx2.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            while not self._stop.is_set():
                sent = time.monotonic()
                answer = client.post(PREDICT, json={"instances": [row(f"c{next(self._names)}")]})
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                    continue
                variant = answer.json()["predictions"][0]["variant"]
                self.answers[variant] = max(self.answers.get(variant, (0.0, 0))[0], sent), self.count(variant) + 1


def _rollbacks(data: Path, registry: Registry, uri: str = "") -> list[float]:
    """Begin and end a canary three times under load; the seconds that the challenger went on.

    Args:
        data: the folder of the server.
        registry: with no version yet.
        uri: of a tracking server that the server asks; empty: it asks the database in the folder.
    """
    champion, _ = _release(registry, 0.0), _release(registry, 2.0)
    registry.promote(champion)
    took = []
    with serving(data, workers=2, MLFLOW_TRACKING_URI=uri) if uri else serving(data, workers=2) as server:
        load = Customers(server.url)
        with load.asking():
            for number in range(3):
                before = load.count(CHALLENGER)
                registry.set_route(route(experiment=f"7-1/{number}"))
                server.wait("the challenger", partial(load.has, before + 50))
                registry.clear_route(MODEL)
                ended = time.monotonic()
                time.sleep(1.25 * WITHIN)  # a worker that has not heard of it answers on and on
                took.append(load.answers[CHALLENGER][0] - ended)
                assert load.answers[CHAMPION][0] > ended + WITHIN
    assert load.failed == []
    return took


def _require_measured(data: Path) -> None:
    """Each unit was exposed to one variant, and nothing failed."""
    with EventStore(Settings(data=data).event_store_url) as store:
        exposures = store.read_since(Exposure, 0, 1_000_000, model=MODEL).rows
        failures = store.read_since(VariantFailure, 0, 1_000_000, model=MODEL).rows
    assert {each.variant for each in exposures} == {CHAMPION, CHALLENGER}
    assert len({(each.experiment, each.entity) for each in exposures}) == len(exposures)
    assert failures == ()


def test_a_rollback_is_everywhere_within_two_seconds_under_load(tmp_path: Path, empty_registry: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_registry, tmp_path / "mlflow" / "mlflow.db")
    registry = Registry(f"sqlite:///{tmp_path}/mlflow/mlflow.db", str(tmp_path / "mlflow" / "artifacts"))
    took = _rollbacks(tmp_path, registry)
    assert max(took) < WITHIN, took
    _require_measured(tmp_path)


@pytest.mark.slow
def test_a_rollback_is_everywhere_within_two_seconds_under_load_with_a_remote_registry(
    tmp_path: Path, empty_registry: Path
) -> None:
    shutil.copy(empty_registry, tmp_path / "remote.db")
    with tracking(f"sqlite:///{tmp_path}/remote.db", tmp_path, artifacts=None) as uri:
        took = _rollbacks(tmp_path / "data", Registry(uri), uri)
    assert max(took) < WITHIN, took
    _require_measured(tmp_path / "data")
