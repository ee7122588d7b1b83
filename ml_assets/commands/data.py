"""`ml-assets data …`: fill the drop zone."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ml_assets.commands.interrupt import typed
from ml_assets.commands.progress import bar, working
from ml_assets.commands.screen import echo
from ml_assets.commands.unfinished import writing
from ml_assets.errors import DataError
from ml_assets.settings import PROJECT, settings
from ml_assets.spec.cadence import Cadence

if TYPE_CHECKING:
    from ml_assets.examples.churn.simulation import Simulation

app = typer.Typer(no_args_is_help=True, help="Fill the drop zone: simulated churn, real retail invoices, documents.")

Shift = Literal["none", "covariate", "concept"]


@app.command()
def simulate(
    customers: Annotated[int, typer.Option(help="Customers at the start")] = 3000,
    months: Annotated[int, typer.Option(help="Months of history")] = 24,
    seed: Annotated[int, typer.Option(help="Seed: the same seed and end give the same bytes")] = 0,
    end: Annotated[str, typer.Option(help="The Sunday before which the history ends [default: the last one]")] = "",
    drift: Annotated[Shift, typer.Option(help="What changes: the distributions, or the law of churn")] = "none",
    drift_from: Annotated[str, typer.Option(help="When the drift begins [default: with the appended weeks]")] = "",
    dirty: Annotated[float, typer.Option(help="Share of added rows that break expectations")] = 0.001,
    append: Annotated[int, typer.Option(help="Let so many weeks pass after the files that are there")] = 0,
) -> None:
    """Simulate the churn data: subscription customers with a known churn moment."""
    folder = settings().incoming / "churn"
    with bar("simulating churn", "weeks", "simulated") as progress:
        from ml_assets.examples.churn import simulation as churn

        if append:
            churn.read(folder)  # refused before anything is written
            with writing(folder, "", typed()):
                files = churn.append(folder, append, drift=None if drift == "none" else drift, progress=progress)
        else:
            made = churn.Simulation(
                end=_date(end) if end else last_sunday(), customers=customers, months=months, seed=seed,
                drift=drift, drift_from=_date(drift_from) if drift_from else None, dirty=dirty,
            )  # fmt: skip
            with writing(folder, str(made.end), typed()):
                files = churn.write(made, folder, progress)
    _say(files, churn.read(folder), folder)


@app.command(name="online-retail")
def online_retail(
    source: Annotated[Path | None, typer.Option("--from", help="A local .zip, .xlsx, .csv or .parquet of it")] = None,
) -> None:
    """Put the Online Retail II invoices (UCI, CC BY 4.0) into the drop zone: download, check, write."""
    incoming = settings().incoming
    with bar("reading" if source else "downloading", "lines" if source else "bytes", "read") as progress:
        from ml_assets.examples.retail import download as retail

        path = source or retail.fetch(retail.URL, incoming, progress)
        written = retail.convert(path, incoming, progress, lines=None if source else retail.LINES)
        lines, last = retail.extent(written)
        as_of = _last_date("retail", last)
    echo(f"{written}: {lines:,} lines until {last}: next, `ml-assets run retail{as_of}`")


@app.command()
def documents(
    count: Annotated[int, typer.Option("--documents", help="Documents of the whole history")] = 1000,
    weeks: Annotated[int, typer.Option(help="Weeks of history")] = 26,
    seed: Annotated[int, typer.Option(help="Seed: the same seed and end give the same bytes")] = 0,
    end: Annotated[str, typer.Option(help="The Sunday before which the history ends [default: the last one]")] = "",
    append: Annotated[int, typer.Option(help="Let so many weeks pass after the files that are there")] = 0,
    source: Annotated[Path | None, typer.Option("--from", help="Deliver the files of a folder of your own")] = None,
) -> None:
    """Write real-estate documents as PDFs, scans and text, with what they are; or deliver your own."""
    folder = settings().incoming / "documents"
    if source is not None:
        with bar("delivering documents", kept="delivered") as progress:
            from ml_assets.commands.delivery import deliver

            done = deliver(source, folder / "files", last_sunday(), progress)
        echo(f"{done} new files in {folder / 'files'}: next, `ml-assets run documents`")
        return
    with bar("writing documents", "weeks") as progress:
        from ml_assets.examples.documents import write

        if append:
            write.read(folder)  # refused before anything is written
            with writing(folder, "", typed()):
                files = write.append(folder, append, progress)
        else:
            day = _date(end) if end else last_sunday()
            with writing(folder, str(day), typed()):
                files = write.write(folder, documents=count, weeks=weeks, end=day, seed=seed, progress=progress)
        plan = write.read(folder)
    echo(
        f"{len(files)} new files in {folder}: {plan.start} to {plan.end}: next, "
        f"`ml-assets run documents --as-of {plan.end}`"
    )


@app.command()
def retry(
    model: Annotated[str, typer.Argument(help="The folder of a model of documents")] = "documents",
) -> None:
    """Read again what was refused of a model's documents: it took too long, or an older release could not read it."""
    with bar("reading documents", kept="read") as progress:
        from ml_assets.commands.retry import read_again

        outcomes = read_again(model, progress)
    for outcome in outcomes:
        echo(outcome)


@app.command()
def undo(
    source: Annotated[str, typer.Argument(help="Model and source: churn/transactions")],
    file: Annotated[str, typer.Argument(help="Its path as `status` names it, the end of it, or its SHA-256")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Take a delivery back: its rows leave the table and the quarantine, and what it replaced comes back."""
    with working("loading the models"):
        from ml_assets.commands.project import Project
        from ml_assets.commands.undo import undo_delivery

        project = Project(PROJECT)
        _ = project.models
    undo_delivery(project, source, file, yes=yes)


def default_churn(folder: Path, end: str = "") -> None:
    """The history that a first run simulates, or the rest of it."""
    with bar("simulating churn", "weeks", "simulated") as progress:
        from ml_assets.examples.churn import simulation as churn

        day = _date(end) if end else last_sunday()
        with writing(folder, str(day), ""):
            churn.write(churn.Simulation(end=day), folder, progress)


def default_documents(folder: Path, end: str = "") -> None:
    """The documents that a first run learns from, or the rest of them."""
    with bar("writing documents", "weeks") as progress:
        from ml_assets.examples.documents.write import write

        day = _date(end) if end else last_sunday()
        with writing(folder, str(day), ""):
            write(folder, end=day, progress=progress)


def last_sunday() -> date:
    """The last as-of date of a weekly cadence on Sundays that today has reached."""
    today = datetime.now(UTC).date()
    return today - timedelta(days=today.isoweekday() % 7)


def _last_date(name: str, last: date) -> str:
    """`--as-of` with the last date of a model's calendar that files which end on the day `last` reach."""
    import yaml

    path = PROJECT / "ml_assets" / "defs" / name / "defs.yaml"
    declared = list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) if path.is_file() else []
    for found in (part["attributes"]["cadence"] for part in declared if "cadence" in part.get("attributes", {})):
        dates = Cadence.model_validate(found).dates(last + timedelta(days=1))
        return f" --as-of {dates[-1]}" if dates else ""
    return ""


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{text!r} is not a date: write it like 2026-03-01") from error


def _say(files: Iterable[Path], simulation: "Simulation", folder: Path) -> None:
    count = len(list(files))
    echo(
        f"{count} new files in {folder}: {simulation.customers:,} customers, {simulation.start} to {simulation.end}, "
        f"seed {simulation.seed}, drift {simulation.drift}: next, `ml-assets run churn --as-of {simulation.end}`"
    )
