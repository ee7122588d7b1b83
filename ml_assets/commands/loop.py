"""Which models to run, at which date, and what to print."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from ml_assets.commands.outcome import show
from ml_assets.commands.progress import bar, show_work
from ml_assets.commands.project import Project
from ml_assets.commands.run import EndedError, run
from ml_assets.commands.samples import Sample, of_model
from ml_assets.commands.screen import UnforeseenError, echo
from ml_assets.commands.summary import Summary
from ml_assets.errors import DataError, DeclarationError, MlAssetsError
from ml_assets.ingest.drop_zone import unfinished_history
from ml_assets.ingest.listing import list_files
from ml_assets.ingest.source_state import source_state
from ml_assets.spec.cadence import parse_date
from ml_assets.storage.tables import ModelTables

_CODES = {True: 2, False: 1}
"""Exit codes: what a user can put right, and what not."""


def loop(project: Project, names: Sequence[str], as_of: str, *, as_json: bool) -> int:
    """Run models one after the other and print one table each, or one JSON object for all.

    A model that fails is named with its error and stops no other one; nor does a folder that cannot be loaded.

    Args:
        project: the loaded project.
        names: the models; empty for all that have files.
        as_of: an ISO date; empty for the last one that calendar and data reach.
        as_json: whether one JSON object is printed in place of tables.

    Returns:
        The exit code: 0; 2 where a model failed for a reason that a user can put right, 1 where for another.
    """
    today = datetime.now(UTC).date()
    day, models = parse_date(as_of, "--as-of") if as_of else None, _chosen(project, names)
    for name in models if day else ():  # before anything is done
        project.model(name).spec.cadence.require(day or today, today)
    broken = {} if names else project.broken
    answers: dict[str, Any] = {name: _said(DeclarationError(error)) for name, error in broken.items()}
    codes = [2 for _ in broken]
    for name in models:
        try:
            _supply(project, name)
            summary = _run(project, name, day, today)
        except (MlAssetsError, UnforeseenError) as error:
            answers[name] = _said(error) | {"sources": _sources(project, name)}
            # A history that has ended is no fault of a command that names no model.
            spared = isinstance(error, EndedError) and name not in names and len(models) > 1
            codes.append(0 if spared else _CODES[isinstance(error, MlAssetsError)])
        else:
            answers[name] = summary.to_json()
            if not as_json:
                show(summary, project.settings)
    if as_json:
        echo(json.dumps(answers))
    return max(codes, default=0)


def _run(project: Project, name: str, as_of: date | None, today: date) -> Summary:
    title = f"{name} {as_of}" if as_of else name
    with show_work(title, within=f"{name}/") as progress:
        return run(project, name, as_of, today, progress)


def _sources(project: Project, name: str) -> dict[str, Any]:
    """What became of the files of each source: whoever reads `--json` need not take a sentence apart."""
    tables, sources = ModelTables(name), [source.spec.name for source in project.sources(name)]
    return {source: asdict(source_state(project.lake, tables.raw(source))) for source in sources}


def _said(error: Exception) -> dict[str, str]:
    """Say an error on standard error, and to `--json`."""
    sentence = " ".join(str(error).split())
    echo(f"ml-assets: {sentence}", err=True)
    return {"error": sentence}


def _chosen(project: Project, names: Sequence[str]) -> list[str]:
    """The named models; by default all that have files, and those whose files a first run makes."""
    for name in names:
        project.model(name)
    return list(names) or [name for name in project.models if _first_run(project, name) or _delivered(project, name)]


def _first_run(project: Project, name: str) -> Sample | None:
    """The sample that a run without files begins with; None where there is none, or only for who asks for it."""
    sample = _sample(project, name)
    return sample if sample and sample.spec.first_run else None


def _sample(project: Project, name: str) -> Sample | None:
    model = project.model(name)
    return of_model(model.path, model.spec)


def _supply(project: Project, name: str) -> None:
    """Fill the drop zone with the model's sample where its files are missing, or only a part of a sample is there.

    Raises:
        DataError: a model has no files, or a part of a history.
        DeclarationError: the function of the sample cannot be imported.
    """
    incoming = project.settings.incoming
    part, sample = unfinished_history(incoming / name), _first_run(project, name)
    if part and part.command:
        raise DataError(f"{incoming / name} holds part of a history: `{part.command}` was ended, so run it again")
    if sample and (part or not _complete(project, name)):
        rest = {"end": part.end} if part and part.end else {}
        sample.fill()(sample.zone(incoming, bar=bar), **rest)
    if not _delivered(project, name):
        patterns = ", ".join(source.spec.files for source in project.sources(name))
        hint = _hint(_sample(project, name))
        raise DataError(f"{name} has no files below {incoming} ({patterns}): deliver some{hint}")


def _complete(project: Project, name: str) -> bool:
    """Whether a model has the files that it needs; documents of one's own say nothing of what they are."""
    documents = project.model(name).spec.documents
    reviewed = documents.reviewed if documents else None
    return _delivered(project, name) if reviewed is None else _delivered(project, name, reviewed)


def _hint(sample: Sample | None) -> str:
    """The command that writes the sample, as the end of a sentence; empty where there is none."""
    return f", or: ml-assets data {sample.spec.command}" if sample else ""


def _delivered(project: Project, name: str, only: str = "") -> bool:
    """Whether a source of a model has a file, wherever it reads; one that cannot be listed is named by its ingest.

    Args:
        project: the loaded project.
        name: the model.
        only: the name of the source that is looked at; empty for any.
    """
    sources = [source.spec for source in project.sources(name) if only in {"", source.spec.name}]
    try:
        return any(list_files(spec, project.settings.incoming).files for spec in sources)
    except DataError:
        return True
