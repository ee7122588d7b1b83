"""Which models to run, at which date, and what to print."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ml_assets.commands.data import default_churn, default_documents
from ml_assets.commands.file_states import state
from ml_assets.commands.outcome import show
from ml_assets.commands.progress import working
from ml_assets.commands.project import Project
from ml_assets.commands.run import EndedError, run
from ml_assets.commands.screen import UnforeseenError, echo
from ml_assets.commands.summary import Summary
from ml_assets.commands.unfinished import unfinished
from ml_assets.errors import DataError, DeclarationError, MlAssetsError
from ml_assets.ingest.watch import listing
from ml_assets.settings import settings
from ml_assets.storage.tables import ModelTables

_CODES = {True: 2, False: 1}
"""Exit codes: what a user can put right, and what not."""


def loop(project: Project, names: Sequence[str], as_of: str, *, as_json: bool) -> int:
    """Run models one after the other and print one table each, or one JSON object for all.

    A model that fails is named with its error and stops no other one; nor does a folder that cannot be loaded.

    Returns:
        The exit code: 0; 2 where a model failed for a reason that a user can put right, 1 where for another.
    """
    today = datetime.now(UTC).date()
    day, chosen = _date(as_of) if as_of else None, _chosen(project, names)
    for name in chosen if day else ():  # before anything is done
        project.model(name).spec.cadence.require(day or today, today)
    broken = {} if names else project.broken
    answers: dict[str, Any] = {name: _said(DeclarationError(error)) for name, error in broken.items()}
    codes = [2 for _ in broken]
    for name in chosen:
        try:
            _supply(project, name)
            summary = _run(project, name, day, today)
        except (MlAssetsError, UnforeseenError) as error:
            answers[name] = _said(error) | {"sources": _sources(project, name)}
            # A history that has ended is no fault of a command that names no model.
            spared = isinstance(error, EndedError) and name not in names and len(chosen) > 1
            codes.append(0 if spared else _CODES[isinstance(error, MlAssetsError)])
        else:
            answers[name] = summary.to_json()
            if not as_json:
                show(summary)
    if as_json:
        echo(json.dumps(answers))
    return max(codes, default=0)


def _run(project: Project, name: str, as_of: date | None, today: date) -> Summary:
    title = f"{name} {as_of}" if as_of else name
    with working(title, within=f"{name}/") as progress:
        return run(project, name, as_of, today, progress)


def _sources(project: Project, name: str) -> dict[str, Any]:
    """What became of the files of each source: whoever reads `--json` need not take a sentence apart."""
    return {
        each.spec.name: state(project.lake, ModelTables(name).raw(each.spec.name)) for each in project.sources(name)
    }


def _said(error: Exception) -> dict[str, str]:
    """Say an error on standard error, and to `--json`."""
    sentence = " ".join(str(error).split())
    echo(f"ml-assets: {sentence}", err=True)
    return {"error": sentence}


def _chosen(project: Project, names: Sequence[str]) -> list[str]:
    """The named models; by default all that have files, and those whose files can be made."""
    for name in names:
        project.model(name)
    return list(names) or [name for name in project.models if name in _MADE or _delivered(project, name)]


def _supply(project: Project, name: str) -> None:
    """Make the files of churn and documents where there are none.

    Raises:
        DataError: a model has no files, or a part of a history.
    """
    incoming = settings().incoming
    part = unfinished(incoming / name)
    if part and part.command:
        raise DataError(f"{incoming / name} holds part of a history: `{part.command}` was ended, so run it again")
    if name in _MADE and (part or not _complete(project, name)):
        _MADE[name](incoming / name, part.end if part else "")
    if not _delivered(project, name):
        hint = _hint(project.model(name).path / "README.md")
        patterns = ", ".join(source.spec.files for source in project.sources(name))
        raise DataError(f"{name} has no files below {incoming} ({patterns}): deliver some{hint}")


_MADE = {"churn": default_churn, "documents": default_documents}


def _complete(project: Project, name: str) -> bool:
    """Whether there is what a model needs; documents of one's own say nothing of what they are."""
    return any((settings().incoming / name / "labels").glob("*")) if name == "documents" else _delivered(project, name)


def _hint(readme: Path) -> str:
    """The first `ml-assets data …` of a model's README, as the end of a sentence; empty where it names none."""
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    commands = [line.strip("$ ").partition("#")[0].strip() for line in lines if "ml-assets data" in line]
    return f", or: {commands[0]}" if commands else ""


def _delivered(project: Project, name: str) -> bool:
    """Whether any source of a model has a file, wherever it reads; one that cannot be listed is named by its ingest."""
    try:
        return any(listing(source.spec, settings().incoming).files for source in project.sources(name))
    except DataError:
        return True


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--as-of {text!r} is not a date: write it like 2026-03-01") from error
