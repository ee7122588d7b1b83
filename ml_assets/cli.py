"""The `ml-assets` command. Errors that a user can put right are one line and exit code 2."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ml_assets.commands import data, token
from ml_assets.commands.environment import prepare
from ml_assets.errors import DataError, MlAssetsError
from ml_assets.settings import PROJECT, settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(data.app, name="data")
app.add_typer(token.app, name="token")


@app.callback()
def _environment(context: typer.Context) -> None:
    """The production ML loop: raw data to features, models, releases, predictions and reports."""
    try:
        prepare(settings())
    except DataError:
        if context.invoked_subcommand != "doctor":  # it says so among its findings
            raise


@app.command()
def run(
    models: Annotated[list[str] | None, typer.Argument(help="Model folders [default: all that have data]")] = None,
    as_of: Annotated[str, typer.Option(help="The as-of date [default: the last one that today has reached]")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else")] = False,
) -> None:
    """Run the loop: ingest, check, features, train, evaluate, gate, release, predict, drift report."""
    from ml_assets.commands.loop import loop  # Dagster: 1 s, which `--help` need not pay
    from ml_assets.commands.project import Project

    loop(Project(PROJECT), models or [], as_of, as_json=json)


@app.command()
def new(name: Annotated[str, typer.Argument(help="The model's name: letters, digits and _")]) -> None:
    """Write a model folder that runs on its own small sample; edit its YAML and SQL."""
    from ml_assets.commands.new import new

    typer.echo(new(name))


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False) -> None:
    """What stands: models, champions, last predictions, drift."""
    from ml_assets.commands.project import Project
    from ml_assets.commands.status import status

    status(Project(PROJECT), as_json=json)


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
    from ml_assets.commands.project import Project
    from ml_assets.commands.replay import Request, read, run

    asked = Request(first, last, metric, read(policy or []))
    run(Project(PROJECT), model, asked, resume=resume, as_json=json)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="The model folder")],
    reason: Annotated[str, typer.Option(help="Why, for the ledger")],
    to: Annotated[int | None, typer.Option(help="The version [default: the champion before this one]")] = None,
) -> None:
    """Make another released version the champion; its successor is not promoted again by itself."""
    from ml_assets.commands.project import Project
    from ml_assets.commands.rollback import rollback

    typer.echo(rollback(Project(PROJECT), model, to, reason))


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False) -> None:
    """Check versions, databases, daemon, telemetry and disk; each finding with its remedy."""
    from ml_assets.commands.doctor import doctor

    raise typer.Exit(0 if doctor(as_json=json) else 1)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Of the Dagster UI")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Of the MLflow UI")] = 5000,
    serve_port: Annotated[int, typer.Option(help="Of the prediction server")] = 8000,
) -> None:
    """Start the Dagster UI and daemon, the MLflow UI and the prediction server, on this machine only."""
    from ml_assets.commands.up import up

    raise typer.Exit(up(port, mlflow_port, serve_port))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's needs a token")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the server")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer")] = 1,
) -> None:
    """Answer requests with the released champions, until told to stop."""
    from ml_assets.serving.server import serve

    typer.echo(f"http://{host}:{port}/docs, {workers} worker{'s' if workers > 1 else ''}; Ctrl-C stops", err=True)
    serve(settings(), host, port, workers)


def main() -> None:
    """The console script."""
    code = _run()
    with contextlib.suppress(BrokenPipeError):  # whoever read has read enough
        sys.stdout.flush()
        sys.stderr.flush()
    # Nothing is left to do that a kill would not leave undone as well. Python's own end takes a second with every
    # library loaded, and DuckDB's binding then complains of its types on stderr where Evidently keeps them alive.
    os._exit(code)


def _run() -> int:
    try:
        app()
    except MlAssetsError as error:
        sys.stderr.write(f"ml-assets: {' '.join(str(error).split())}\n")
        return 2
    except SystemExit as ended:  # click's way to end a command, with its exit code
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
