"""The `ml-assets` command. Errors that a user can put right are one line and exit code 2."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from ml_assets.commands import data, experiment, explain, key, release, token
from ml_assets.commands.environment import prepare
from ml_assets.commands.interrupt import CODE, StoppedError, ctrl_c_pressed, listen, new_line, stopped_sentence
from ml_assets.commands.progress import show_work
from ml_assets.commands.screen import UnforeseenError, echo, keep_traceback, log_to, plain
from ml_assets.commands.session import Session, settings_of
from ml_assets.commands.writable import obstacle
from ml_assets.errors import DataError, MlAssetsError
from ml_assets.settings import PROJECT, read_settings
from ml_assets.storage.scratch import scratch

if TYPE_CHECKING:
    from ml_assets.commands.project import Project


class _Commands(TyperGroup):
    """Typer would answer Ctrl-C with `Aborted.` and the exit code 1."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError(stopped_sentence()) from None
        except typer.Abort:  # Ctrl-C or Ctrl-D in place of an answer
            raise StoppedError("stopped; nobody said yes, so nothing was changed") from None


_LOOKING = frozenset({"status", "doctor"})
"""Commands that change nothing, and so do not wait for a server that is away."""

DEFS = PROJECT / "ml_assets" / "defs"

app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for part in (data, token, experiment, release, key):
    app.add_typer(part.app, name=part.__name__.rpartition(".")[2])
app.command()(explain.explain)


@app.callback()
def _environment(context: typer.Context) -> None:
    """The production ML loop: raw data to features, models, releases, predictions and reports."""
    with contextlib.suppress(OSError):  # a full disk: whoever needs temporary files says so
        context.with_resource(scratch())
    settings = context.ensure_object(Session).settings = read_settings()
    log_to(settings.data)
    try:
        prepare(settings, patient=context.invoked_subcommand not in _LOOKING)
    except DataError:
        if context.invoked_subcommand != "doctor":  # it says so among its findings
            raise


@app.command()
def run(
    models: Annotated[list[str] | None, typer.Argument(help="Model folders [default: all that have data]")] = None,
    as_of: Annotated[
        str, typer.Option(help="The as-of date [default: the last one that calendar and data reach]")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else")] = False,
) -> None:
    """Run the loop: ingest, check, features, train, evaluate, gate, release, predict, drift report."""
    project = _project()
    from ml_assets.commands.loop import loop

    raise typer.Exit(loop(project, models or [], as_of, as_json=json))


@app.command()
def new(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The model's name: letters, digits and _")]
) -> None:
    """Write a model folder that runs on its own small sample; edit its YAML and SQL."""
    with show_work(f"writing {name}"):
        from ml_assets.commands.new import new

        sentence = new(settings_of(context), name)
    echo(sentence)


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False) -> None:
    """What stands: models, champions, last predictions, drift."""
    with show_work("looking at what stands", "models", "looked at") as show:
        from ml_assets.commands.project import Project
        from ml_assets.commands.status import collect, say

        overview = collect(Project(PROJECT), show)
    say(overview, as_json=json)


@app.command()
def replay(
    model: Annotated[str, typer.Argument(help="The model folder")],
    first: Annotated[str, typer.Option("--from", help="No as-of date before it [default: the first possible]")] = "",
    last: Annotated[str, typer.Option("--to", help="No as-of date after it [default: the last with labels]")] = "",
    policy: Annotated[list[Path] | None, typer.Option(help="YAML with fields of `retrain`; repeatable")] = None,
    metric: Annotated[str, typer.Option(help="What is compared [default: what the declared policy watches]")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Finish the replay that was interrupted")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Replay retraining policies over history: never, at each date, on drift, on performance, the declared one."""
    project = _project()
    from ml_assets.commands.replay import ReplayRequest, read, run

    request = ReplayRequest(first, last, metric, read(policy or []))
    run(project, model, request, resume=resume, as_json=json)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="The model folder")],
    reason: Annotated[str, typer.Option(help="Why, for the ledger")],
    to: Annotated[
        int | None, typer.Option(help="The version [default: end the running rollout, else the champion before]")
    ] = None,
) -> None:
    """End a running rollout, or make another released version the champion; its successor is not promoted again."""
    project = _project()
    with show_work("rolling back"):
        from ml_assets.commands.rollback import rollback

        sentence = rollback(project, model, to, reason)
    echo(sentence)


@app.command()
def rollout(
    model: Annotated[str, typer.Argument(help="The model folder")],
    what: Annotated[
        Literal["show", "resume", "promote", "roll-back", "offer"], typer.Argument(help="What to do")
    ] = "show",
    reason: Annotated[str, typer.Option(help="Why, for the ledger; all but show need one")] = "",
    version: Annotated[int | None, typer.Option(help="The version that is offered")] = None,
) -> None:
    """How a rollout stands; begin its stage anew, promote or end it by hand, or offer a released version."""
    project = _project()
    from ml_assets.commands.rollout import rollout

    echo(rollout(project, model, what, version=version, reason=reason))


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="The model folder")],
    what: Annotated[Literal["predictions", "features", "training-set"], typer.Argument(help="Which rows")],
    to: Annotated[Path, typer.Option(help="The file: .csv, .csv.gz or .parquet")],
    as_of: Annotated[str, typer.Option(help="Of predictions and features [default: the last that was predicted]")] = "",
    version: Annotated[
        int | None, typer.Option(help="Whose training set or features [default: the champion's]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there")] = False,
) -> None:
    """Write predictions, features or a training set to one file."""
    project = _project()
    with show_work(f"exporting {what} of {model}"):
        from ml_assets.commands.export import export

        sentence = export(project, model, what, to, as_of=as_of, version=version, overwrite=overwrite)
    echo(sentence)


@app.command()
def reset(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model folder")],
    source: Annotated[str | None, typer.Option(help="Read only this source again [default: all]")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Forget everything that was made of a model's files: tables, versions, records. The files and the folder stay."""
    from ml_assets.commands.forget import forget
    from ml_assets.commands.model_places import ForgetRequest

    if source is not None:
        _project().source(model, source)
    echo(forget(ForgetRequest(model, source), settings_of(context), DEFS, yes=yes))


@app.command()
def remove(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model, or what is left of one")],
    keep_files: Annotated[bool, typer.Option("--keep-files", help="Leave the delivered files")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Remove a model: what `reset` forgets, its folder, its files, and its name in the registry."""
    from ml_assets.commands.forget import forget
    from ml_assets.commands.model_places import ForgetRequest

    echo(forget(ForgetRequest(model, remove=True, keep_files=keep_files), settings_of(context), DEFS, yes=yes))


@app.command()
def doctor(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False
) -> None:
    """Check versions, databases, daemon, telemetry and disk; each finding with its remedy."""
    with show_work("examining the installation", "checks", "done") as show:
        from ml_assets.commands.doctor import run_checks, say

        findings = run_checks(settings_of(context), show)
    raise typer.Exit(0 if say(findings, as_json=json) else 1)


@app.command()
def up(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Of the Dagster UI")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Of the MLflow UI")] = 5000,
    serve_port: Annotated[int, typer.Option(help="Of the prediction server")] = 8000,
) -> None:
    """Start the Dagster UI and daemon, the MLflow UI and the prediction server, on this machine only."""
    from ml_assets.commands.up import up

    raise typer.Exit(up(settings_of(context), port, mlflow_port, serve_port))


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs a token")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the server")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer")] = 1,
) -> None:
    """Answer requests with the released champions, until told to stop."""
    from ml_assets.serving.server import serve

    def announce(url: str) -> None:
        echo(f"{url}/docs, {workers} worker{'s' if workers > 1 else ''}; Ctrl-C stops", err=True)

    serve(settings_of(context), host, port, workers, announce)


def _project() -> "Project":
    """The models, loaded: Dagster takes seconds to import, which `--help` need not pay."""
    with show_work("loading the models"):
        from ml_assets.commands.project import Project

        project = Project(PROJECT)
        _ = project.models
    return project


def main() -> None:
    """The `ml-assets` command, to its exit code."""
    listen()
    code = _run()
    with contextlib.suppress(BrokenPipeError):  # whoever read has read enough
        sys.stdout.flush()
        sys.stderr.flush()
    # Nothing is left to do that a kill would not leave undone as well. Python's own end takes a second with every
    # library loaded, and DuckDB's binding then complains of its types on stderr where Evidently keeps them alive.
    os._exit(code)


def _run() -> int:
    """Run the command; its exit code. What went wrong is one line."""
    session = Session()
    try:
        app(obj=session)
    except SystemExit as ended:  # click's way to end a command, with its exit code
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what nobody foresaw is one line, too
        sentence, code = _told(error, session)
        begins = new_line() if code == CODE else ""
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{begins}ml-assets: {plain(sentence)}\n" if sentence else "")
        return code
    return 0


def _told(error: BaseException, session: Session) -> tuple[str, int]:
    """What is said of an error, and the exit code."""
    # A library may make something else of Ctrl-C.
    if isinstance(error, StoppedError | KeyboardInterrupt) or ctrl_c_pressed():
        return (str(error) if isinstance(error, StoppedError | KeyboardInterrupt) else "") or stopped_sentence(), CODE
    if isinstance(error, MlAssetsError):
        return " ".join(str(error).split()), 2
    if isinstance(error, BrokenPipeError):  # whoever read has read enough
        return "", 1
    if session.settings and (parts := obstacle(session.settings.data)):
        return ": ".join(parts), 2
    if isinstance(error, UnforeseenError):
        return str(error), 1
    log = keep_traceback(error)
    where = f"; the traceback is in {log}" if log else ""
    message = " ".join(str(error).split()) or "no message"
    return f"failed in a way that was not foreseen: {message} ({type(error).__name__}){where}", 1
