"""`ml-assets release`: what was checked of a version, whether that is what was signed, and waivers."""

import json
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ml_assets.commands.person import person
from ml_assets.commands.progress import show_work
from ml_assets.commands.screen import echo
from ml_assets.commands.session import settings_of
from ml_assets.errors import DeclarationError, TrainingError
from ml_assets.settings import PROJECT, Settings

if TYPE_CHECKING:
    from ml_assets.commands.project import Project
    from ml_assets.release.chain import RecordRow
    from ml_assets.storage.registry import Version


class _ShowsByDefault(TyperGroup):
    """`ml-assets release churn` is `ml-assets release show churn`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - click's
        known = not args or args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["show", *args])


app = typer.Typer(
    cls=_ShowsByDefault, no_args_is_help=True,
    help="What was checked of a version, signed; `release MODEL` shows it, as `release show MODEL` does.",
)  # fmt: skip

_Model = Annotated[str, typer.Argument(help="The model folder")]


@app.command()
def show(
    model: _Model,
    version: Annotated[int | None, typer.Option(help="Of the model [default: what was recorded last]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The signed entry")] = False,
) -> None:
    """The release record of a version; exit code 1 where it says no."""
    with show_work(f"reading the record of {model}"):
        row = _row(_project(), model, version)
        signed = row.read(model)
    if as_json:
        echo(json.dumps(json.loads(signed.to_json()), indent=1))
    else:
        from ml_assets.release.text import check_lines, title

        echo("\n".join([title(row, signed.entry), *check_lines(signed.entry)]))
    raise typer.Exit(0 if signed.entry["ship"] else 1)


@app.command()
def verify(
    context: typer.Context,
    model: _Model,
    version: Annotated[int | None, typer.Argument(help="Of the model [default: the champion]")] = None,
) -> None:
    """Read record, manifest, artifact and card again: are they what was signed? Exit code 1 where they are not."""
    from ml_assets.release.chain import RecordError

    try:
        with show_work(f"verifying the release of {model}"):
            from ml_assets.release.verify import verify_release

            project = _project()
            released = _version(project, model, version)
            done = verify_release(project.lake, project.registry, released, _trusted(settings_of(context)))
    except RecordError as error:
        echo(f"refused: {error}", err=True)
        raise typer.Exit(1) from error
    echo(done)


@app.command()
def waive(
    context: typer.Context,
    model: _Model,
    check: Annotated[str, typer.Argument(help="The check that is let pass")],
    until: Annotated[str, typer.Option(help="The last day on which it holds, at most 90 days from now")],
    reason: Annotated[str, typer.Option(help="Why, for the record")],
) -> None:
    """Let a check pass that did not, until a day, under your name."""
    with show_work(f"waiving {check}"):
        from ml_assets.decisions.release import Waiver
        from ml_assets.release.sign import KeyFolder
        from ml_assets.release.waive import waive as write
        from ml_assets.spec.cadence import parse_date

        project, now = _project(), datetime.now(UTC).replace(tzinfo=None)
        project.model(model)
        day: date = parse_date(until, "--until")
        key = KeyFolder.at(settings_of(context).state).open()
        row = write(project.lake, model, Waiver(check, person(), reason, day), key, now)
    echo(f"{model}: {check} is waived until {day}, entry {row.number}; `ml-assets run {model}` judges with it")


def _project() -> "Project":
    from ml_assets.commands.project import Project

    return Project(PROJECT)


def _trusted(settings: Settings) -> Collection[str]:
    """The declared keys, else those of this data folder."""
    from ml_assets.release.sign import KeyFolder

    return settings.release_keys or KeyFolder.at(settings.state).public_keys()


def _row(project: "Project", model: str, version: int | None) -> "RecordRow":
    """The last entry about a candidate, or about one version."""
    from ml_assets.release.chain import last_entry

    row = last_entry(project.lake, model, "candidate", version)
    if row is None:
        if model not in project.models and not project.registry.has_model(model):
            project.model(model)  # says what there is
        of_version = "" if version is None else f" of version {version}"
        raise TrainingError(f"{model} has no release record{of_version}: `ml-assets run {model}` writes one")
    return row


def _version(project: "Project", model: str, number: int | None) -> "Version":
    registry = project.registry
    if number is None:
        champion = registry.champion(model)
        if champion is None:
            raise TrainingError(f"{model} has no champion: say which version, or `ml-assets run {model}` first")
        return champion
    version = registry.find_version(model, number)
    if version is None:
        raise DeclarationError(f"{model} has no version {number}: see `ml-assets status`")
    return version
