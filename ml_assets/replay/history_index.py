"""Sizes and fingerprints of the rows of each as-of date, taken once before anything is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ml_assets.features.store import refresh, stored_fingerprints
from ml_assets.features.view import View
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.training.dataset import views
from ml_assets.training.definition import ModelDefinition

Say = Callable[[int, int, str], None]
"""Told steps done, all steps, and what is being done."""


@dataclass(frozen=True)
class HistoryIndex:
    """Fingerprints and sizes by as-of date.

    Args:
        views: by lake table, the fingerprint of each date's rows; population, labels and features.
        members: of the population.
        features: what the population's features are a function of.
        labels: what its labels are a function of.
    """

    views: Mapping[str, Mapping[date, int]]
    members: Mapping[date, int]
    features: Mapping[date, int]
    labels: Mapping[date, int]


def prepare(lake: Lake, folder: ModelDefinition, days: Sequence[date], *, workers: int, say: Say) -> HistoryIndex:
    """Compute every view at every date that lacks it; what stands in the feature store is not touched.

    Args:
        lake: where the views are.
        folder: the model.
        days: the as-of dates.
        workers: as-of dates computed side by side.
        say: told what is computed.
    """
    fingerprints: dict[str, Mapping[date, int]] = {}
    needed = views(folder)
    for nr, view in enumerate(needed):
        say(nr, len(needed), f"features: {view.table}")
        refresh(lake, view, days, workers=workers)
        fingerprints[view.kept] = stored_fingerprints(
            lake, view, days
        )  # of the rows that stand, whatever came in since they were computed
    inputs = [fingerprints[view.kept] for view in needed if view is not folder.labels]
    labels = fingerprints[folder.labels.kept]
    return HistoryIndex(
        views=fingerprints,
        members=_members(lake, folder.population),
        # With the day: one file may hold the rows of many dates, whose fingerprints are then the same number.
        features={day: fingerprint_of(day, [prints[day] for prints in inputs]) for day in days},
        labels={day: fingerprint_of(day, labels[day]) for day in days},
    )


def _members(lake: Lake, population: View) -> dict[date, int]:
    counts = lake.query("SELECT as_of, count(*) AS n FROM p GROUP BY as_of", p=population.kept)
    return dict(zip(counts["as_of"].to_pylist(), counts["n"].to_pylist(), strict=True))
