"""A rollout in the graph: the sensor acts, the asset shows, the page of a rollback is asked for, a job goes back."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from ml_assets.components.base import LOOP
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.components.rollout_checks import rollout_checks
from ml_assets.components.rollout_sensor import RolloutCursor, request_comparison
from ml_assets.components.templates.folder import render
from ml_assets.components.tree import FolderTree
from ml_assets.decisions.route import CHALLENGER
from ml_assets.events.exposures import Exposure
from ml_assets.rollouts.rollout import promote_by_hand
from ml_assets.settings import PROJECT, Settings
from ml_assets.spec.rollout import QualitySpec, RolloutSpec
from ml_assets_tests.components.test_conformance import quiet
from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import MODEL, Scene
from ml_assets_tests.rollouts.test_ledger import FIRST

DECLARED = """
---
type: ml_assets.components.Rollout
attributes:
  guardrails: [{metric: errors, at_most_worse: 0.02}]
  shadow: {after: 14d}
  quality: []
"""
ROLLOUT, INCIDENT = dg.AssetKey([MODEL, "rollout"]), dg.AssetKey([MODEL, "incident"])


class Shelf(RegistryResource):
    """The registry of a scene."""

    scene: ClassVar[Scene]

    def open(self) -> Any:
        return self.scene.known


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> FolderTree:
    """A model folder that declares a rollout."""
    return _tree(tmp_path_factory.mktemp("project") / "defs", DECLARED)


def _tree(defs: Path, declared: str) -> FolderTree:
    for name, text in render(MODEL, date(2026, 6, 7)).items():
        path = defs / MODEL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + declared if name == "defs.yaml" else text, encoding="utf-8")
    for resource in (PROJECT / "ml_assets" / "defs").glob("*.py"):
        shutil.copy(resource, defs)
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(defs)]
    with quiet():
        tree = FolderTree(defs_module=module, project_root=PROJECT)
        assert tree.build_defs()
    return tree


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    now = datetime.now(UTC).replace(tzinfo=None)
    scene = Scene(tmp_path, Tiny(tmp_path).folder(), now=now)
    Shelf.scene = scene
    yield scene
    scene.store.close()


@pytest.fixture
def resources(scene: Scene) -> dict[str, Any]:
    return {
        "lake": LakeResource(root=scene.lake.root, workers=1, duckdb=DuckDBResource(database=":memory:")),
        "registry": Shelf(uri="", artifacts=None, ui=""),
        "settings": Settings(data=scene.root, event_store=f"sqlite:///{scene.root}/events.db"),
    }


def materialize(
    tree: FolderTree, resources: dict[str, Any], key: dg.AssetKey
) -> tuple[dict[str, Any], dict[str, bool]]:
    """The metadata of an asset, and its checks."""
    with quiet():
        asset = tree.build_defs_at_path(MODEL).get_assets_def(key)
        result = dg.materialize([asset], resources=resources)
    (event,) = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    return metadata, {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def find_sensor(definitions: dg.Definitions) -> Any:
    return next(sensor for sensor in definitions.sensors or () if sensor.name == f"{MODEL}_rollout")


def look(tree: FolderTree, resources: dict[str, Any], cursor: str | None = None) -> Any:
    """A tick of the sensor."""
    with quiet(), dg.build_sensor_context(cursor=cursor, resources=resources) as context:
        return find_sensor(tree.build_defs_at_path(MODEL))(context)


def keys(ticked: dg.SensorResult) -> list[str | None]:
    return [request.run_key for request in ticked.run_requests or []]


def test_its_parts_are_no_part_of_the_loop(tree: FolderTree) -> None:
    assert tree.broken == {}
    with quiet():
        definitions = tree.build_defs()
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    for key in (ROLLOUT, INCIDENT):
        assert (specs[key].group_name, specs[key].tags.get(LOOP)) == (MODEL, None)
        assert key not in definitions.resolve_job_def(f"{MODEL}_loop").asset_layer.selected_asset_keys
    assert find_sensor(definitions).default_status == dg.DefaultSensorStatus.RUNNING
    assert definitions.resolve_job_def(f"{MODEL}_rollback").description


def test_two_rollouts_of_a_model_are_refused(tmp_path: Path) -> None:
    assert "declares 2 components Rollout: declare exactly one" in _tree(tmp_path, DECLARED * 2).broken[MODEL]


def test_a_candidate_is_begun_by_the_asset_and_tried_again_once_servers_have_answered(
    tree: FolderTree, scene: Scene, resources: dict[str, Any]
) -> None:
    idle = look(tree, resources)
    assert (keys(idle), idle.skip_reason.skip_message) == ([], "no candidate was offered yet")
    scene.offer()
    first = look(tree, resources, idle.cursor)
    (key,) = keys(first)
    assert str(key).startswith(f"{MODEL}/rollout/begin/7/")
    assert first.run_requests[0].asset_selection == [ROLLOUT]
    metadata, checks = materialize(tree, resources, ROLLOUT)
    assert "has answered 0 of the 100 times" in metadata["now"]
    assert checks == {"sample_ratio": True, "supervised": True, "errors": True}
    assert keys(look(tree, resources, first.cursor)) == [], "nobody has asked since"
    scene.answer()
    assert keys(look(tree, resources, first.cursor)) == [], "it was asked for a moment ago"
    cursor = RolloutCursor.read(first.cursor)
    cursor.asked_at -= timedelta(minutes=5)
    (again,) = keys(look(tree, resources, cursor.model_dump_json()))
    assert again == f"{str(key).rpartition('/')[0]}/200"
    metadata, _ = materialize(tree, resources, ROLLOUT)
    assert (metadata["rollout"], metadata["share"], metadata["stage"]) == ("7-1", 0.1, "1 of 3")


def test_the_sensor_looks_for_labels_once_an_hour_after_a_promotion(
    tree: FolderTree, scene: Scene, resources: dict[str, Any]
) -> None:
    scene.spec = scene.spec.model_copy(update={"quality": (QualitySpec(metric="brier"),)})
    scene.started()
    promote_by_hand(scene.lake, scene.known, MODEL, reason="good", actor="ada", now=scene.now)
    first = look(tree, resources)
    step, labels = (str(key) for key in keys(first))
    assert step == f"{MODEL}/rollout/7-1/1"
    assert labels.startswith(f"{MODEL}/rollout/labels/7-1/")
    assert len(keys(look(tree, resources, first.cursor))) <= 1, "an hour may have begun meanwhile"


def test_the_sensor_takes_a_step_at_once_and_asks_for_its_picture_and_the_page(
    tree: FolderTree, scene: Scene, resources: dict[str, Any]
) -> None:
    scene.started()
    begun = look(tree, resources)
    assert keys(begun) == [f"{MODEL}/rollout/7-1/0"]
    assert keys(look(tree, resources, begun.cursor)) == []
    scene.ask(3_000, challenger=0.3)
    ticked = look(tree, resources, begun.cursor)
    assert scene.registry.served == {"champion 6": 1.0}
    first, second = keys(ticked)
    assert first == f"{MODEL}/rollout/7-1/1"
    assert str(second).startswith(f"{MODEL}/incident/7-1 ")
    assert ticked.run_requests[0].tags["reason"].startswith("rollout 7-1: roll_back, errors: ")
    assert keys(look(tree, resources, ticked.cursor)) == []
    assert keys(look(tree, resources)) == [first, second], "a cursor that was lost asks for the same runs"

    metadata, checks = materialize(tree, resources, ROLLOUT)
    assert (metadata["verdict"], metadata["share"], metadata["actor"]) == ("roll_back", 0.0, "sensor")
    assert "data:image/png" in metadata["plot"]
    assert "units are the challenger's" in metadata["guardrails"]
    assert metadata["log_e_errors"] > 3
    assert checks == {"sample_ratio": True, "supervised": True, "errors": False}
    page, _ = materialize(tree, resources, INCIDENT)
    assert (page["version"], page["answers_instead"], page["actor"]) == (7, 6, "sensor")
    content = Path(page["page"]).read_text(encoding="utf-8")
    assert "shop: version 7 was rolled back" in content
    assert "data:image/png" in content


def test_a_sample_ratio_that_is_off_fails_its_check(tree: FolderTree, scene: Scene, resources: dict[str, Any]) -> None:
    scene.started()
    scene.write(*(Exposure(MODEL, "7-1/0", f"e{n}", CHALLENGER, f"e{n}", 1) for n in range(500)))
    look(tree, resources)
    metadata, checks = materialize(tree, resources, ROLLOUT)
    assert metadata["verdict"] == "error"
    assert checks == {"sample_ratio": False, "supervised": True, "errors": True}


def test_a_stage_that_nobody_watched_fails_its_check(tree: FolderTree, scene: Scene, resources: dict[str, Any]) -> None:
    now, scene.now = scene.now, scene.now - timedelta(hours=5)
    scene.started()
    scene.now = now
    look(tree, resources)
    metadata, checks = materialize(tree, resources, ROLLOUT)
    assert metadata["verdict"] == "restart"
    assert checks["supervised"] is False


def test_before_the_first_rollback_there_is_no_page(tree: FolderTree, scene: Scene, resources: dict[str, Any]) -> None:
    assert scene.steps == []
    assert materialize(tree, resources, INCIDENT) == ({"reason": "nothing was rolled back yet"}, {})


def test_a_person_goes_back_by_the_job(tree: FolderTree, scene: Scene, resources: dict[str, Any]) -> None:
    scene.started()
    with quiet():
        job = tree.build_defs().resolve_job_def(f"{MODEL}_rollback")
        config = {"ops": {f"{MODEL}_roll_back": {"config": {"reason": "it hurts"}}}}
        result = job.execute_in_process(run_config=config, resources=resources)
    assert result.success
    assert (scene.actions, scene.registry.served) == (["start", "roll_back"], {"champion 6": 1.0})
    assert (scene.steps[-1].actor, scene.steps[-1].reason) == ("a person", "it hurts")


def test_every_guardrail_and_quality_is_a_check() -> None:
    spec = RolloutSpec.model_validate({"quality": [{"metric": "brier"}]})
    names = [check.name for check in rollout_checks(ROLLOUT, spec)]
    assert names == ["sample_ratio", "supervised", "errors", "latency", "missing", "disagreement", "brier"]


@pytest.mark.parametrize(("quality", "asked"), [("[]", False), ('[{"metric": "brier"}]', True)])
def test_labels_are_looked_for_where_quality_has_a_limit(quality: str, asked: bool) -> None:
    promoted = replace(FIRST, action="promote", policy=f'{{"quality": {quality}}}')
    request = request_comparison(MODEL, ROLLOUT, RolloutCursor(), promoted, FIRST.at)
    assert (request is not None) is asked
