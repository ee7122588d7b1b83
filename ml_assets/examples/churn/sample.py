"""The sample of `churn`, as its `defs.yaml` names it: simulated files, and the best that a model could do on them."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from ml_assets.ingest.drop_zone import DropZone
from ml_assets.spec.cadence import last_sunday, parse_date


def simulate(
    zone: DropZone,
    customers: int = 3000,
    months: int = 24,
    seed: int = 0,
    end: str = "",
    drift: Literal["none", "covariate", "concept"] = "none",
    drift_from: str = "",
    dirty: float = 0.001,
    append: int = 0,
) -> str:
    """Simulate the churn data: subscription customers with a known churn moment.

    Args:
        zone: where the files go.
        customers: customers at the start.
        months: months of history.
        seed: seed: the same seed and end give the same bytes.
        end: the Sunday before which the history ends [default: the last one].
        drift: what changes: the distributions, or the law of churn.
        drift_from: when the drift begins [default: with the appended weeks].
        dirty: share of added rows that break expectations.
        append: let so many weeks pass after the files that are there.

    Returns:
        A sentence that says what was written and how to go on.

    Raises:
        DataError: a parameter is out of its range, a date is not a Sunday, or the folder holds another simulation.
    """
    with zone.bar("simulating churn", "weeks", "simulated") as progress:
        from ml_assets.examples.churn import simulation as churn

        if append:
            churn.read(zone.folder)  # refused before anything is written
            with zone.mark_unfinished():
                files = churn.append(zone.folder, append, drift=None if drift == "none" else drift, progress=progress)
        else:
            simulation = churn.Simulation(
                end=parse_date(end) if end else last_sunday(zone.today), customers=customers, months=months, seed=seed,
                drift=drift, drift_from=parse_date(drift_from) if drift_from else None, dirty=dirty,
            )  # fmt: skip
            with zone.mark_unfinished(simulation.end):
                files = churn.write(simulation, zone.folder, progress)
    stands = churn.read(zone.folder)
    return (
        f"{len(files)} new files in {zone.folder}: {stands.customers:,} customers, {stands.start} to {stands.end}, "
        f"seed {stands.seed}, drift {stands.drift}: next, `ml-assets run {zone.model} --as-of {stands.end}`"
    )


def best_roc_auc(folder: Path, as_of_dates: Sequence[date], horizon: timedelta) -> float | None:
    """The ROC AUC of the exact probabilities behind simulated files, pooled over the dates; None for other files."""
    from ml_assets.examples.churn import simulation as churn
    from ml_assets.examples.churn import truth

    manifest = truth.find(folder)
    return None if manifest is None else churn.best_roc_auc(manifest.simulation, as_of_dates, horizon)
