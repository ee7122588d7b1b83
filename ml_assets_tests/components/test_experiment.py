"""An experiment is an asset of its folder: it begins by itself, shows what is known, and says why it cannot begin."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from ml_assets.components.base import LOOP
from ml_assets.components.conditions import when_measurement_due
from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.components.templates.folder import render
from ml_assets.components.tree import FolderTree
from ml_assets.rollouts.turns import end_turn, take_turn
from ml_assets.settings import PROJECT, Settings
from ml_assets.storage.lake import Lake
from ml_assets_tests.components.test_conformance import quiet
from ml_assets_tests.rollouts.registered import MemoryRegistry, released

DECLARED = """
---
type: ml_assets.components.Experiment
attributes:
  name: price
  variants: {a: {version: champion, share: 0.5}, b: {version: 7, share: 0.5}}
  primary: {metric: purchase}
"""
KEY = dg.AssetKey(["late", "experiments", "price"])
REGISTRY = MemoryRegistry({each: released(each, "late") for each in (6, 7)}, model="late")


class Shelf(RegistryResource):
    """A registry in memory."""

    def open(self) -> Any:
        return REGISTRY


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> FolderTree:
    """A model folder whose `defs.yaml` declares the experiment."""
    defs = tmp_path_factory.mktemp("project") / "defs"
    for name, text in render("late", date(2026, 6, 7)).items():
        path: Path = defs / "late" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + DECLARED if name == "defs.yaml" else text, encoding="utf-8")
    for resource in (PROJECT / "ml_assets" / "defs").glob("*.py"):
        shutil.copy(resource, defs)
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(defs)]
    with quiet():
        tree = FolderTree(defs_module=module, project_root=PROJECT)
        assert tree.broken == {}
    return tree


def test_it_is_an_asset_of_the_folder_that_runs_by_itself_and_not_of_the_loop(tree: FolderTree) -> None:
    with quiet():
        definitions = tree.build_defs()
    (spec,) = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == KEY]
    assert (spec.group_name, spec.tags.get(LOOP)) == ("late", None)
    assert spec.description
    assert spec.automation_condition is not None
    assert KEY not in definitions.resolve_job_def("late_loop").asset_layer.selected_asset_keys


def _materialize(tree: FolderTree, root: Path) -> dg.ExecuteInProcessResult:
    lake = LakeResource(root=str(root), workers=1, duckdb=DuckDBResource(database=":memory:"))
    shelf = Shelf(uri="", artifacts=None, ui="")
    with quiet():
        asset = tree.build_defs_at_path("late").get_assets_def(KEY)
        return dg.materialize([asset], resources={"lake": lake, "registry": shelf, "settings": Settings(data=root)})


def _outcome(result: dg.ExecuteInProcessResult) -> tuple[dict[str, Any], dict[str, bool]]:
    (event,) = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    return metadata, {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_it_begins_measures_and_shows_what_is_known(tree: FolderTree, tmp_path: Path) -> None:
    metadata, checks = _outcome(_materialize(tree, tmp_path))
    assert metadata["action"] == "start"
    assert checks == {"running": True, "evidence": True}
    metadata, checks = _outcome(_materialize(tree, tmp_path))
    assert metadata["action"] == "continue"
    assert metadata["reason"].startswith("Wait: 0 of 1,000 units in the smallest variant")
    assert "data:image/png" in metadata["plot"]
    assert "| a | 6 | 50% | 0 | 0 |" in metadata["variants"]
    assert checks == {"running": True, "evidence": True}
    assert REGISTRY.route("late") is not None


def test_it_waits_for_its_turn_and_names_who_has_it(tree: FolderTree, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    take_turn(Lake(str(tmp_path)), "late", "rollout 7-1", now)
    metadata, checks = _outcome(_materialize(tree, tmp_path))
    assert "experiment price cannot begin while rollout 7-1 runs" in metadata["reason"]
    assert checks == {"running": False, "evidence": True}
    end_turn(Lake(str(tmp_path)), "late", "rollout 7-1", now)
    assert _outcome(_materialize(tree, tmp_path))[0]["action"] == "start"


class Hours:
    """Looks of the folder's sensor at an experiment, at minutes of a day."""

    def __init__(self, instance: dg.DagsterInstance, *, often: bool) -> None:
        self.instance, self.cursor, self.open = instance, None, True

        @dg.asset
        def log() -> None: ...

        @dg.asset(deps=[log], automation_condition=when_measurement_due(lambda: self.open, often=often))
        def experiment() -> None: ...

        self.assets: list[Any] = [log, experiment]

    def asks(self, minute: int) -> bool:
        """Whether one look asks for a run, which then happens."""
        now = datetime(2026, 6, 1, 12, 5, tzinfo=UTC) + timedelta(minutes=minute)
        found = dg.evaluate_automation_conditions(self.assets, self.instance, cursor=self.cursor, evaluation_time=now)
        self.cursor = found.cursor  # type: ignore[assignment]
        asked = found.get_num_requested(self.assets[1].key) > 0
        if asked:
            dg.materialize(self.assets, selection=self.assets[1:], instance=self.instance)
        return asked


@pytest.mark.parametrize(("often", "expected"), [(False, [0, 55, 115]), (True, [0, 10, 25, 40, 55])])
def test_it_is_measured_at_once_and_then_in_time_while_it_goes_on(*, often: bool, expected: list[int]) -> None:
    with quiet(), dg.DagsterInstance.ephemeral() as instance:
        hours = Hours(instance, often=often)
        assert [minute for minute in range(0, 60 if often else 120, 5) if hours.asks(minute)] == expected
        hours.open = False
        assert not any(hours.asks(minute) for minute in range(130, 250, 30))
