"""A product that calls no model asks for the variant of a unit, and tells what came of it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.decisions.route import Route, Variant
from ml_assets.events.exposures import Exposure
from ml_assets.events.rows import Outcome
from ml_assets.events.unit_outcomes import unit_outcome_id
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.storage.model_version import Version
from ml_assets.storage.registry import RegisteredRoute
from ml_assets.storage.route_tag import ENDED
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.served import ROW, Served, refused
from ml_assets_tests.serving.test_routes import Shelf

PRICE = Route(MODEL, f"{MODEL}/price", (Variant("a", 1, 0.5), Variant("b", 2, 0.5)), experiment="price")
ASKED = "/experiments/price/assignment"
SEEN_AT = "2026-11-20T08:00:00Z"


class Ended(Shelf):
    """An experiment has ended: its versions say so."""

    def routes(self) -> dict[str, RegisteredRoute]:
        verdict = {f"{ENDED}price": "Ship b: b is better"}
        return {MODEL: RegisteredRoute(self.route, {"champion": Version(MODEL, 1, "", verdict)})}


def begin(data: Path, registry: Any) -> Served:
    Follower(registry, Releases.at(data)).look()
    return Served(data)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    served = begin(tmp_path, Shelf(PRICE))
    with served.client:
        yield served


def test_a_unit_is_assigned_for_ever_and_its_exposure_is_recorded_once(running: Served) -> None:
    expected = {f"c{n}": assign_variant(unit_point(PRICE.salt, f"c{n}"), PRICE.shares, "a") for n in range(20)}
    for _ in range(2):
        for unit, variant in expected.items():
            answer = running.client.get(ASKED, params={"unit": unit})
            assert answer.json() == {
                "experiment": "price", "unit": unit, "variant": variant, "version": {"a": 1, "b": 2}[variant]
            }  # fmt: skip
    exposures = running.events(Exposure)
    assert {row.entity: row.variant for row in exposures} == expected
    assert len(exposures) == 20
    assert set(expected.values()) == {"a", "b"}


def test_the_model_answers_a_unit_by_the_same_variant(running: Served) -> None:
    asked = running.client.get(ASKED, params={"unit": "c7"}).json()
    (answer,) = running.predict({"instances": [{**ROW, ENTITY: "c7"}]})
    assert (answer["variant"], answer["model_version"]) == (asked["variant"], asked["version"])
    assert len(running.events(Exposure)) == 1


def test_what_came_of_a_unit_is_told_without_an_answer(running: Served) -> None:
    running.client.get(ASKED, params={"unit": "c7"})
    told = {"experiment": "price", "unit": "c7", "kind": "purchase", "value": 12.5, "observed_at": SEEN_AT}
    for _ in range(2):
        answer = running.client.post("/outcomes", json={"outcomes": [told]})
        assert answer.json() == {"accepted": 1}, answer.text
    (row,) = running.events(Outcome)
    (exposure,) = running.events(Exposure)
    assert (row.model, row.kind, row.value) == (MODEL, "purchase", "12.5")
    assert row.prediction_id == exposure.prediction_id == unit_outcome_id(MODEL, "price", "c7")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"experiment": None}, 422),
        ({"unit": None}, 422),
        ({"prediction_id": "churn.01a20229-5b74-7a6c-80cf-ea8f9f794b59"}, 422),
        ({"experiment": "colour"}, 404),
        ({"unit": ""}, 422),
        ({"unit": "x" * 301}, 422),
        ({"kind": "label", "value": "yes"}, 422),
    ],
)
def test_an_outcome_of_a_unit_says_whose_it_is(running: Served, change: dict[str, Any], status: int) -> None:
    told = {"experiment": "price", "unit": "c7", "kind": "purchase", "value": 1, "observed_at": SEEN_AT} | change
    answer = running.client.post("/outcomes", json={"outcomes": [told]})
    assert answer.status_code == status
    assert answer.json()["remedy"]
    assert running.events(Outcome) == []


@pytest.mark.parametrize("unit", [None, "", "x" * 301, "a\0b"])
def test_a_unit_has_a_name(running: Served, unit: str | None) -> None:
    params = {} if unit is None else {"unit": unit}
    assert refused(running.client.get(ASKED, params=params), 422, "invalid-field")["field"] == "unit"


def test_an_experiment_that_is_not_there_is_unknown(running: Served) -> None:
    answer = refused(
        running.client.get("/experiments/colour/assignment", params={"unit": "c7"}), 404, "unknown-experiment"
    )
    assert answer["remedy"] == "running are: price"


def test_a_stage_of_a_rollout_is_no_experiment(tmp_path: Path) -> None:
    served = begin(tmp_path, Shelf(replace(PRICE, experiment="7-1/0")))
    with served.client as client:
        answer = refused(client.get("/experiments/7-1/assignment", params={"unit": "c7"}), 404, "unknown-experiment")
        assert answer["remedy"] == "running are: none"


def test_an_experiment_that_has_ended_says_how_and_its_late_outcomes_are_taken(tmp_path: Path) -> None:
    served = begin(tmp_path, Ended(Route.of_champion(MODEL, 1)))
    with served.client as client:
        answer = refused(client.get(ASKED, params={"unit": "c7"}), 409, "not-running")
        assert answer["detail"] == "experiment price does not run: Ship b: b is better"
        told = {"experiment": "price", "unit": "c7", "kind": "purchase", "value": 1, "observed_at": SEEN_AT}
        assert client.post("/outcomes", json={"outcomes": [told]}).json() == {"accepted": 1}
    assert served.events(Exposure) == []


def test_nobody_is_assigned_after_its_last_day(tmp_path: Path) -> None:
    served = begin(tmp_path, Shelf(replace(PRICE, until=time.time() - 120)))
    with served.client as client:
        answer = refused(client.get(ASKED, params={"unit": "c7"}), 409, "not-running")
        assert "its last day has passed" in answer["detail"]


def test_nobody_is_assigned_while_a_variant_is_not_loaded(tmp_path: Path) -> None:
    registry = Shelf(PRICE)
    registry.broken = {2}
    served = begin(tmp_path, registry)
    with served.client as client:
        assert "not every variant" in refused(client.get(ASKED, params={"unit": "c7"}), 503, "loading")["detail"]
    assert served.events(Exposure) == []
