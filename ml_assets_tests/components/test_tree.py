"""A folder that cannot be loaded is named with file and line, and stops no other."""

import re
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from ml_assets.components import Model
from ml_assets.components.base import asset_names
from ml_assets.components.naming import check_names, require_name
from ml_assets.components.templates.folder import render
from ml_assets.components.tree import FolderTree
from ml_assets.errors import DeclarationError
from ml_assets.escaping import markdown
from ml_assets.settings import PROJECT
from ml_assets_tests.components.test_conformance import quiet

# Folder → what is changed in which file of a good one, and what the error says; `{yaml}` is its `defs.yaml`.
Mistake = tuple[str, str, str, str]
MISTAKES: Mapping[str, Mistake] = {
    "yaml": ("defs.yaml", "entity: account_id", "entity: [account_id", r"{yaml}:4\d: not valid YAML"),
    "component": ("defs.yaml", "components.Model", "components.Modle", r"{yaml}:\d+: type: .*components.Model\?"),
    "field": ("defs.yaml", "horizon: 14d", "horizn: 14d", r"{yaml}:43: attributes.label: .*'horizn'.*'horizon'"),
    "value": ("defs.yaml", "every: weekly", "every: weekyl", r"{yaml}:\d+: attributes.cadence.*'weekyl'"),
    "file": ("defs.yaml", "features/profile.sql", "features/other.sql", r"{yaml}:35: there is no features/o"),
    "view": ("defs.yaml", "[activity, profile]", "[activity, profil]", r"{yaml}:\d+: features names 'profil'"),
    "syntax": ("features/activity.sql", "avg(amount)", "avg(amount", r"syntax/features/activity.sql:8 .*DuckDB"),
    "clock": ("features/activity.sql", "max(happened_at)", "max(now())", r"clock/features/activity.sql:9 calls now"),
    "source": ("label.sql", "JOIN events", "JOIN evens", r"source/label.sql:6 reads 'evens'.*did you mean 'events'"),
    "alike": ("features/activity.sql", "AS kinds", "AS Events", r"alike/features/activity.sql returns one name twice"),
    "sources": ("defs.yaml", "name: accounts", "name: events", r"{yaml}:\d+: two components Source .*'events'"),
    "views": ("defs.yaml", "{name: profile,", "{name: activity,", r"{yaml}:\d+: .*activity"),
    "cron": ("defs.yaml", "  entity:", "  schedule: soon\n  entity:", r"{yaml}:40: .*cron schedule 'soon'"),
    "owner": ("defs.yaml", "  entity:", "  owners: [the team]\n  entity:", r"{yaml}:40: .*owner 'the team'"),
    "empty": ("defs.yaml", "", "", r"{yaml}: No components"),
    "Upper": ("defs.yaml", "late", "late", r"{path}: 'Upper' cannot name a model"),
    "project": ("defs.yaml", "late", "late", r"{path}: 'project' is reserved"),
    "alerts": ("defs.yaml", "late", "late", r"{path}: 'alerts' is what an asset of every model is called"),
}  # fmt: skip


def write(folder: Path, mistake: Mistake | None) -> None:
    for name, text in render("late", date(2026, 6, 7)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        changed = mistake is not None and name == mistake[0]
        path.write_text(text.replace(mistake[1], mistake[2], 1) if mistake and changed else text, encoding="utf-8")
    if folder.name == "empty":
        (folder / "defs.yaml").write_text("")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> FolderTree:
    """A good folder among the broken ones, with the Python files of the project."""
    defs = tmp_path_factory.mktemp("project") / "defs"
    write(defs / "sound", None)
    for name, mistake in MISTAKES.items():
        write(defs / name, mistake)
    for path in (PROJECT / "ml_assets" / "defs").glob("*.py"):
        shutil.copy(path, defs)
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(defs)]
    return FolderTree(defs_module=module, project_root=PROJECT)


def test_every_broken_folder_is_named_with_its_error_and_no_other(tree: FolderTree) -> None:
    with quiet():
        assert tree.broken.keys() == MISTAKES.keys()


@pytest.mark.parametrize("folder", MISTAKES)
def test_the_error_of_a_folder_names_file_line_value_and_remedy(tree: FolderTree, folder: str) -> None:
    with quiet():
        error = tree.broken[folder]
    path = re.escape(str(tree.defs_module_path / folder))
    expected = MISTAKES[folder][3].replace("{path}", path).replace("{yaml}", f"{path}/defs.yaml")
    assert re.search(expected, error), error
    assert len(error) < 400


def test_the_others_load_and_run_and_the_ui_shows_each_error(tree: FolderTree) -> None:
    with quiet():
        definitions = tree.build_defs()
        assert [model.folder for model in tree.get_all_components(of_type=Model)] == ["sound"]
        dg.Definitions.validate_loadable(definitions)
        assert definitions.resolve_job_def("sound_loop")
    shown = {
        spec.key.path[0]: spec.description
        for spec in definitions.resolve_all_asset_specs()
        if spec.key.path[-1] == "broken"
    }
    assert shown == {name: markdown(error) for name, error in tree.broken.items()}


def test_no_model_is_called_like_an_asset_or_what_all_share() -> None:
    for name in [*asset_names(), "project", "default"]:
        with pytest.raises(DeclarationError, match=repr(name)):
            require_name(name)


def test_names_of_checks_are_made_for_any_text_and_differ() -> None:
    written = [
        "not_null_Customer ID",
        "not_null_Customer_ID",
        "größe",
        "a.b",
        "a b",
        "😀",
        "",
        "a b",
        "x" * 999,
        "a_b_2",
    ]
    names = check_names(written)
    assert len(set(names)) == len(written)
    assert all(re.fullmatch("[A-Za-z0-9_]{1,200}", name) for name in names)
    assert names == check_names(written)
    assert names[:3] == ["not_null_Customer_ID", "not_null_Customer_ID_2", "gro_e"]
