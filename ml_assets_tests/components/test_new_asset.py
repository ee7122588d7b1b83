"""A new asset is added by its component alone: jobs, reserved names and the way around a gate follow from the graph."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from ml_assets.commands.run import after_champion
from ml_assets.components.base import LOOP, Result, SpecComponent, asset_names
from ml_assets.components.naming import require_name
from ml_assets.components.templates.folder import render
from ml_assets.components.tree import FolderTree
from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT
from ml_assets.spec.base import Declaration
from ml_assets_tests.components.test_conformance import quiet


class LiftSpec(Declaration):
    """Nothing to declare."""


class LiftTable(SpecComponent[LiftSpec]):
    """A component with an asset that follows the champion."""

    declaration = LiftSpec
    assets = ("lift_table",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        @self.asset(self.key("lift_table"), "duckdb", deps=[self.key("predictions")])
        def lift_table() -> Result:
            return Result()

        return dg.Definitions(assets=[lift_table])


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    """A model folder whose `defs.yaml` names the component."""
    defs = tmp_path_factory.mktemp("project") / "defs"
    for name, text in render("late", date(2026, 6, 7)).items():
        path: Path = defs / "late" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        more = f"\n---\ntype: {__name__}.LiftTable\nattributes: {{}}\n" if name == "defs.yaml" else ""
        path.write_text(text + more, encoding="utf-8")
    for resource in (PROJECT / "ml_assets" / "defs").glob("*.py"):
        shutil.copy(resource, defs)
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(defs)]
    with quiet():
        tree = FolderTree(defs_module=module, project_root=PROJECT)
        assert tree.broken == {}
        yield tree.build_defs()


def test_it_is_of_the_loop_and_runs_with_the_champion_of_before(definitions: dg.Definitions) -> None:
    key = dg.AssetKey(["late", "lift_table"])
    job = definitions.resolve_job_def("late_loop")
    assert key in job.asset_layer.selected_asset_keys
    assert key in after_champion(job, "late")
    (spec,) = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == key]
    assert (spec.group_name, spec.tags[LOOP]) == ("late", "late")


def test_its_name_is_reserved() -> None:
    assert "lift_table" in asset_names()
    with pytest.raises(DeclarationError, match="'lift_table' is what an asset of every model is called"):
        require_name("lift_table")


def test_one_that_its_component_does_not_list_is_refused(tmp_path: Path) -> None:
    component = LiftTable(LiftSpec(), tmp_path / "late")
    with pytest.raises(ValueError, match="add it to `assets` of LiftTable"):
        component.asset(component.key("predictions"))
    with pytest.raises(ValueError, match="add it to `assets` of its component"):
        component.key("gain_table")


def test_after_a_gate_that_does_not_pass_all_runs_that_the_champion_of_before_can(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("late_loop")
    after = {key.path[-1] for key in after_champion(job, "late")}
    left = {key.path[-1] for key in job.asset_layer.selected_asset_keys} - after
    assert {"predictions", "prediction_log", "online_consistency", "drift_report", "retraining_verdict"} <= after
    assert {"training_set", "model", "evaluation_report", "release_record", "champion"} <= left
