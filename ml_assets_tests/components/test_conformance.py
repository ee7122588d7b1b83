"""What is registered is complete, because it is registered: each folder, component type, field, asset and file."""

import ast
import contextlib
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel

from benchmarks.load import HEAVY
from ml_assets import components
from ml_assets.components import Model
from ml_assets.components.base import LOOP, SpecComponent
from ml_assets.components.sensors import loop_schedule
from ml_assets.settings import PROJECT
from ml_assets.spec.base import Declaration

PACKAGE = PROJECT / "ml_assets"
FOLDERS = sorted(path.parent.name for path in (PACKAGE / "defs").glob("*/defs.yaml"))
TYPES = [getattr(components, name) for name in components.__all__]
ASKED_FOR = {"policy_replay", "rollout", "incident"}  # by a person, or by a sensor of its own: not of the loop


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Dagster marks parts of its own component loader as beta, and calls a part of pydantic that is deprecated."""
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category)
        yield


@pytest.fixture(scope="module")
def tree() -> dg.ComponentTree:
    with quiet():
        return dg.ComponentTree.for_project(PROJECT)


@pytest.fixture(scope="module")
def definitions(tree: dg.ComponentTree) -> dg.Definitions:
    with quiet():
        return tree.build_defs()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return [*definitions.resolve_all_asset_specs()]


def declarations(kind: type[BaseModel]) -> set[type[BaseModel]]:
    """A declaration and those that its fields hold."""
    found = {kind}
    for field in kind.model_fields.values():
        for part in _types(field.annotation):
            if part not in found:
                found |= declarations(part)
    return found


def _types(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _types(part)


def test_there_are_folders_and_at_most_six_component_types() -> None:
    assert {"churn", "retail"} <= set(FOLDERS)
    assert 0 < len(TYPES) <= 6
    assert all(issubclass(kind, SpecComponent) for kind in TYPES)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_loads_on_its_own(tree: dg.ComponentTree, folder: str) -> None:
    with quiet():
        found = tree.build_defs_at_path(folder)
    keys = [key for assets in found.assets or [] for key in assets.keys]  # type: ignore[union-attr]
    assert {key.path[0] for key in keys} == {folder}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_tells_its_story_and_runs_by_itself(definitions: dg.Definitions, folder: str) -> None:
    assert len((PACKAGE / "defs" / folder / "README.md").read_text(encoding="utf-8").split()) > 100
    assert definitions.resolve_job_def(f"{folder}_loop").partitions_def is not None


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_query_of_a_folder_is_declared(folder: str) -> None:
    path = PACKAGE / "defs" / folder
    declared = (path / "defs.yaml").read_text(encoding="utf-8")
    assert [file.name for file in path.rglob("*.sql") if str(file.relative_to(path)) not in declared] == []


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_component_type_and_every_field_is_described(kind: type[SpecComponent[Any]]) -> None:
    assert kind.__doc__
    for declaration in declarations(kind.declaration):
        assert issubclass(declaration, Declaration), declaration
        assert declaration.__doc__, declaration
        bare = [name for name, field in declaration.model_fields.items() if not field.description]
        assert bare == [], declaration


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_an_unknown_field_is_refused(kind: type[SpecComponent[Any]]) -> None:
    with pytest.raises(ValueError, match="unknown field 'nonsense'"):
        kind.declaration.model_validate({"nonsense": 1})


def test_every_asset_has_a_group_kinds_the_tag_of_its_loop_and_a_description(specs: list[dg.AssetSpec]) -> None:
    assert len(specs) >= 20
    for spec in specs:
        folder = spec.key.path[0]
        looped = None if spec.key.path[-1] in ASKED_FOR else folder
        assert (spec.group_name, spec.tags.get(LOOP)) == (folder, looped), spec.key
        assert spec.kinds, spec.key
        assert spec.description, spec.key


def test_every_asset_of_a_loop_is_in_its_job(definitions: dg.Definitions, specs: list[dg.AssetSpec]) -> None:
    for folder in FOLDERS:
        selected = definitions.resolve_job_def(f"{folder}_loop").asset_layer.executable_asset_keys
        assert set(selected) == {spec.key for spec in specs if LOOP in spec.tags and spec.key.path[0] == folder}


def test_every_asset_is_a_pool_of_its_own(definitions: dg.Definitions, specs: list[dg.AssetSpec]) -> None:
    graph = definitions.resolve_asset_graph()
    for key in (spec.key for spec in specs):
        assert graph.get(key).pools == {"/".join(key.path)}


def test_freshness_is_what_the_yaml_declares(specs: list[dg.AssetSpec]) -> None:
    declared = {spec.key.to_user_string(): spec.freshness_policy for spec in specs if spec.freshness_policy}
    watched = {"drift_report", "performance_report", "prediction_report", "retraining_verdict", "alerts"}
    views = {"features/purchases", "features/engagement", "features/support", "features/tenure"}
    assert {key for key in declared if key.startswith("churn/")} == {
        f"churn/{name}" for name in {"champion"} | watched | views
    }


def test_every_gate_of_a_model_is_a_blocking_check(tree: dg.ComponentTree, definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for model in tree.get_all_components(of_type=Model):
        for gate in model.spec.gates:
            key = dg.AssetCheckKey(model.key("evaluation_report"), gate.name)
            assert graph.get_check_spec(key).blocking, key


def test_the_record_of_a_release_follows_the_fairness_report_where_groups_are_declared(
    tree: dg.ComponentTree, definitions: dg.Definitions
) -> None:
    graph = definitions.resolve_asset_graph()
    for model in tree.get_all_components(of_type=Model):
        report = model.key("fairness_report" if model.spec.fairness else "evaluation_report")
        assert report in graph.get(model.key("release_record")).parent_keys, report


def test_every_sensor_runs_from_the_start(definitions: dg.Definitions) -> None:
    sensors = {sensor.name: sensor for sensor in definitions.sensors or []}
    own = {f"{folder}_{what}" for folder in FOLDERS for what in ("data", "automation", "retrain")}
    assert set(sensors) == own | {"alerts", "dead_slots", "failed_runs", "failed_sensors", "old_runs", "recovered_runs"}
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}


def test_a_schedule_runs_the_whole_loop_at_the_date_that_is_due() -> None:
    dates: list[date] = []
    schedule = loop_schedule("churn", lambda: dates, "0 2 * * 0")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "churn_loop"
    assert isinstance(schedule(), dg.SkipReason)
    dates.append(date(2026, 8, 30))
    request: Any = schedule()
    assert request.partition_key == "2026-08-30"


def test_no_file_got_away() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path.name: n for path, n in lines.items() if n >= 300} == {}
    assert {path.name: n for path, n in lines.items() if path.parent.name == "components" and n >= 200} == {}


def test_every_public_function_has_a_docstring() -> None:
    """Ruff knows this rule for the package; an asset body is nested, and its docstring is what the UI shows."""
    bodies = [ast.parse((PACKAGE / "components" / f"{name}.py").read_text()) for name in ("model", "online_features")]
    nodes = [node for body in bodies for node in ast.walk(body)]
    assets = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.decorator_list]
    nested = [node for node in assets if any("asset" in ast.unparse(each) for each in node.decorator_list)]
    assert len(nested) >= 7
    assert [node.name for node in nested if not ast.get_docstring(node)] == []


def test_the_yaml_holds_no_expressions() -> None:
    for path in (PACKAGE / "defs").glob("*/defs.yaml"):
        assert not re.search(r"\{\{|\$\{", path.read_text(encoding="utf-8")), path


LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
from ml_assets.definitions import definitions
assert definitions().resolve_all_asset_specs()
print(json.dumps(sorted(sys.modules)))
"""


def test_loading_the_definitions_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "dagster" in loaded
    assert sorted(loaded & set(HEAVY)) == []
