"""The reach of calendar and data: the as-of date that the loop works on where nobody names one."""

from dataclasses import dataclass
from datetime import date, timedelta

from ml_assets.errors import DataError
from ml_assets.ingest.ingest import ingests
from ml_assets.ingest.left_files import without_rows
from ml_assets.storage.lake import Lake
from ml_assets.storage.timestamps import FIRST
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


def known_until(lake: Lake, folder: ModelDefinition, as_of: date, *, step: timedelta | None = None) -> date:
    """Up to when the sources of the label are known at `as_of`.

    A feed that stopped is no evidence that nothing happened: labels past its last event (and one `step`, by default of
    the cadence, for a quiet feed) are not mature, whatever the date says.

    Args:
        lake: where the sources are.
        folder: the model.
        as_of: `T`.
        step: how long a feed may be quiet; default: one step of the cadence.

    Raises:
        DataError: a source of the label has no rows yet.
    """
    last = []
    for relation in folder.labels.relations:
        arrived = ingests(lake, relation.table)
        if not arrived:
            raise DataError(f"source {folder.name}/{relation.name} {without_rows(lake, relation.table)}")
        # A time after its delivery says nothing of how far a feed is known.
        last.append(max((file.reached for file in arrived if file.reached), default=FIRST).date())
    cadence = folder.spec.cadence
    # Neither before the first as-of date, where nothing is mature, nor beyond the end of the calendar.
    earlier = [max(day, cadence.start) for day in last if day < as_of]
    after = [cadence.step(day) if step is None else day + step for day in earlier]
    return min(as_of, *after) if earlier else as_of
