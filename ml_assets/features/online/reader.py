"""What the online store holds of entities, feature by feature as it was asked for."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from ml_assets.errors import DataError, list_values
from ml_assets.features.online.schema import Column, Schema, Value
from ml_assets.features.online.store import OnlineStore

_Pick = Callable[[tuple[Value, ...]], tuple[Value, ...]]


class Names(NamedTuple):
    """The columns that an answer holds, and the TTL of each."""

    columns: tuple[str, ...]
    ttls: tuple[timedelta, ...]


class OnlineRow(NamedTuple):
    """An entity's features.

    `values` are those of the asked features, in order; None = missing, which NaN is not. What is stale holds its value
    still.
    """

    entity: str
    as_of: date
    values: tuple[Value, ...]
    names: Names

    @property
    def features(self) -> dict[str, Value]:
        """Column → value."""
        return dict(zip(self.names.columns, self.values, strict=True))

    @property
    def missing(self) -> tuple[str, ...]:
        """The columns that have no value."""
        return tuple(name for name, value in self.features.items() if value is None)

    def stale(self, now: datetime) -> tuple[str, ...]:
        """The columns whose values may no longer be used at `now` (naive UTC)."""
        age = now - datetime.combine(self.as_of, time())
        return tuple(name for name, ttl in zip(*self.names, strict=True) if age >= ttl)


class OnlineReader:
    """Reads some features of one feature set; what is asked for is worked out once for each schema.

    Args:
        store: the online store.
        model: the feature set.
        asked: view and column, None = all columns of the view; in order.
    """

    def __init__(self, store: OnlineStore, model: str, asked: Sequence[tuple[str, str | None]]) -> None:
        self._read, self._model, self._asked = store.read, model, asked
        # By identity: a store gives records of one schema the same object, and a dictionary of schemas would hash it.
        self._known: dict[int, tuple[_Pick, Names, Schema]] = {}

    def __call__(self, entities: list[str]) -> list[OnlineRow | None]:
        """The answer for each entity, None where there is no record."""
        rows: list[OnlineRow | None] = []
        layouts, make = self._known, tuple.__new__
        for record in self._read(self._model, entities):
            if record is None:
                rows.append(None)
                continue
            entity, as_of, values, schema = record
            if id(schema) not in layouts:
                layouts[id(schema)] = (*_pick(schema, self._asked), schema)
            pick, names, _ = layouts[id(schema)]
            # What Answer(…) does, without a call of Python code for each.
            rows.append(make(OnlineRow, (entity, as_of, pick(values), names)))
        return rows


def _pick(schema: Schema, asked: Sequence[tuple[str, str | None]]) -> tuple[_Pick, Names]:
    columns = [column for view, name in asked for column in _columns(schema, view, name)]
    ttls, places = dict(schema.ttls), [schema.columns.index(column) for column in columns]
    names = Names(tuple(column.name for column in columns), tuple(ttls[column.view] for column in columns))
    if places == [*range(len(schema.columns))]:
        return _all, names
    if len(places) == 1:  # `itemgetter` of one gives no tuple
        return _slice(places[0]), names
    return itemgetter(*places), names


def _all(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return values


def _slice(place: int) -> Any:  # noqa: ANN401 - an itemgetter of a slice is typed by what it is given
    return itemgetter(slice(place, place + 1))


def _columns(schema: Schema, view: str, name: str | None) -> list[Column]:
    of_view = [column for column in schema.columns if column.view == view]
    matching = [column for column in of_view if name in {None, column.name}]
    if not matching:
        ref = view if name is None else f"{view}:{name}"
        available = sorted({column.name for column in of_view} or {column.view for column in schema.columns})
        raise DataError(
            f"the champion of {schema.folder} is not served with {ref!r}: there are {list_values(available, 8)}"
        )
    return matching
