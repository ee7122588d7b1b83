"""Work in fresh processes: what one measurement imported, cached or allocated is not there for the next."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


class BenchmarkError(Exception):
    """A measurement did not end as it must; its number would mean nothing."""


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, and of processors (which say more on a machine that is not quiet)."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Measured:
    """What a process did.

    Args:
        result: what the called function returned.
        spent: from its start to its end, Python and imports included.
        peak: MiB of resident memory at most (`ru_maxrss`).
    """

    result: dict[str, Any]
    spent: Spent
    peak: float

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """One value of the result."""
        return self.result[name]


def call(function: str, data: Path, **arguments: object) -> Measured:
    """Call `benchmarks.<module>:<function>` with JSON arguments in a new process; it returns a JSON object.

    Args:
        function: `module:function`, without `benchmarks.`.
        data: the data folder of the process (`ML_ASSETS_DATA`).
        arguments: passed on.

    Raises:
        BenchmarkError: the process failed; its output is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "benchmarks.worker", function, json.dumps(arguments), str(answer)]
        spent = run(command, {"ML_ASSETS_DATA": str(data)})
        said = json.loads(answer.read_text())
    return Measured(said["result"], spent, said["peak"])


def run(command: list[str], variables: Mapping[str, str]) -> Spent:
    """Run a command in the project's folder to its end; returns what it and its children took.

    Raises:
        BenchmarkError: it failed; its output is in the message.
    """
    started, before = time.perf_counter(), _cpu()
    done = subprocess.run(
        command, env={**os.environ, **variables}, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    spent = Spent(time.perf_counter() - started, _cpu() - before)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return spent


def _cpu() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)
