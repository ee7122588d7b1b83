"""Dagster's tools read a `defs.yaml` for themselves; what they understand is what `spec.load` understands."""

from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from ml_assets import defs
from ml_assets.components.base import SpecComponent
from ml_assets.components.tree import FolderTree
from ml_assets.errors import DeclarationError
from ml_assets.features import FeatureStore
from ml_assets.settings import PROJECT
from ml_assets.spec.load import FILE, FolderSpecs, load_folder, model_folders
from ml_assets_tests.components.test_conformance import quiet

FOLDERS = model_folders(PROJECT / "ml_assets" / "defs")
MODEL = """type: ml_assets.components.Model
attributes:
  entity: customer
  cadence: {every: weekly, start: 2026-01-04}
  label: {sql: label.sql, horizon: 14d}
  features: [habits]
"""
# What YAML, templates and pydantic could each make something of that another reader does not.
ODD = f"""# first a comment
type: ml_assets.components.Source
attributes: {{name: orders, files: "orders/{{{{ env.SHOP }}}}-*.csv", event_time: made_at, description: 2026-01-04}}
---
type: ml_assets.components.source.Source
attributes: &usual
  name: visits
  files: visits/{{{{ env('ABSENT', 'all') }}}}.csv
  event_time: &time seen_at
  key: [*time, "no", "012"]
---
type: ml_assets.components.FeatureView
attributes: {{name: habits, sql: habits.sql, ttl: 36h, description: "{{{{ env.SHOP }}}} 😀", owners: ["team:a"]}}
---
type: ml_assets.components.Monitor
attributes:
  drift: {{<<: &limits {{psi: 0.25}}, features: {{plan: *limits, "on": {{psi: 1e-1}}}}}}
  retrain: {{after: 0x3, cooldown: 14d, age: null}}
---
{MODEL}"""


def specs_of(tree: dg.ComponentTree, path: Path) -> FolderSpecs:
    with quiet():
        decls = tree.find_decl_at_path(path).iterate_child_component_decls()
        components: list[Any] = [tree.load_component(decl.loc) for decl in decls]
    assert all(isinstance(component, SpecComponent) for component in components)
    names = ("Source", "FeatureView", "Model", "Monitor")
    kinds: list[Any] = [tuple(one.spec for one in components if type(one).__name__ == name) for name in names]
    return FolderSpecs(path, *kinds)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP", "müller")
    for folder in ("odd", "group/nested"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / FILE).write_text(ODD if folder == "odd" else MODEL, encoding="utf-8")
    return tmp_path


def trees(root: Path) -> list[dg.ComponentTree]:
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(root)]
    return [kind(defs_module=module, project_root=PROJECT) for kind in (dg.ComponentTree, FolderTree)]


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_of_every_folder_dagster_and_the_functions_have_the_same_declarations(path: Path) -> None:
    loaded = load_folder(path)
    assert len(loaded.models) == 1
    for kind in (dg.ComponentTree, FolderTree):
        assert specs_of(kind(defs_module=defs, project_root=PROJECT), path) == loaded


def test_templates_dates_anchors_and_nested_folders_are_the_same_for_all(project: Path) -> None:
    folders = model_folders(project)
    assert [path.name for path in folders] == ["nested", "odd"]
    for path in folders:
        loaded = load_folder(path)
        assert all(specs_of(tree, path) == loaded for tree in trees(project))
    assert loaded.sources[0].files == "orders/müller-*.csv"
    assert loaded.sources[0].description == "2026-01-04"
    assert loaded.sources[1].key == ["seen_at", "no", "012"]
    assert (loaded.monitors[0].drift.psi, loaded.monitors[0].retrain.after) == (0.25, 3)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("entity: customer", "entity: '{{ env.ABSENT }}'", r":21: attributes: .* ABSENT is not set"),
        ("horizon: 14d", "horizon: 14", r":24: attributes.label.horizon: 14 is no duration"),
        (
            "features: [habits]",
            "featurs: [habits]",
            r":25: attributes: unknown field 'featurs': did you mean 'features'",
        ),
        ("attributes:\n  entity", "attribute:\n  entity", r":21: unknown key 'attribute': did you mean 'attributes'"),
        ("components.Model", "components.Modle", r":20: type: .*did you mean ml_assets.components.Model\?"),
        ("features: [habits]", "features: [habits", r":2\d: not valid YAML: .*check brackets"),
        ("features: [habits]", "features: [habits]\n---\n", r":2\d: no component: write `type: ml_assets.components"),
    ],
)
def test_what_one_refuses_all_refuse_with_the_same_line(project: Path, before: str, after: str, message: str) -> None:
    file = project / "odd" / FILE
    file.write_text(ODD.replace(before, after), encoding="utf-8")
    with pytest.raises(DeclarationError, match=f"{file}{message}") as raised:
        load_folder(file.parent)
    own, ours = trees(project)
    with quiet():
        assert ours.broken["odd"] == str(raised.value)  # type: ignore[attr-defined]
        with pytest.raises(Exception, match=r"\w"):  # Dagster has its own words
            specs_of(own, file.parent)
    store = FeatureStore(str(project), "sqlite:///none", project)
    with pytest.warns(UserWarning, match=message):
        store.list_views()
