"""The online store is filled with a version's own features, streamed out of the point-in-time join.

An entity's record is replaced as a whole; a writer that was killed left some of the old date and some of the new, and
the next run writes all again. Only then the store is told that the date is complete, and the ledger of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from ml_assets.features.join import feature_columns, stream_rows
from ml_assets.features.online.ledger import OnlineWrite, last_write, ledger, note
from ml_assets.features.online.schema import schema_of
from ml_assets.features.online.store import OnlineStore
from ml_assets.features.store import refresh
from ml_assets.features.view import TimedView, feature_set
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import known_until
from ml_assets.training.record import TrainingRecord
from ml_assets.training.score import champion_record, input_fingerprints

Note = Callable[[Lake, str, OnlineWrite], None]
"""Keeps a write of a model in its ledger."""


@dataclass(frozen=True)
class OnlineWriteResult:
    """The state of the online store for a version.

    Args:
        row: of the ledger; its date is later than what was asked for where the store was ahead.
        features: the version's views.
        reused: nothing was written.
    """

    row: OnlineWrite
    features: tuple[TimedView, ...]
    reused: bool


@dataclass(frozen=True)
class OnlineWriter:
    """Writes the features of versions of a model; nothing where the same rows, or those of a later date, stand.

    Args:
        lake: where views and ledgers are.
        folder: the model.
        store: where the records go.
        as_of: any date; views are computed there where they are not yet.
        written_at: now, naive UTC; it decides nothing.
        workers: as-of dates computed side by side.
    """

    lake: Lake
    folder: ModelDefinition
    store: OnlineStore
    as_of: date
    written_at: datetime
    workers: int = 2

    def write(self, version: Version, origin: TrainingRecord, note: Note) -> OnlineWriteResult:
        """Write the features of the population for a version.

        Args:
            version: in the registry.
            origin: what it was trained from.
            note: keeps the row of the ledger.

        Raises:
            DataError: a source has no rows.
        """
        lake, folder, features = self.lake, self.folder, tuple(origin.used)
        name = feature_set(folder.name, features)
        fingerprint = fingerprint_of(name, *input_fingerprints(lake, folder, origin, self.as_of))
        with lake.lock(ledger(folder.name).table):
            stands = self._standing(name, fingerprint)
            rows = stands.rows if stands else self._stream(features, name)
            row = OnlineWrite(
                as_of=stands.as_of if stands else self.as_of,
                feature_set=name,
                model_version=version.number,
                store=self.store.name,
                rows=rows,
                fingerprint=stands.fingerprint if stands else fingerprint,
                written_at=self.written_at,
            )
            note(lake, folder.name, row)
        return OnlineWriteResult(row, features, stands is not None)

    def _standing(self, name: str, fingerprint: int) -> OnlineWrite | None:
        """The row of what stands already: the same rows, or those of a later date; the store itself must know it."""
        where, finished = "feature_set = $feature_set AND store = $store", self.store.last_finished(name)
        row = last_write(self.lake, self.folder.name, where, feature_set=name, store=self.store.name)
        if row is None or finished != row.as_of:
            return None
        return row if row.as_of > self.as_of or (row.as_of, row.fingerprint) == (self.as_of, fingerprint) else None

    def _stream(self, features: tuple[TimedView, ...], name: str) -> int:
        """Compute, join and write; returns the rows of the population."""
        lake, population, as_of = self.lake, self.folder.population, self.as_of
        for view in (population, *(item.view for item in features)):
            refresh(lake, view, [as_of], workers=self.workers)
        views = {item.name: (feature_columns(lake, item.view), item.ttl) for item in features}
        rows = 0

        def count(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in batches:
                rows += batch.num_rows
                yield batch

        with stream_rows(lake, population, as_of, features) as joined:
            schema = schema_of(name, population.entity, joined.schema, views)
            self.store.write(schema, count(joined), as_of)
        self.store.finish(schema, as_of)
        return rows


def write_champion(writer: OnlineWriter, registry: Registry) -> OnlineWriteResult:
    """Write the champion's features.

    Raises:
        DataError: there is no champion yet, or a source has no rows.
    """
    return writer.write(*champion_record(registry, writer.folder), note)


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


def date_to_refresh(
    lake: Lake,
    folder: ModelDefinition,
    store: OnlineStore,
    today: date,
    others: Iterable[int] = (),
    champion: int | None = None,
) -> date | None:
    """The as-of date of the loop whose run would refresh the online store, or fill one that lost its records.

    None where nothing is lacking, and before the first write: that follows from the loop itself.

    Args:
        lake: where ledger and sources are.
        folder: the model.
        store: where the records are.
        today: the calendar.
        others: numbers of versions beside the champion whose features are to be there, too.
        champion: its number, where the ledger is to say that its features answer; None: whichever version wrote last.
    """
    row = ledger(folder.name).last(lake)
    if row is None:
        return None
    as_of = folder.spec.cadence.latest(row.as_of)
    target = date_to_write(lake, folder, as_of, today)
    if champion not in {None, row.model_version}:
        return as_of
    sets = [row.feature_set, *(_set_of_version(lake, folder, store, number) for number in others)]
    return as_of if any(_lacks(store, name, target) for name in sets) else None


def _set_of_version(lake: Lake, folder: ModelDefinition, store: OnlineStore, number: int) -> str | None:
    """Under which name the features of a version were written last; None: never."""
    row = last_write(lake, folder.name, "model_version = $n AND store = $store", n=number, store=store.name)
    return row.feature_set if row else None


def _lacks(store: OnlineStore, name: str | None, target: date) -> bool:
    """Whether the store lacks a feature set as of a date."""
    finished = store.last_finished(name) if name else None
    return finished is None or finished < target
