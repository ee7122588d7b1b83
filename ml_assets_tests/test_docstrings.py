"""What a reader of the package meets first: names that say what they do, docstrings whose examples run."""

import ast
import doctest
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from ml_assets.settings import PROJECT

PACKAGE = PROJECT / "ml_assets"
MODULES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
WITH_EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists())
NOT_ENTERED = {"examples", "defs"}
"""Rooms without functions that other rooms call."""

_PARTICIPLE = re.compile(
    "[a-z]+(ed|ing)|begins|begun|bound|built|chosen|done|drawn|due|follows|found|given|gone|held|hidden|kept|known|left|lost"
    "|made|met|put|renews|said|seen|sent|shown|sought|takes|taken|told|written"
)
_WORDS = {"embed", "feed", "housekeeping", "need", "ping", "seed", "speed", "string", "warning"}
"""Verbs and nouns that only end like a participle."""


@cache
def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public functions of a module and methods of its classes; a property is a noun and not meant."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    scopes = [module.body, *(node.body for node in module.body if isinstance(node, ast.ClassDef))]
    return [
        node
        for scope in scopes
        for node in scope
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
    ]


def test_a_public_function_is_not_named_by_a_bare_participle() -> None:
    named = [
        f"{path.relative_to(PROJECT)}:{function.lineno} {function.name}"
        for path in MODULES.values()
        for function in _functions(path)
        if _PARTICIPLE.fullmatch(function.name) and function.name not in _WORDS
    ]
    assert named == []


def _has_help(argument: ast.arg) -> bool:
    """Whether the argument is one of the command line, with its explanation beside it."""
    return argument.annotation is not None and "help=" in ast.unparse(argument.annotation)


def test_a_public_function_of_four_parameters_explains_each() -> None:
    unexplained = []
    for path in MODULES.values():
        for function in _functions(path):
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            names = [each.arg for each in arguments if each.arg not in {"self", "cls"} and not _has_help(each)]
            text = ast.get_docstring(function) or ""
            if len(names) >= 4 and "Args:" not in text and not text.startswith("See `"):
                unexplained.append(f"{path.relative_to(PROJECT)}:{function.lineno} {function.name}")
    assert unexplained == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in NOT_ENTERED])
def test_each_room_shows_an_example(room: str) -> None:
    assert any(name.split(".")[1:2] == [room] for name in WITH_EXAMPLES)
