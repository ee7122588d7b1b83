"""Benchmarks call functions in other processes by name, which mypy cannot see: names and arguments are right."""

import ast
from collections.abc import Iterator

from ml_assets.settings import PROJECT

_FOLDER = PROJECT / "benchmarks"
_CALLERS = {"call", "foreign"}


def _called() -> Iterator[tuple[str, str, set[str]]]:
    """Module, function and keywords of each `call("module:function", …)`, unless its name is put together."""
    for path in _FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLERS:
                name = next((str(each.value) for each in node.args if isinstance(each, ast.Constant)), "")
                module, _, function = name.partition(":")
                if function:
                    yield module, function, {each.arg for each in node.keywords if each.arg}


def _refused(module: str, function: str, keywords: set[str]) -> set[str]:
    """The keywords that the function does not take."""
    tree = ast.parse((_FOLDER / f"{module}.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert function in functions, f"benchmarks/{module}.py has no function {function!r}"
    arguments = functions[function].args
    return set() if arguments.kwarg else keywords - {each.arg for each in (*arguments.args, *arguments.kwonlyargs)}


def test_a_function_that_is_called_by_name_takes_the_arguments() -> None:
    """`benchmarks loop` called functions by what they had once taken, and nobody saw it before it was run."""
    calls = list(_called())
    assert len(calls) > 20
    for module, function, keywords in calls:
        assert not _refused(module, function, keywords), f"{module}:{function} is called with {keywords}"
