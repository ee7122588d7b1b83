"""Simulated subscription churn: rows that look like a business, and the truth behind them.

`write` fills a drop zone with monthly files, `append` lets weeks pass, `truth` and `best_roc_auc` say what
the best possible model would know. Everything is a function of `Simulation`; there is no clock.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.examples.churn import truth as manifest
from ml_assets.examples.churn.dirt import broken_copies
from ml_assets.examples.churn.files import store
from ml_assets.examples.churn.latent import DAY, SLIPPING, Floats, Stream, Week, probability, random, weeks
from ml_assets.examples.churn.observe import (
    ARRIVAL,
    LATEST_SYNC_WEEKS,
    SCHEMAS,
    customer_ids,
    observe,
    timestamps,
)
from ml_assets.examples.churn.parameters import Drift, Simulation
from ml_assets.examples.churn.truth import SimulationManifest

__all__ = ["Drift", "Simulation", "append", "best_roc_auc", "history", "read", "truth", "write"]

Rows = dict[str, pa.Table]
Progress = Callable[[int, int], None]


def write(simulation: Simulation, folder: Path, progress: Progress | None = None) -> list[Path]:
    """Write the history as monthly files below `folder/<source>/`, and `folder/simulation.json` last.

    Each file appears whole, under its name, or not at all; a file that stands already is left alone, so a run
    that was interrupted is simply run again. Memory is bounded by one month.

    Args:
        simulation: what to write.
        folder: the drop zone of one model, e.g. `data/incoming/churn`.
        progress: is told (weeks done, weeks in all) after each week.

    Returns:
        The files that this call added.

    Raises:
        DataError: the folder holds another simulation.
    """
    before = manifest.find(folder)
    if before and before.simulation.until(before.written).identity() != simulation.identity():
        raise DataError(f"{folder} holds another simulation: append to it, or choose an empty folder")
    added: list[Path] = []
    months = groupby(history(simulation, progress=progress), key=lambda week: f"{week[0]:%Y-%m}")
    for month, chunk in months:
        added += _store(folder, month, [rows for _, rows in chunk])
    if not before:
        manifest.save(folder, SimulationManifest(simulation, simulation.end))
    return added


def append(folder: Path, weeks: int, drift: Drift | None = None, progress: Progress | None = None) -> list[Path]:
    """Let `weeks` more weeks pass: replay the process and write one file a source and week.

    Args:
        folder: where `write` wrote.
        weeks: how many, from where the files end.
        drift: a drift that begins with the first of these weeks; None goes on as before.
        progress: is told (weeks done, weeks in all) after each week.

    Returns:
        The files that this call added.

    Raises:
        DataError: there is nothing to append to, or the history drifts in another way already.
    """
    record = manifest.load(folder)
    if weeks < 1:
        raise DataError(f"{weeks} weeks cannot pass: append at least 1")
    ended = record.simulation.end
    longer = _drifting(record.simulation, drift).until(ended + timedelta(weeks=weeks))
    added: list[Path] = []
    for begins, rows in history(longer, first=ended, progress=progress):
        added += _store(folder, begins.isoformat(), [rows])
    manifest.save(folder, SimulationManifest(longer, record.written))
    return added


def read(folder: Path) -> Simulation:
    """The simulation that the files of a folder hold, with everything appended since.

    Raises:
        DataError: there is none.
    """
    return manifest.load(folder).simulation


def history(
    simulation: Simulation, *, first: date | None = None, progress: Progress | None = None
) -> Iterator[tuple[date, Rows]]:
    """What arrives in each week from `first` (default: the start) to the end: (its Sunday, rows by source).

    Each table is in order of arrival. Rows depend only on the weeks before them, not on the end.
    """
    since = simulation.week(first) if first else 0
    waiting = SCHEMAS["support_tickets"].empty_table()
    for week in weeks(simulation, simulation.weeks):
        if week.number < since - LATEST_SYNC_WEEKS:
            continue  # nothing of that week is still on its way
        rows = _soiled(simulation, week, observe(simulation, week))
        tickets = pa.concat_tables([waiting, rows["support_tickets"]])
        rows["support_tickets"], waiting = _arrived(simulation, week, tickets)
        if week.number >= since:
            yield (
                simulation.start + timedelta(weeks=week.number),
                {name: _sorted(name, rows[name]) for name in rows},
            )
            if progress:
                progress(week.number + 1 - since, simulation.weeks - since)


def truth(simulation: Simulation, as_of_dates: Iterable[date], horizon: timedelta) -> pa.Table:
    """The population of each as-of date, with what only the simulation knows.

    The process goes on beyond `end` where a horizon needs it, as when weeks are appended without a new drift.

    Args:
        simulation: the history.
        as_of_dates: Sundays from its start on.
        horizon: of the label; counted in whole days, what is left over is dropped.

    Returns:
        Columns as_of, customer_id, slipping (the hidden state), probability (exact) and label (what happens).

    Raises:
        DataError: for a date that is no Sunday of the history.
    """
    numbers = sorted({simulation.week(as_of) for as_of in as_of_dates})
    if not numbers:
        raise DataError("no as-of dates: name at least one Sunday of the history")
    selected: list[Week] = []
    for week in weeks(simulation, numbers[-1] + 1 + horizon // timedelta(weeks=1) + 1):
        selected += [week] if week.number in numbers else []
    return pa.concat_tables([_known(simulation, at, week, horizon.days) for at in selected])


def best_roc_auc(simulation: Simulation, as_of_dates: Iterable[date], horizon: timedelta) -> float:
    """The ROC AUC of the exact probabilities, pooled over the dates: no model can expect more.

    Raises:
        DataError: everybody has the same label, so no AUC is defined.
    """
    best = truth(simulation, as_of_dates, horizon)
    return _roc_auc(best["label"].to_numpy(), best["probability"].to_numpy())


def _known(simulation: Simulation, at: Week, last: Week, days: int) -> pa.Table:
    who = at.population
    traits, state = at.traits.take(who), at.state[who]
    as_of = timestamps(simulation, np.full(len(who), at.begins))
    return pa.table(
        {
            "as_of": as_of,
            "customer_id": customer_ids(who),
            "slipping": state == SLIPPING,
            "probability": probability(simulation, traits, state, at.number, days),
            "label": (last.left[who] < at.begins + days * DAY).astype(np.int64),
        }
    )


def _roc_auc(label: np.ndarray, score: Floats) -> float:
    """The Mann-Whitney statistic with ties counted half (Hanley & McNeil 1982, Radiology 143)."""
    yes, no = np.sort(score[label == 1]), np.sort(score[label == 0])
    if not len(yes) or not len(no):
        raise DataError(f"{len(yes)} of {len(label)} labels are 1: ROC AUC needs both, choose more dates or customers")
    below, upto = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + upto).sum() / (2 * len(yes) * len(no)))


def _soiled(simulation: Simulation, week: Week, clean: Rows) -> Rows:
    rng = random(simulation, Stream.DIRT, week.number)
    return {
        source: pa.concat_tables([rows, broken_copies(source, rows, rng, simulation.dirty)])
        for source, rows in clean.items()
    }


def _arrived(simulation: Simulation, week: Week, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What the help desk handed over by the end of the week, and what is still on its way."""
    ends = timestamps(simulation, np.array([week.begins])).to_pylist()[0] + timedelta(weeks=1)
    here = rows["synced_at"].to_numpy() < np.datetime64(ends)
    return rows.filter(pa.array(here)), rows.filter(pa.array(~here))


def _sorted(source: str, rows: pa.Table) -> pa.Table:
    order = np.argsort(rows[ARRIVAL[source]].to_numpy(), kind="stable")
    return rows.take(pa.array(order))


def _store(folder: Path, name: str, chunk: Sequence[Rows]) -> list[Path]:
    tables = {source: pa.concat_tables([rows[source] for rows in chunk]) for source in SCHEMAS}
    return [path for source, rows in tables.items() for path in store(rows, folder, source, name)]


def _drifting(simulation: Simulation, drift: Drift | None) -> Simulation:
    if drift is None or drift == simulation.drift:
        return simulation
    if simulation.drift != "none":
        raise DataError(f"{simulation.drift} drift begins on {simulation.drift_from}: no {drift} after it, write anew")
    return replace(simulation, drift=drift, drift_from=simulation.end)
