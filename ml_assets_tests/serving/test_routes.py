"""A route goes from the registry over the follower to the worker, with named variants."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.route import Route, Variant
from ml_assets.events.rows import Prediction, Traffic
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.storage.registry import RegisteredRoute, Version
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.served import INVOKE, ROW, Served

CANARY = Route(MODEL, "rollout 7", (Variant("champion", 1, 0.9), Variant("challenger", 2, 0.1)))
UNITS = {"champion": "c1", "challenger": "c5"}
"""Customers by the variant that they are assigned to."""


class Shelf:
    """A registry with two versions and any route; the challenger's artifact may be gone."""

    def __init__(self, route: Route = CANARY) -> None:
        self.route = route
        self.broken: set[int] = set()

    def routes(self) -> dict[str, RegisteredRoute]:
        versions = {each.name: Version(MODEL, each.version, "", {}) for each in self.route.variants}
        return {MODEL: RegisteredRoute(self.route, versions)}

    def is_new(self) -> bool:
        return False

    def manifest(self, version: Version) -> bytes:
        return released.manifest(
            version.number, float(version.number), feature_set=f"{MODEL}@{version.number}"
        ).to_json()

    def onnx(self, version: Version) -> bytes:
        if version.number in self.broken:
            raise OSError("the artifact is gone")
        return released.onnx(float(version.number))


def test_every_variant_is_fetched_and_loaded_and_answers_under_its_name(tmp_path: Path) -> None:
    registry: Any = Shelf()
    routes = Follower(registry, Releases.at(tmp_path)).look()
    assert {name: release.version for name, release in routes.models[MODEL].releases.items()} == {
        "champion": 1, "challenger": 2
    }  # fmt: skip
    served = Served(tmp_path)
    with served.client:
        route = served.worker.services.models.routes[MODEL]
        assert route.route == CANARY
        assert set(served.worker.services.features_as_of) == {f"{MODEL}@1", f"{MODEL}@2"}  # the store is asked for both
        assert [(model.variant, model.version) for model in route.models.values()] == [
            ("champion", "1"), ("challenger", "2")
        ]  # fmt: skip
        (answer,) = served.predict({"instances": [ROW]})
        assert (answer["variant"], answer["model_version"]) == ("champion", 1)
    assert [row.variant for row in served.events(Prediction)] == ["champion"]
    assert {row.variant for row in served.events(Traffic)} == {"champion"}


def test_a_challenger_that_cannot_be_fetched_takes_no_champion_with_it(tmp_path: Path) -> None:
    registry: Any = Shelf()
    registry.broken = {2}
    routes = Follower(registry, Releases.at(tmp_path)).look()
    assert routes.models[MODEL].default.version == 1
    assert list(routes.unfetched[MODEL]) == ["challenger"]
    assert "the artifact is gone" in routes.unfetched[MODEL]["challenger"]
    with Served(tmp_path).client as client:
        assert client.get("/models").json()["models"][0]["version"] == 1


@pytest.mark.parametrize("variant", ["champion", "challenger"])
def test_each_variant_answers_from_its_release_and_is_counted_by_its_name(tmp_path: Path, variant: str) -> None:
    registry: Any = Shelf()
    Follower(registry, Releases.at(tmp_path)).look()
    served = Served(tmp_path)
    with served.client:
        row = {**ROW, ENTITY: UNITS[variant]}
        (answer,) = served.predict({"instances": [row]})
        version = CANARY.variants[variant == "challenger"].version
        assert (answer["variant"], answer["model_version"]) == (variant, version)
        assert answer["score"] == pytest.approx(released.probability(0.5, 1, version), abs=1e-6)
        refusal = served.predict({"instances": [{"n": "many"}]})
        assert refusal["status"] == 422
        asked = served.client.post(INVOKE, json={"instances": [row]})
        assert asked.json()["predictions"] == [answer["score"]]
        assert served.client.get(f"/models/{MODEL}/ping").status_code == 200  # of the model, not of a variant
    assert {row.variant for row in served.events(Prediction)} == {variant}
    counts = {row.variant: (row.requests, row.refused) for row in served.events(Traffic)}
    assert counts == ({"champion": (4, 1)} if variant == "champion" else {"champion": (2, 1), "challenger": (2, 0)})


def test_what_is_wrong_with_a_variant_is_named_by_it_and_forgotten_with_it(tmp_path: Path) -> None:
    registry: Any = Shelf()
    releases = Releases.at(tmp_path)
    follower = Follower(registry, releases)
    follower.look()
    manifest = released.manifest(2, 2.0)
    (releases.folder / f"{manifest.sha256}.onnx").unlink()
    served = Served(tmp_path)
    with served.client as client:

        def wait_for(text: str | None) -> None:
            """Until `/health` says so of the challenger, and nothing of another variant."""
            until = time.monotonic() + 20
            while time.monotonic() < until:
                degraded = client.get("/health").json()["degraded"]
                models = {part: why for part, why in degraded.items() if part.startswith("model")}
                if text is None and not models:
                    return
                if text is not None and text in models.get(f"model {MODEL} (challenger)", ""):
                    assert len(models) == 1
                    return
                time.sleep(0.05)
            raise AssertionError(f"not {text}: {models}")

        wait_for("version 2 cannot be loaded")
        assert client.get("/ready").status_code == 200
        registry.route = Route.of_champion(MODEL, 1)
        follower.look()
        wait_for(None)


def test_the_champions_that_a_release_before_routes_wrote_answer_while_the_registry_is_away(tmp_path: Path) -> None:
    releases = Releases.at(tmp_path)
    name = releases.save_release(released.manifest().to_json(), released.onnx())
    old = {"release": name, "version": 1, "since": time.time(), "trouble": None}
    written = {"models": {MODEL: old}, "asked": time.time(), "trouble": None, "refused": {}}
    (releases.folder / "champions.json").write_text(json.dumps(written))

    class Away:
        def routes(self) -> Routes:
            raise OSError("away")

    registry: Any = Away()
    assert "does not answer" in str(Follower(registry, releases).look().trouble)
    served = Served(tmp_path)
    with served.client:
        (answer,) = served.predict({"instances": [ROW]})
        assert (answer["variant"], answer["model_version"]) == ("champion", 1)
