"""Why a folder cannot be loaded, in one line: `file:line: what is wrong and what would be right`."""

import re
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from dagster_shared.error import DagsterUnresolvableSymbolError
from pydantic import ValidationError

from ml_assets.errors import shortened


def load_error(error: BaseException, folder: Path) -> str:
    """The innermost message of whatever was raised while a folder was loaded; it names a file of the folder."""
    said = cause(error, folder).removeprefix("Invariant failed. Description: ")
    if str(folder) not in said and not re.match(rf"{re.escape(folder.name)}/\S+\.sql", said):
        said = with_line(f"{folder / 'defs.yaml'}: {said}")
    return shortened(said, 600)


def cause(error: BaseException, folder: Path) -> str:
    """The innermost message, in one line."""
    if isinstance(error, DagsterUnresolvableSymbolError):
        return _unknown_type(str(error), folder)
    if error.__cause__ is not None:
        return cause(error.__cause__, folder)
    if isinstance(error, ValidationError):
        return "; ".join(_refused(item) for item in error.errors())
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        where = f"{error.problem_mark.name}:{error.problem_mark.line + 1}"
        problem = f"{error.problem} {error.context or ''}".strip()
        return f"{where}: not valid YAML: {problem}: check brackets, quotes and indentation"
    return with_line(" ".join(str(error).split()))


def _refused(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    where = " ".join(str(part) for part in item["loc"])
    placed = re.fullmatch(r"(?P<field>\S+) at (?P<file>.+:\d+)", where)  # as Dagster writes it
    where = f"{placed['file']}: {placed['field']}" if placed else where
    given = item.get("input")
    shown = "" if isinstance(given, dict) or str(given) in item["msg"] else f" (got {shortened(repr(given), 80)})"
    return f"{where}: {item['msg'].removeprefix('Value error, ')}{shown}"


def _unknown_type(said: str, folder: Path) -> str:
    """A component type that does not exist. Dagster names no file, so every `defs.yaml` is searched for it."""
    known = [f"ml_assets.components.{name}" for name in import_module("ml_assets.components").__all__]
    wanted = ".".join(re.findall(r"`([^`]+)`", said))
    for path in sorted(folder.rglob("defs.yaml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            named = re.match(r"type:\s*([\w.]+)", line)
            if named and named[1].startswith(wanted) and named[1] not in known:
                near = get_close_matches(named[1], known, n=1) or known
                return f"{path}:{number}: type: {named[1]!r} is not a component type: did you mean {' or '.join(near)}?"
    return said


def with_line(said: str) -> str:
    """`defs.yaml: …'value'…` with the line on which the value stands."""
    found = re.match(r"(?P<file>/.*?defs\.yaml): .*?(?:'(?P<value>[^']+)'|no (?P<sql>\S+\.sql))", said)
    if found is None:
        return said
    value = found["value"] or found["sql"]
    lines = Path(found["file"]).read_text(encoding="utf-8").splitlines()
    number = next((number for number, line in enumerate(lines, 1) if value in line.partition(" #")[0]), None)
    return said if number is None else said.replace(found["file"], f"{found['file']}:{number}", 1)
