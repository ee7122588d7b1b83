"""`ml-assets data …`: fill the drop zone."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ml_assets.commands.progress import bar
from ml_assets.errors import DataError
from ml_assets.settings import settings

if TYPE_CHECKING:
    from ml_assets.simulation.churn import Simulation

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
    from ml_assets.simulation import churn

    folder = settings().incoming / "churn"
    with bar("simulate churn") as progress:
        if append:
            files = churn.append(folder, append, drift=None if drift == "none" else drift, progress=progress)
        else:
            made = churn.Simulation(
                end=_date(end) if end else last_sunday(), customers=customers, months=months, seed=seed,
                drift=drift, drift_from=_date(drift_from) if drift_from else None, dirty=dirty,
            )  # fmt: skip
            files = churn.write(made, folder, progress)
    _say(files, churn.read(folder), folder)


@app.command(name="online-retail")
def online_retail(
    source: Annotated[Path | None, typer.Option("--from", help="A local .zip, .xlsx, .csv or .parquet of it")] = None,
) -> None:
    """Put the Online Retail II invoices (UCI, CC BY 4.0) into the drop zone: download, check, write."""
    from ml_assets.commands import retail

    incoming = settings().incoming
    with bar("download" if source is None else "read") as progress:
        path = source or retail.fetch(retail.URL, incoming, progress)
        written = retail.convert(path, incoming, progress, lines=None if source else retail.LINES)
    typer.echo(f"{written}: next, `ml-assets run retail`")


@app.command()
def documents(
    count: Annotated[int, typer.Option("--documents", help="Documents of the whole history")] = 500,
    weeks: Annotated[int, typer.Option(help="Weeks of history")] = 26,
    seed: Annotated[int, typer.Option(help="Seed: the same seed and end give the same bytes")] = 0,
    end: Annotated[str, typer.Option(help="The Sunday before which the history ends [default: the last one]")] = "",
    append: Annotated[int, typer.Option(help="Let so many weeks pass after the files that are there")] = 0,
    source: Annotated[Path | None, typer.Option("--from", help="Deliver the files of a folder of your own")] = None,
) -> None:
    """Write real-estate documents as PDFs, scans and text, with what they are; or deliver your own."""
    from ml_assets.simulation.documents import write

    folder = settings().incoming / "documents"
    if source is not None:
        from ml_assets.commands.delivery import deliver

        with bar("deliver documents") as progress:
            done = deliver(source, folder / "files", last_sunday(), progress)
        typer.echo(f"{done} new files in {folder / 'files'}: next, `ml-assets run documents`")
        return
    with bar("write documents") as progress:
        if append:
            files = write.append(folder, append, progress)
        else:
            day = _date(end) if end else last_sunday()
            files = write.write(folder, documents=count, weeks=weeks, end=day, seed=seed, progress=progress)
    plan = write.read(folder)
    typer.echo(
        f"{len(files)} new files in {folder}: {plan.start} to {plan.end}: next, "
        f"`ml-assets run documents --as-of {plan.end}`"
    )


@app.command()
def retry(
    model: Annotated[str, typer.Argument(help="The folder of a model of documents")] = "documents",
) -> None:
    """Read again what was refused of a model's documents: it took too long, or an older release could not read it."""
    from ml_assets.commands.again import read_again

    with bar("read documents") as progress:
        outcomes = read_again(model, progress)
    for outcome in outcomes:
        typer.echo(outcome)


def default_churn(progress_to: Path) -> None:
    """The history that a first run simulates."""
    from ml_assets.simulation import churn

    with bar("simulate churn") as progress:
        churn.write(churn.Simulation(end=last_sunday()), progress_to, progress)


def default_documents(progress_to: Path) -> None:
    """The documents that a first run learns from."""
    from ml_assets.simulation.documents.write import write

    with bar("write documents") as progress:
        write(progress_to, end=last_sunday(), progress=progress)


def last_sunday() -> date:
    """The last as-of date of a weekly cadence on Sundays that today has reached."""
    today = datetime.now(UTC).date()
    return today - timedelta(days=today.isoweekday() % 7)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{text!r} is no date: write it like 2026-03-01") from error


def _say(files: Iterable[Path], simulation: "Simulation", folder: Path) -> None:
    count = len(list(files))
    typer.echo(
        f"{count} new files in {folder}: {simulation.customers:,} customers, {simulation.start} to {simulation.end}, "
        f"seed {simulation.seed}, drift {simulation.drift}: next, `ml-assets run churn --as-of {simulation.end}`"
    )
