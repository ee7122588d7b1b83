"""An experiment with a real registry and a real server: begun by the graph, followed by the server, measured, ended."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.rollouts.experiment import stop, take_step
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.rollouts.experiment_report import ExperimentReport, read_report
from ml_assets.serving.models.follower import Follower
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.served import ROW, Served

SPEC = ExperimentSpec.model_validate({
    "name": "price", "primary": {"metric": "purchase", "window": "1m", "delay": "1m"},
    "variants": {"a": {"version": "champion", "share": 0.5}, "b": {"version": 2, "share": 0.5}},
})  # fmt: skip
ASKED = "/experiments/price/assignment"


def _release(registry: Registry, number: int) -> None:
    """A version that a server can load; the first one is the champion."""
    onnx = released.onnx(float(number))
    with registry.run(MODEL, f"v{number}", {"as_of": "2026-11-15", "recipe": f"r{number}"}) as run:
        run.log({}, {})
        version = run.register(ModelPackage(onnx, {"n": "number"}, (), "probabilities", ""), {"training.json": b"{}"})
    registry.publish(version, released.manifest(number, float(number)).to_json())
    if number == 1:
        registry.promote(version)


class Shop:
    """A graph and a server over one registry."""

    def __init__(self, root: Path) -> None:
        self.registry = Registry(f"sqlite:///{root}/mlflow.db", str(root / "artifacts"))
        for number in (1, 2):
            _release(self.registry, number)
        self.lake, self.served = Lake(str(root / "lake")), Served(root / "data")
        self.follower = Follower(self.registry, self.served.worker.services.releases)

    def step(self, after: timedelta = timedelta()) -> ExperimentStep:
        """Take what the server wrote, and the next step."""
        now = datetime.now(UTC).replace(tzinfo=None) + after
        with EventStore(self.served.settings.event_store_url) as store:
            take(self.lake, store, MODEL, None)
            return take_step(self.lake, self.registry, store, MODEL, SPEC, now, actor="asset", entity=ENTITY)

    def ask(self, unit: str) -> dict[str, object]:
        answer: dict[str, object] = self.served.client.get(ASKED, params={"unit": unit}).json()
        return answer

    def wait_for(self, true: Callable[[], bool]) -> float:
        """Seconds until the server does so."""
        began = time.monotonic()
        self.follower.look()
        while not true():
            assert time.monotonic() < began + 20
            time.sleep(0.02)
        return time.monotonic() - began


def _visit(shop: Shop, unit: str, *, by_model: bool) -> None:
    """A customer is answered, by the model or by the product, and buys where the variant is b."""
    told: dict[str, object] = {"experiment": "price", "unit": unit}
    if by_model:
        (answer,) = shop.served.predict({"instances": [{**ROW, ENTITY: unit}]})
        told = {"prediction_id": answer["prediction_id"]}
    assigned = shop.ask(unit)
    now = datetime.now(UTC).isoformat()
    outcome = {**told, "kind": "purchase", "value": float(assigned["variant"] == "b"), "observed_at": now}
    answered = shop.served.client.post("/outcomes", json={"outcomes": [outcome]})
    assert answered.json() == {"accepted": 1}, answered.text


@pytest.mark.slow
def test_an_experiment_is_served_measured_and_ended(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.follower.look()
    with shop.served.client as client:
        assert client.get(ASKED, params={"unit": "c1"}).status_code == 404
        assert shop.step().action == "start"
        shop.wait_for(lambda: "variant" in shop.ask("c1"))
        for number in range(1, 121):
            _visit(shop, f"c{number}", by_model=number % 2 == 0)
        step = shop.step(after=timedelta(minutes=3))
        report = read_report(step.evidence)
        assert report is not None
        _require_truth(report)
        now = datetime.now(UTC).replace(tzinfo=None)
        stop(shop.lake, shop.registry, MODEL, "price", now, actor="ada", reason="enough is known")
        took = shop.wait_for(lambda: client.get(ASKED, params={"unit": "c1"}).status_code == 409)
        assert took < 2
        assert "stopped: enough is known" in str(shop.ask("c1")["detail"])
        answers = shop.served.predict({"instances": [{**ROW, ENTITY: f"c{n}"} for n in range(5)]})
        assert {(each["variant"], each["model_version"]) for each in answers} == {("champion", 1)}


def _require_truth(report: ExperimentReport) -> None:
    """Each customer of b bought, and nobody else did; nothing speaks against the counts."""
    assert (report.action, report.faults) == ("continue", ())
    assert sum(variant.exposed for variant in report.variants) == 120
    assert [variant.mean for variant in report.variants] == [0.0, 1.0]
