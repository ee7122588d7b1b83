"""Point-in-time features for any rows: each gets what was in force at its own moment, and none is lost.

A row's as-of date follows from the calendar alone: the latest one that is not after its timestamp. So rows are grouped
by date, and each group meets that one date of a view by a hash of the entities: there is no sort by time, and what is
in memory is the result and a few dates of a view.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError, DeclarationError, list_values
from ml_assets.features.identity import exact_ids
from ml_assets.features.join import feature_columns
from ml_assets.features.store import refresh
from ml_assets.features.view import TimedView, View
from ml_assets.spec.cadence import Cadence
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyarrow.dataset import Dataset

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class EntityRows:
    """Entities at moments, grouped by the as-of date in force.

    Args:
        keys: the entity of each row.
        moments: microseconds since 1970, UTC.
        cadence: the as-of dates.
    """

    keys: pa.ChunkedArray
    moments: "NDArray[np.int64]"
    cadence: Cadence

    @cached_property
    def dates(self) -> list[date]:
        """Every as-of date up to the last moment."""
        last = int(self.moments.max(initial=0)) // _DAY
        return self.cadence.dates(_EPOCH + timedelta(days=last))

    @cached_property
    def codes(self) -> "NDArray[np.int32]":
        """For each row which of `dates` is in force; -1 before the first."""
        if not len(self.moments):
            return np.empty(0, np.int32)
        days = (self.moments // _DAY).astype(np.int32)
        first, last = int(days.min()), int(days.max())
        as_of_days = np.array([(day - _EPOCH).days for day in self.dates], np.int32)
        # Looked up by day: as many searches as there are days, not rows.
        positions: NDArray[np.int32] = (
            np.searchsorted(as_of_days, np.arange(first, last + 1), side="right").astype(np.int32) - 1
        )
        return positions[days - first]

    @cached_property
    def order(self) -> "NDArray[np.int64] | None":
        """The rows by date; None where they are so already."""
        if (np.diff(self.codes) >= 0).all():
            return None
        short = len(self.dates) < 1 << 15  # numpy sorts 16 bits by radix
        return np.argsort(self.codes.astype(np.int16) if short else self.codes, kind="stable")

    @cached_property
    def groups(self) -> "list[tuple[int, slice]]":
        """Each code, and where its rows are in that order."""
        codes = self.codes if self.order is None else self.codes[self.order]
        bounds = [*np.flatnonzero(np.diff(codes, prepend=-2)).tolist(), len(codes)]
        return [(int(codes[start]), slice(start, end)) for start, end in pairwise(bounds)]

    def fresh(self, code: int, rows: slice, ttl: timedelta) -> "NDArray[np.bool_]":
        """Which rows of a group are less than `ttl` after their as-of date."""
        moments = self.moments[rows] if self.order is None else self.moments[self.order[rows]]
        midnight = (self.dates[code] - _EPOCH).days * _DAY
        is_fresh: NDArray[np.bool_] = moments < midnight + ttl // _MICROSECOND
        return is_fresh

    def pick(self, keys: pa.ChunkedArray, rows: slice) -> pa.Array:
        """The `keys` of a group."""
        picked = keys[rows] if self.order is None else keys.take(pa.array(self.order[rows]))
        return picked.combine_chunks()

    def restore(self, parts: list[pa.Table], pool: ThreadPoolExecutor) -> pa.Table:
        """The tables of the groups as one, in the order of the rows; `parts` is emptied."""
        grouped = pa.concat_tables(parts)
        if self.order is None:
            return grouped
        back = np.empty(len(self.order), np.int64)
        back[self.order] = np.arange(len(self.order))
        names, left, places = grouped.column_names, dict(enumerate(grouped.columns)), pa.array(back)
        # What was taken is let go: never all columns twice in memory.
        parts.clear()
        del grouped
        # In one piece: to take from many is several times as slow.
        reordered = pool.map(lambda number: left.pop(number).combine_chunks().take(places), range(len(names)))
        return pa.table([*reordered], names)


def features_at(
    lake: Lake, rows: EntityRows, features: TimedView, names: Sequence[str] | None = None, *, workers: int = 2
) -> pa.Table:
    """The columns of a view for each row, in order; null where nothing is in force. It is computed where it must be.

    Args:
        lake: where the view is kept.
        rows: who, and when.
        features: the view, and how long its values hold.
        names: its columns, in order; None = all.
        workers: dates computed or read side by side.

    Raises:
        DeclarationError: the view returns no such column.
        DataError: the entities are of another type than the view's, or a source has no rows.
    """
    view = features.view
    fresh = {code: rows.fresh(code, group, features.ttl) for code, group in rows.groups if code >= 0}
    days = [rows.dates[code] for code, which in fresh.items() if which.any()]
    # Without any, the first date says which columns there are.
    refresh(lake, view, days or [rows.cadence.start], workers=workers)
    selected, dataset = _chosen(view, names, feature_columns(lake, view)), lake.dataset(view.kept)
    schema = pa.schema([dataset.schema.field(name) for name in selected])
    keys = cast_entities(rows.keys, dataset.schema.field(view.entity).type, view.entity)

    def group(code: int, which: slice) -> pa.Table:
        if code < 0 or not (valid := fresh[code]).any():
            return _nothing(schema, which.stop - which.start)
        view_rows = _held(dataset, rows.dates[code], [view.entity, *selected])
        places = pc.index_in(rows.pick(keys, which), value_set=view_rows[view.entity].combine_chunks())
        return view_rows.select(selected).take(places if valid.all() else _only(places, valid))

    with ThreadPoolExecutor(max_workers=workers) as pool:
        tables = [*pool.map(lambda item: group(*item), rows.groups)]
        return rows.restore(tables or [schema.empty_table()], pool)


def cast_entities(keys: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    """The entities as a view holds them.

    Raises:
        DataError: they are of another kind.
    """
    keys = exact_ids(keys, name)
    if keys.type != kind:
        raise DataError(f"{name!r} is {keys.type} in the entities and {kind} in the views: cast it")
    return keys


def _chosen(view: View, names: Sequence[str] | None, held: Sequence[str]) -> list[str]:
    selected = [*held] if names is None else [*names]
    for name in selected:
        if name not in held:
            near = get_close_matches(name, held, n=1)
            hint = f"use {near[0]}" if near else f"it has {list_values(held, 8)}"
            raise DeclarationError(f"{view.table} has no column {name!r}: {hint}")
    return selected


def _nothing(schema: pa.Schema, rows: int) -> pa.Table:
    return pa.table([pa.nulls(rows, field.type) for field in schema], schema=schema)


def _held(dataset: "Dataset", day: date, names: Sequence[str]) -> pa.Table:
    """The rows of a view at one date."""
    rows: pa.Table = dataset.to_table(columns=[*names], filter=pc.field("as_of") == day, use_threads=False)
    return rows.combine_chunks()


def _only(places: pa.Array, valid: "NDArray[np.bool_]") -> pa.Array:
    return pc.if_else(pa.array(valid), places, pa.scalar(None, places.type))
