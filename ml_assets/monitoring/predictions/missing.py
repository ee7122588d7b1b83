"""Gaps in the features of a population at an as-of date: missing values by feature, stale entities by view."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.features.view import View
from ml_assets.ingest.ingest import ingests
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.training.record import TrainingRecord


@dataclass(frozen=True)
class Share:
    """A share of entities, from 0 to 1, of a feature or view."""

    name: str
    share: float


def missing_shares(rows: pa.Table, features: Sequence[str]) -> tuple[Share, ...]:
    """The share of rows without a value, by feature; infinite numbers count, as in the drift report.

    >>> missing_shares(pa.table({"age": [30.0, None]}), ["age"])
    (Share(name='age', share=0.5),)
    """
    return tuple(Share(name, _missing(rows[name])) for name in features)


def _missing(column: pa.ChunkedArray) -> float:
    number = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    present = pc.fill_null(pc.is_finite(column), fill_value=False) if number else pc.is_valid(column)
    return 1 - float(pc.mean(present).as_py() or 0)


def stale_shares(
    lake: Lake, population: View, views: Sequence[View], silent: Sequence[bool], as_of: date
) -> tuple[Share, ...]:
    """The share of the population, by view, of which the view says nothing at `as_of`; all of it for a silent view.

    A batch computes its views at `as_of` itself, so a value is never older than its TTL by its date. The views must
    have been refreshed.

    Args:
        lake: where the views are.
        population: the view of the members.
        views: of features.
        silent: for each of them, whether its sources stopped.
        as_of: `T`.
    """
    return tuple(
        Share(view.table.rpartition("/")[2], 1.0 if still else _absent(lake, population, view, as_of))
        for view, still in zip(views, silent, strict=True)
    )


def _absent(lake: Lake, population: View, view: View, as_of: date) -> float:
    entity = quote(population.entity)
    rows = lake.query(
        f"SELECT avg(CASE WHEN v.{entity} IS NULL THEN 1.0 ELSE 0.0 END) AS share FROM s "
        f"LEFT JOIN v ON v.as_of = s.as_of AND v.{entity} = s.{entity} WHERE s.as_of = $day",
        {"day": as_of},
        s=population.kept,
        v=view.kept,
    )
    return float(rows["share"][0].as_py() or 0)


def silent(lake: Lake, kept: TrainingRecord, as_of: date) -> tuple[bool, ...]:
    """By view, whether all its sources stopped a TTL ago: its values are then those of long before, stamped anew."""
    ttls = [timedelta(seconds=seconds) for seconds in kept.ttls]
    return tuple(_silent(lake, view, ttl, as_of) for view, ttl in zip(kept.features, ttls, strict=True))


def _silent(lake: Lake, view: View, ttl: timedelta, as_of: date) -> bool:
    midnight = datetime.combine(as_of, time())
    arrived = [file for relation in view.relations for file in ingests(lake, relation.table)]
    periods = [(file.earliest, file.reached) for file in arrived if file.reached is not None]
    newest = max((min(reached, midnight) for earliest, reached in periods if earliest < midnight), default=None)
    return newest is None or midnight - newest >= ttl
