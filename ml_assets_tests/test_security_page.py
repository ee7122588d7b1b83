"""What docs/security.md promises is held by tests that exist, and each secret of the settings stands in it."""

import ast
import re
from pathlib import Path

from ml_assets.settings import PROJECT, Settings

_PAGE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)?test_\w+\.py)`", _PAGE))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (Path(__file__).parent / name).is_file()] == []


def test_every_promise_names_a_test() -> None:
    table = _PAGE.partition("| promise |")[2].partition("\n\n")[0].splitlines()[2:]
    assert table
    assert [row for row in table if "test_" not in row.rpartition("|")[0].rpartition("|")[2]] == []


def test_every_secret_says_where_it_may_stand() -> None:
    secret = [name for name, field in Settings.model_fields.items() if "secret" in (field.description or "")]
    assert [name for name in secret if f"ML_ASSETS_{name.upper()}" not in _PAGE] == []


_RUN_WHAT_THEY_READ = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def test_nothing_runs_what_it_reads() -> None:
    """No pickle, no code out of a text, no YAML that makes objects."""
    called, imported = set[str](), set[str]()
    for path in (PROJECT / "ml_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called.add(ast.unparse(node.func))
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
    assert called & _RUN_WHAT_THEY_READ == set()
    assert imported & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "skops"} == set()
