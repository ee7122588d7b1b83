"""The prediction log: what servers saw and said, out of the event store into the lake, each row exactly once.

Rows and the sequence up to which they were taken are one Delta transaction, so a run that was killed is simply run
again: what the lake has is not read anew, and only then the event store is told that it may forget.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_type_hints

import pyarrow as pa

from ml_assets.events.rows import Event, Kind, Prediction
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets.storage.compaction import KEPT
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import ModelTables

PAGE = 5_000
"""Rows in memory, and in one file of the lake: about 10 MB of features."""

_PLAIN: Mapping[object, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    float | None: pa.float64(),
}


@dataclass(frozen=True)
class Taken:
    """The result of one call.

    Args:
        rows: by table of the event store.
        as_of: the as-of date that the rows were stamped with.
    """

    rows: Mapping[str, int]
    as_of: date | None


def table(folder: str, kind: Kind) -> str:
    """The lake table of a kind of row: `<folder>/prediction_log`, `outcomes`, `exposures` and so on.

    Its columns are those of the row, times as timestamps, and `due`: the as-of date that the loop worked on when the
    row was taken. Servers know the calendar only; the loop may be behind it, or on history.
    """
    return f"{folder}/{EVENTS[kind].log}"


def taken_until(lake: Lake, store: EventStore, folder: str, kind: Kind) -> int:
    """The sequence of the event store up to which the lake has the rows of a model.

    Args:
        lake: where the rows are.
        store: where later ones wait.
        folder: the model.
        kind: of the rows.

    Raises:
        EventStoreError: the event store does not answer.
    """
    return lake.record(table(folder, kind), f"events of {store.identity}") or 0


def take(lake: Lake, store: EventStore, folder: str, due: date | None, *, limit: int = PAGE) -> Taken:
    """Take all rows of a model that the lake does not have, and write small files of closed days as one.

    Args:
        lake: where they go.
        store: where they come from; it is told what may be deleted.
        folder: the model.
        due: the as-of date that the loop works on, for the column `due`; None before the first.
        limit: rows a transaction.

    Raises:
        EventStoreError: the event store does not answer. What was taken stays taken.
    """
    with lake.lock(ModelTables(folder).prediction_log):
        rows = {EVENTS[kind].log: _take(lake, store, folder, kind, due, limit) for kind in EVENTS}
        for name in filter(rows.get, rows):  # nothing names a version of these
            lake.compact(f"{folder}/{name}", kept=KEPT)
    return Taken(rows, due)


def _take(lake: Lake, store: EventStore, folder: str, kind: Any, due: date | None, limit: int) -> int:  # noqa: ANN401 - each kind has its own page
    name, key, count = table(folder, kind), f"events of {store.identity}", 0
    last = taken_until(lake, store, folder, kind)
    while (page := store.read_since(kind, last, limit, model=folder)).rows:
        lake.append(name, _rows(kind, page.rows, due), records={key: page.last})
        last, count = page.last, count + len(page.rows)
    store.mark_exported(kind, folder, page.last)
    return count


def _rows(kind: Kind, rows: Sequence[Event], due: date | None) -> pa.Table:
    hints = get_type_hints(kind)
    columns: dict[str, Any] = {
        name: _column(name, hints[name], values) for name, values in zip(hints, zip(*rows, strict=True), strict=True)
    }
    if kind is Prediction:
        columns["day"] = columns["requested_at"].cast(pa.date32(), safe=False)
    return pa.table(columns | {"due": pa.array([due] * len(rows), pa.date32())})


def _column(name: str, hint: object, values: Sequence[Any]) -> pa.Array:
    if name.endswith("_at") or name in {"since", "until"}:
        return pa.array(values, pa.int64()).cast(pa.timestamp("us"))
    if name == "as_of":
        return pa.array([None if value is None else date.fromisoformat(value) for value in values], pa.date32())
    if (name, hint) == ("latency", str):  # a histogram
        return pa.array([json.loads(value) for value in values], pa.list_(pa.int64()))
    if name == "entity":  # stores of before wrote an empty one where there is none
        return pa.array([value or None for value in values], pa.string())
    return pa.array(values, _PLAIN.get(hint, pa.string()))
