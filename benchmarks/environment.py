"""Peers in environments of their own: what they depend on is not what we depend on."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.process import Measured, run, say


def environment(folder: Path, module: str, packages: tuple[str, ...]) -> Path:
    """The Python of a new environment with a peer."""
    say(f"an environment for {module}")
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], {})
    python = folder / "bin" / "python"
    run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], {})
    run([str(python), "-c", f"import {module}"], {})  # compiles its bytecode, as on any machine that used it before
    return python


def foreign(python: Path, function: str, data: Path, **arguments: object) -> Measured:
    """As `process.call`, by another environment's Python."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [str(python), "-m", "benchmarks.worker", function, json.dumps(arguments), str(answer)]
        spent = run(command, {"ML_ASSETS_DATA": str(data)})
        said = json.loads(answer.read_text())
    return Measured(said["result"], spent, said["peak"])
