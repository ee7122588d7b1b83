"""Which models to run, at which date, and what to print."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import typer

from ml_assets.commands.data import default_churn, default_documents
from ml_assets.commands.progress import display
from ml_assets.commands.project import Project
from ml_assets.errors import DataError, DeclarationError
from ml_assets.settings import settings
from ml_assets.sources.watch import listing


def loop(project: Project, names: Sequence[str], as_of: str, *, as_json: bool) -> None:
    """Run models one after the other and print one table each, or one JSON object for all."""
    from rich.console import Console

    from ml_assets.commands.run import run
    from ml_assets.commands.summary import table

    broken = {} if names else project.broken
    for error in broken.values():
        typer.echo(f"ml-assets: left out: {error}", err=True)
    outcomes = {}
    for name in _chosen(project, names):
        cadence = project.model(name).spec.cadence
        day = cadence.require(_date(as_of)) if as_of else cadence.latest(datetime.now(UTC).date())
        with display() as shown:
            task = shown.add_task(f"{name} {day}", total=None)

            def show(step: str, done: int, steps: int, name: str = name, day: date = day) -> None:
                shown.update(task, description=f"{name} {day}: {step}", completed=done, total=steps)  # noqa: B023 - called in this turn only

            outcomes[name] = run(project, name, day, show)
        if not as_json:
            Console(soft_wrap=False).print(table(outcomes[name]))
    if as_json:
        typer.echo(json.dumps({name: done.to_json() for name, done in outcomes.items()}, default=str))
    if broken:
        raise DeclarationError(f"{', '.join(broken)} left out, as said above; the other models ran")


def _chosen(project: Project, names: Sequence[str]) -> list[str]:
    """The named models; by default all that have files. Churn and documents are made where there are none."""
    incoming = settings().incoming
    for name in names:
        project.model(name)
    chosen = list(names) or [name for name in project.models if name in _MADE or _delivered(project, name)]
    for name in chosen:
        if name in _MADE and not _complete(project, name):
            _MADE[name](incoming / name)
        if not _delivered(project, name):
            hint = _hint(project.model(name).path / "README.md")
            patterns = ", ".join(source.spec.files for source in project.sources(name))
            raise DataError(f"{name} has no files below {incoming} ({patterns}): deliver some{hint}")
    return chosen


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
    """Whether any source of a model has a file, wherever it reads."""
    return any(listing(source.spec, settings().incoming).files for source in project.sources(name))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--as-of {text!r} is no date: write it like 2026-03-01") from error
