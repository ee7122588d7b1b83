"""The reach of calendar and data: the as-of date that the loop works on where nobody names one."""

from dataclasses import dataclass
from datetime import date, timedelta

from ml_assets.errors import DataError
from ml_assets.ingest.ingest import ingests
from ml_assets.ingest.left_files import without_rows
from ml_assets.storage.lake import Lake
from ml_assets.training.definition import ModelDefinition


@dataclass(frozen=True)
class Reach:
    """The dates up to which a model can go today.

    Args:
        calendar: the last as-of date that today has reached.
        last_event: the day of the last event that happened to, or made, whoever is scored.
        as_of: the last as-of date that calendar and data have both reached; None where the data end before the first.
        ended: the data ended so long ago that no feature of theirs may be used at `calendar`.
    """

    calendar: date
    last_event: date
    as_of: date | None
    ended: bool


def reach(lake: Lake, folder: ModelDefinition, today: date) -> Reach:
    """The dates up to which a model can go today, by the sources of its population and its label.

    A feed may be quiet for one step of the cadence, so a date counts as reached up to a step after the last event. Data
    that are older than that by the longest `ttl` of the features have ended: then nothing is quiet, and the last date
    is one whose days before are all there.

    Args:
        lake: where the sources are.
        folder: the model.
        today: the calendar; what claims to happen later counts as today.

    Raises:
        DataError: a source of the label holds no row.
        DeclarationError: the cadence begins after today.
    """
    cadence, last = folder.spec.cadence, min(_last_event(lake, folder), today)
    calendar, quiet = cadence.latest(today), cadence.step(last)
    whole = last + timedelta(days=1)  # midnight after the last event
    ended = calendar > cadence.step(whole) + max(item.ttl for item in folder.features)
    dates = cadence.dates(min(today, whole if ended else quiet))
    return Reach(calendar, last, dates[-1] if dates else None, ended)


def _last_event(lake: Lake, folder: ModelDefinition) -> date:
    """The day of the last event that is not after its delivery."""
    for relation in folder.labels.relations:
        if not ingests(lake, relation.table):
            raise DataError(f"source {folder.name}/{relation.name} {without_rows(lake, relation.table)}")
    tables = {relation.table for relation in (*folder.population.relations, *folder.labels.relations)}
    return max(
        (ingest.reached.date() for table in tables for ingest in ingests(lake, table) if ingest.reached),
        default=folder.spec.cadence.start,
    )
