"""The online store is filled with the champion's own features, streamed out of the point-in-time join.

An entity's record is replaced as a whole; a writer that was killed left some of the old date and some of the new, and
the next run writes all again. Only then the store is told that the date is complete, and the ledger of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from ml_assets.features.join import feature_columns, stream_rows
from ml_assets.features.online.ledger import OnlineWrite, ledger, note
from ml_assets.features.online.schema import schema_of
from ml_assets.features.online.store import OnlineStore
from ml_assets.features.store import refresh
from ml_assets.features.view import TimedView, feature_set
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import known_until
from ml_assets.training.score import champion_record, input_fingerprints


@dataclass(frozen=True)
class OnlineWriteResult:
    """The state of the online store for the champion.

    Args:
        row: of the ledger; its date is later than what was asked for where the store was ahead.
        features: the champion's views.
        reused: nothing was written.
    """

    row: OnlineWrite
    features: tuple[TimedView, ...]
    reused: bool


def write_online(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    store: OnlineStore,
    as_of: date,
    *,
    written_at: datetime,
    workers: int = 2,
) -> OnlineWriteResult:
    """Write the features of the population at `as_of`; nothing where the same rows, or those of a later date, stand.

    Args:
        lake: where views and ledger are.
        registry: who is champion.
        folder: the model.
        store: where the records go.
        as_of: any date; views are computed there where they are not yet.
        written_at: now, naive UTC; it decides nothing.
        workers: as-of dates computed side by side.

    Raises:
        DataError: there is no champion yet, or a source has no rows.
    """
    champion, origin = champion_record(registry, folder)
    features = tuple(origin.used)
    name = feature_set(folder.name, features)
    fingerprint = fingerprint_of(name, *input_fingerprints(lake, folder, origin, as_of))
    with lake.lock(ledger(folder.name).table):
        stands = _standing(lake, folder, store, name, as_of, fingerprint)
        rows = stands.rows if stands else _stream(lake, folder, features, name, store, as_of, workers)
        row = OnlineWrite(
            as_of=stands.as_of if stands else as_of,
            feature_set=name,
            model_version=champion.number,
            store=store.name,
            rows=rows,
            fingerprint=stands.fingerprint if stands else fingerprint,
            written_at=written_at,
        )
        note(lake, folder.name, row)
    return OnlineWriteResult(row, features, stands is not None)


def date_to_write(lake: Lake, folder: ModelDefinition, as_of: date, today: date) -> date:
    """As of which date a run at the as-of date `as_of` of the loop writes.

    The date itself at first; once it was written, the latest date that a view's `refresh` asks for before the next
    as-of date, and that calendar and data have both reached. So the whole record is refreshed as often as the view that
    asks for it most often, and without a `refresh` at each as-of date.

    Args:
        lake: where ledger and sources are.
        folder: the model.
        as_of: of the loop.
        today: the calendar.
    """
    often = min((item.refresh for item in folder.features if item.refresh), default=None)
    row = ledger(folder.name).last(lake)
    if often is None or row is None or row.as_of < as_of:
        return as_of
    cadence = folder.spec.cadence
    end = min(today, known_until(lake, folder, today, step=often), cadence.step(as_of) - timedelta(days=1))
    return as_of + often * max(0, (min(end, cadence.end or end) - as_of) // often)


def date_to_refresh(lake: Lake, folder: ModelDefinition, store: OnlineStore, today: date) -> date | None:
    """The as-of date of the loop whose run would refresh the online store, or fill one that lost its records.

    None where nothing is lacking, and before the first write: that follows from the loop itself.

    Args:
        lake: where ledger and sources are.
        folder: the model.
        store: where the records are.
        today: the calendar.
    """
    row = ledger(folder.name).last(lake)
    if row is None:
        return None
    as_of = folder.spec.cadence.latest(row.as_of)
    finished = store.last_finished(row.feature_set)
    return as_of if finished is None or finished < date_to_write(lake, folder, as_of, today) else None


def _standing(
    lake: Lake, folder: ModelDefinition, store: OnlineStore, name: str, as_of: date, fingerprint: int
) -> OnlineWrite | None:
    """The row of what stands already: the same rows, or those of a later date; the store itself must know of them."""
    row, finished = _last_write(lake, folder, store, name), store.last_finished(name)
    if row is None or finished != row.as_of:
        return None
    return row if row.as_of > as_of or (row.as_of, row.fingerprint) == (as_of, fingerprint) else None


def _last_write(lake: Lake, folder: ModelDefinition, store: OnlineStore, name: str) -> OnlineWrite | None:
    where = "feature_set = $feature_set AND store = $store"
    return ledger(folder.name).last(lake, where, feature_set=name, store=store.name)


def _stream(
    lake: Lake,
    folder: ModelDefinition,
    features: tuple[TimedView, ...],
    name: str,
    store: OnlineStore,
    as_of: date,
    workers: int,
) -> int:
    """Compute, join and write; returns the rows of the population."""
    for view in (folder.population, *(item.view for item in features)):
        refresh(lake, view, [as_of], workers=workers)
    views = {item.name: (feature_columns(lake, item.view), item.ttl) for item in features}
    rows = 0

    def count(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch

    with stream_rows(lake, folder.population, as_of, features) as joined:
        schema = schema_of(name, folder.population.entity, joined.schema, views)
        store.write(schema, count(joined), as_of)
    store.finish(schema, as_of)
    return rows
