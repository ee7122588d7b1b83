"""The package is built as docs/architecture.md says, and reads like one book."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ml_assets.settings import PROJECT

PACKAGE = PROJECT / "ml_assets"
PAGE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
TREE = PAGE.partition("```\nml_assets/\n")[2].partition("```")[0]
_LINE = re.compile(r"^(?P<depth>(?:│   )?)[├└]── (?P<names>(?:[\w/.]+ )+) *(?P<sentence>\S.*)?$")
_UNSAID = {"__init__.py", "__main__.py", "__pycache__"}


@cache
def _modules() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its dotted name."""
    return {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def _rooms_of_the_page() -> list[list[str]]:
    """Names of rooms and modules, a list for each line, rooms within rooms as `room/room`."""
    lines, outer = list[list[str]](), ""
    for line in TREE.splitlines():
        if match := _LINE.match(line + " "):
            names = [name.strip("/") for name in match["names"].split()]
            lines.append([f"{outer}/{name}" if match["depth"] else name for name in names])
            outer = outer if match["depth"] else names[0]
    return lines


def _is_room(path: Path) -> bool:
    return path.is_dir() and path.name not in _UNSAID and any(path.glob("*.py"))


def test_the_tree_of_the_architecture_names_every_room_and_no_other() -> None:
    named = {name for line in _rooms_of_the_page() for name in line}
    outer = {path.name for path in PACKAGE.iterdir() if _is_room(path) or path.suffix == ".py"} - _UNSAID
    assert {name for name in named if "/" not in name} == outer
    parted = {name.partition("/")[0] for name in named if "/" in name}
    inner = {f"{room}/{path.name}" for room in parted for path in (PACKAGE / room).iterdir() if _is_room(path)}
    assert {name for name in named if "/" in name} == inner


def test_every_room_of_the_tree_has_a_sentence() -> None:
    for line in TREE.splitlines():
        if (match := _LINE.match(line + " ")) and not match["names"].startswith("errors.py"):
            assert match["sentence"], line


def test_the_order_of_the_tree_is_the_contract_of_imports() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    house = next(each for each in contracts["contracts"] if each.get("containers") == ["ml_assets"])
    layers = [sorted(part.strip() for part in layer.split("|")) for layer in house["layers"]]
    rooms = [sorted(name.removesuffix(".py") for name in line) for line in _rooms_of_the_page() if "/" not in line[0]]
    assert layers == [["__main__"], *rooms]


def test_a_public_class_name_stands_once() -> None:
    names = Counter(
        node.name
        for module in _modules().values()
        for node in module.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def _imported(name: str, tree: ast.Module) -> set[str]:
    """The modules of the package that a module imports anywhere, but for types only."""
    modules, found = _modules(), set[str]()
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & modules.keys()) or {node.module}
    return (found & modules.keys()) - {name}


def _statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every statement however deep, but for those under TYPE_CHECKING; no expression, of which there are far more."""
    for node in body:
        yield node
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _statements(getattr(node, part, []))


def test_no_file_imports_in_a_circle() -> None:
    """Whatever imports nothing that is left is taken away, again and again: what remains are circles."""
    left = {name: _imported(name, tree) for name, tree in _modules().items()}
    while free := [name for name, imported in left.items() if not imported & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}
