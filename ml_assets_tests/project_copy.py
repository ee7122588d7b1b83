"""Copies of the project, for tests that write model folders: they leave nothing in the repository."""

import shutil
from pathlib import Path

from ml_assets.settings import PROJECT

_FILES = ("Makefile", "pyproject.toml", "dagster.yaml", "workspace.yaml", "uv.lock")


def copy_project(to: Path, *without: str) -> Path:
    """A copy of the project without some models, with what Python has compiled: to do that again takes seconds."""
    unfinished = shutil.ignore_patterns("*.pyc.*")  # what a process beside us is writing
    shutil.copytree(PROJECT / "ml_assets", to / "ml_assets", ignore=unfinished)
    for model in without:
        shutil.rmtree(to / "ml_assets" / "defs" / model)
    for name in _FILES:
        shutil.copy(PROJECT / name, to)
    return to
