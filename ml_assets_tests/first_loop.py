"""The first loop of `churn` over a small simulation: made once for all processes of tests, and copied by who writes."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.preloaded import call
from ml_assets_tests.processes import environment, made_once

END = "2026-08-30"


@dataclass(frozen=True)
class FirstLoop:
    """What a user has after `ml-assets data simulate` and `ml-assets run churn`; nobody writes to it.

    Args:
        root: what the properties lie in.
    """

    root: Path

    @property
    def simulated(self) -> Path:
        """A data folder with files in the drop zone, and nothing else."""
        return self.root / "simulated"

    @property
    def data(self) -> Path:
        """The data folder after the loop as of `END`."""
        return self.root / "data"

    @property
    def answer(self) -> dict[str, Any]:
        """What the loop said of itself with `--json`."""
        answer: dict[str, Any] = json.loads((self.root / "answer.json").read_text())["churn"]
        return answer


def first_loop(factory: pytest.TempPathFactory) -> FirstLoop:
    """The first loop, made where nobody has made it yet."""
    return FirstLoop(made_once(factory, "first-loop", _make))


def _make(root: Path) -> None:
    made = FirstLoop(root)
    size = ("--customers", "600", "--months", "20", "--end", END, "--seed", "3")
    _say(made.simulated, "data", "simulate", *size)
    shutil.copytree(made.simulated, made.data)  # with the times of the files
    (root / "answer.json").write_text(_say(made.data, "run", "churn", "--as-of", END, "--json"))


def _say(data: Path, *arguments: str) -> str:
    done = call(*arguments, env=environment(data))
    assert done.returncode == 0, done.stderr
    return done.stdout
