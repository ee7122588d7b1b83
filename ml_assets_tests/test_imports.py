"""The house's rules stand, and nothing happens on import."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from ml_assets.settings import PROJECT

CONTRACTS: list[dict[str, Any]] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
MODULES = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
    for path in (PROJECT / "ml_assets").rglob("*.py")
)
# What a library does when it is imported is its own; a frame of ours that is nearer than one of a library is not.
WATCH = """
import importlib, os, sys

done = []

def ours():
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "site-packages" in name or "/ml_assets/" in name:
            return "site-packages" not in name
        frame = frame.f_back
    return False

def watch(event, arguments):
    if event in {"os.mkdir", "os.remove", "os.rename", "subprocess.Popen", "socket.connect", "os.putenv"} and ours():
        done.append((event, str(arguments)))
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if "__pycache__" not in str(arguments[0]) and ours():
            done.append((event, str(arguments)))

class Environment(type(os.environ)):
    def __getitem__(self, name):
        if ours():
            done.append(("read", name))
        return super().__getitem__(name)

os.environ.__class__ = Environment
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
    if done:
        break
print(name, done)
"""


def test_the_contracts_that_the_architecture_promises_exist() -> None:
    kinds = [contract["type"] for contract in CONTRACTS]
    assert "layers" in kinds
    forbidden = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    banned = {module: contract["source_modules"] for contract in forbidden for module in contract["forbidden_modules"]}
    assert {"dagster", "duckdb", "deltalake", "mlflow"} <= banned.keys()
    pure = next(contract for contract in forbidden if contract["source_modules"] == ["ml_assets.decisions"])
    assert {"dagster", "pandas", "duckdb", "deltalake"} <= set(pure["forbidden_modules"])


def test_every_part_of_the_package_is_in_a_contract() -> None:
    parts = {name.split(".")[1] for name in MODULES if "." in name}
    house = next(contract for contract in CONTRACTS if contract.get("containers") == ["ml_assets"])
    assert house["exhaustive"]
    listed = {part.strip() for layer in house["layers"] for part in layer.split("|")}
    assert parts == listed


def test_nobody_imports_an_example() -> None:
    """Neither for types nor by a name in a text: a `sample:` of a `defs.yaml` is the only way to one."""
    rule = next(each for each in CONTRACTS if each.get("forbidden_modules") == ["ml_assets.examples"])
    house = next(contract for contract in CONTRACTS if contract.get("containers") == ["ml_assets"])
    rooms = {part.strip() for layer in house["layers"] for part in layer.split("|")}
    assert set(rule["source_modules"]) == {f"ml_assets.{room}" for room in rooms - {"examples"}}
    others = [path for path in (PROJECT / "ml_assets").rglob("*.py") if "examples" not in path.parts]
    assert [path for path in others if "ml_assets.examples" in path.read_text(encoding="utf-8")] == []


def test_an_import_makes_no_folder_reads_no_environment_and_starts_nothing(tmp_path: Path) -> None:
    """The core first: what it does by itself is not done by what is further out."""
    outer = ("ml_assets.components", "ml_assets.commands", "ml_assets.defs", "ml_assets.definitions", "ml_assets.cli")
    chosen = sorted(MODULES, key=lambda name: (name.startswith(outer), name))
    assert len(chosen) > 100
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCH, *chosen],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{chosen[-1]} []"
    assert [*tmp_path.iterdir()] == []
