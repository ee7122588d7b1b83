"""Loading the code location, against a location of one trivial asset: what every Dagster process pays."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import PROJECT, BenchmarkError, Spent, call, run, say

HEAVY = (
    "mlflow", "evidently", "great_expectations", "sklearn",
    "pandas", "scipy", "matplotlib", "onnx", "onnxruntime", "skl2onnx", "optuna", "pyarrow.dataset",
)  # fmt: skip
NEVER = HEAVY[:4]

_TRIVIAL = "import dagster as dg\n\n\n@dg.asset\ndef trivial() -> None: ...\n"
_FOLDER = """from pathlib import Path
import dagster as dg

@dg.definitions
def definitions() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
_LOADED = (
    "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
)
_PATIENCE = 120  # seconds until a UI must answer

Variables = dict[str, str]


def measure(quick: bool) -> list[Figure]:
    """`dagster definitions validate`, `dagster dev` until the location is there, and what loading imports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {"ours": PROJECT / "workspace.yaml", "trivial": _trivial(folder), "folder": _folder(folder / "own")}
        variables = _instance(folder)
        validate = _in_turn("definitions validate", _validate, places, variables, 1 if quick else 5)
        del places["folder"]
        dev = _in_turn("dagster dev", _dev, places, variables, 1 if quick else 5)
        found = call("load:imported", folder / "data")
    say(f"in sys.modules after loading: {', '.join(found['heavy']) or 'none'} of {', '.join(HEAVY)}")
    never = [name for name in found["heavy"] if name in NEVER]
    return [
        figures("`dagster definitions validate`", "s", *_pair("wall", validate, "trivial"), 1.15),
        figures("the same, processor time", "s", *_pair("cpu", validate, "trivial")),
        figures("the same, against a trivial `defs` folder", "s", *_pair("wall", validate, "folder")),
        figures("the same, against a trivial `defs` folder, processor time", "s", *_pair("cpu", validate, "folder")),
        figures("cold `dagster dev` until the UI has the location", "s", *_pair("wall", dev, "trivial"), 1.2),
        figures(f"of {', '.join(NEVER)}, imported by loading", "modules", [len(never)], limit=0),
        figures(f"of {', '.join(HEAVY[4:])}, imported by loading", "modules", [len(found["heavy"]) - len(never)]),
        figures("peak memory of a process that loaded it", "MiB", [found.peak]),
    ]


def _pair(name: str, found: dict[str, list[Spent]], peer: str) -> tuple[list[float], list[float]]:
    ours, other = ([getattr(spent, name) for spent in found[place]] for place in ("ours", peer))
    return ours, other


def _in_turn(
    what: str,
    work: Callable[[Path, Variables], Spent],
    places: dict[str, Path],
    variables: Variables,
    repetitions: int,
) -> dict[str, list[Spent]]:
    """What each takes, in turn; the first turn fills the file cache, makes the databases and does not count."""
    found: dict[str, list[Spent]] = {place: [] for place in places}
    for repetition in range(repetitions + 1):
        say(f"{what}, {repetition} of {repetitions}")
        for place, workspace in places.items():
            found[place].append(work(workspace, variables))
    return {place: spent[1:] for place, spent in found.items()}


def _validate(workspace: Path, variables: Variables) -> Spent:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(workspace)]
    return run(command, variables)


def _dev(workspace: Path, variables: Variables) -> Spent:
    """From the command until GraphQL says that the location is loaded; no processor time, for it is then stopped."""
    port = _free_port()
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-p", str(port)]
    # A shell that starts us in the background lets us ignore Ctrl-C, and children inherit that: they would not end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=variables, cwd=PROJECT, stdout=said, stderr=said)
        try:
            while not _loaded(port):
                if process.poll() is not None or time.perf_counter() - started > _PATIENCE:
                    said.seek(0)
                    raise BenchmarkError(f"{' '.join(command)} does not answer:\n{said.read().decode()}")
                time.sleep(0.02)
            return Spent(time.perf_counter() - started, cpu=0)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE)


def _loaded(port: int) -> bool:
    """Whether the UI answers and its one location is loaded.

    Raises:
        BenchmarkError: the location is there, with an error.
    """
    asked = json.dumps({"query": _LOADED})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/graphql", asked, {"Content-Type": "application/json"})
        entries = json.load(connection.getresponse())["data"]["workspaceOrError"].get("locationEntries", [])
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    if not entries or entries[0]["loadStatus"] != "LOADED":
        return False
    if entries[0]["locationOrLoadError"]["__typename"] != "RepositoryLocation":
        raise BenchmarkError(f"the location does not load: {entries}")
    return True


def _trivial(folder: Path) -> Path:
    (folder / "trivial.py").write_text(_TRIVIAL)
    workspace = folder / "workspace.yaml"
    workspace.write_text("load_from:\n  - python_file: {relative_path: trivial.py, location_name: trivial}\n")
    return workspace


def _folder(root: Path) -> Path:
    """The same asset in a `defs` folder, which Dagster loads as it loads ours: what components cost in themselves."""
    package = root / "trivial_folder"
    (package / "defs").mkdir(parents=True)
    (package / "definitions.py").write_text(_FOLDER)
    (package / "defs" / "trivial.py").write_text(_TRIVIAL)
    for init in (package, package / "defs"):
        (init / "__init__.py").touch()
    (root / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "trivial_folder"\n'
    )
    workspace = root / "workspace.yaml"
    module = f"{{module_name: trivial_folder.definitions, location_name: folder, working_directory: {root}}}"
    workspace.write_text(f"load_from:\n  - python_module: {module}\n")
    return workspace


def _instance(folder: Path) -> Variables:
    """The environment of both sides: an instance of their own with this project's settings, no telemetry."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", home)
    own = {"DAGSTER_HOME": home, "ML_ASSETS_DAGSTER": home, "ML_ASSETS_DATA": folder / "data"}
    return {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1", **{name: str(path) for name, path in own.items()}}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- in the measured process


def imported() -> dict[str, Any]:
    """The heavy libraries that are imported when the definitions are loaded as Dagster loads them."""
    from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module

    loadable_targets_from_python_module("ml_assets.definitions", None)
    from ml_assets.definitions import definitions

    definitions()
    return {"heavy": [name for name in HEAVY if name in sys.modules]}
