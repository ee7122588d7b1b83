"""The point-in-time join: entities at as-of dates, each with the features that were in force there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.errors import DeclarationError
from ml_assets.features.identity import cast
from ml_assets.features.view import TimedView, View
from ml_assets.spec.label_values import LABEL
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import duckdb

_ROWS_AT_ONCE = 16_384


def dates_in_force(days: Sequence[date], computed: Sequence[date], ttl: timedelta) -> dict[date, date | None]:
    """For each day the latest computed as-of date that is not after it and less than `ttl` before it.

    An entity that the view did not return at that date has no features: an older value would be a guess.
    """
    ordered = sorted(computed)
    latest = {day: max((d for d in ordered if d <= day), default=None) for day in days}
    return {day: d if d is not None and day - d < ttl else None for day, d in latest.items()}


def point_in_time(
    lake: Lake,
    spine: View,
    days: Sequence[date],
    features: Sequence[TimedView],
    *,
    computed: Mapping[str, Sequence[date]] | None = None,
    label: View | None = None,
) -> pa.Table:
    """Every entity of the population `spine` at every day, with the columns of each view, ordered by day and entity.

    Args:
        lake: where the views are kept; they must have been refreshed.
        spine: the population; its entities are the rows, and none is lost or repeated.
        days: as-of dates.
        features: the views to join, with their TTL.
        computed: for a view's table, the dates at which it was computed; default: `days`.
        label: a view of labels to join at exactly the same dates.

    Returns:
        `as_of`, the entity, the features (null where a view has none in force) and `label`.

    Raises:
        DeclarationError: two views return a column of the same name, or `label` none of that name.
    """
    with lake.connect() as connection:
        joined = _joined(connection, lake, spine, days, features, computed or {}, label)
        rows: pa.Table = connection.sql(f"{joined} ORDER BY spine.as_of, spine.{quote(spine.entity)}").to_arrow_table()
    return rows


@contextmanager
def stream_rows(lake: Lake, spine: View, day: date, features: Sequence[TimedView]) -> Iterator[pa.RecordBatchReader]:
    """The same rows at one day, in no order, some thousand at a time: what is in memory is a view's day at most.

    Args:
        lake: where the views are.
        spine: whose rows are the entities.
        day: the as-of date of the entities.
        features: the views that are joined, each with its TTL.

    Raises:
        DeclarationError: two views return a column of the same name.
    """
    with lake.connect() as connection:
        yield connection.sql(_joined(connection, lake, spine, [day], features, {}, None)).to_arrow_reader(_ROWS_AT_ONCE)


def _joined(
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    spine: View,
    days: Sequence[date],
    features: Sequence[TimedView],
    computed: Mapping[str, Sequence[date]],
    label: View | None,
) -> str:
    """The join as SQL, over relations of `connection`."""
    for view in [item.view for item in features] + ([label] if label else []):
        _require_same_entity(lake, spine, view)
    features_of = {item.view.table: feature_columns(lake, item.view) for item in features}
    _distinct(features_of | ({label.table: _label(lake, label)} if label else {}))
    joins, selected = [], ["spine.as_of", f"spine.{quote(spine.entity)}"]
    for number, item in enumerate(features):
        pairs = dates_in_force(days, computed.get(item.view.table, days), item.ttl)
        connection.register(f"force_{number}", _pairs(pairs))
        joins.append(_join(lake.relation(connection, item.view.kept), number, spine.entity))
        selected += [f"view_{number}.{quote(column)}" for column in features_of[item.view.table]]
    if label:
        rows = lake.relation(connection, label.kept)
        entity = quote(spine.entity)
        joins.append(f"JOIN {rows} AS labels ON labels.as_of = spine.as_of AND labels.{entity} = spine.{entity}")
        selected.append("labels.label")
    listed = ", ".join(f"DATE {literal(day)}" for day in days) or "NULL"
    rows = lake.relation(connection, spine.kept)
    return f"SELECT {', '.join(selected)} FROM {rows} AS spine {' '.join(joins)} WHERE spine.as_of IN ({listed})"


def feature_columns(lake: Lake, view: View) -> list[str]:
    """The features that a view's kept rows hold."""
    return [name for name in lake.schema(view.kept).names if name not in {"as_of", view.entity}]


def _label(lake: Lake, label: View) -> list[str]:
    if LABEL not in lake.schema(label.kept).names:
        raise DeclarationError(f"{label.table} returns no column {LABEL!r}: select it, 0 or 1 for each {label.entity}")
    return [LABEL]


def _require_same_entity(lake: Lake, spine: View, view: View) -> None:
    """DuckDB would compare text with numbers by a cast: '007' is 7 then, and 'x' an error."""
    here, there = (lake.schema(each.kept).field(each.entity).type for each in (spine, view))
    if here != there:
        names = " and ".join(each.query.where or each.table for each in (spine, view))
        raise DeclarationError(
            f"{names}: {spine.entity!r} is {here} in the one and {there} in the other: "
            f"write {cast(spine.entity, 'VARCHAR')} in both"
        )


def _distinct(held: Mapping[str, Sequence[str]]) -> None:
    owners: dict[str, str] = {}  # DuckDB does not tell `A` from `a`
    for table, names in held.items():
        for name in names:
            if other := owners.get(name.lower()):
                raise DeclarationError(f"{table} and {other} both return {name!r} (case does not count): rename one")
            owners[name.lower()] = table


def _pairs(pairs: Mapping[date, date | None]) -> pa.Table:
    in_force_dates = {day: force for day, force in pairs.items() if force is not None}
    kinds = pa.schema([("day", pa.date32()), ("computed", pa.date32())])
    return pa.table({"day": list(in_force_dates), "computed": list(in_force_dates.values())}, schema=kinds)


def _join(rows: str, number: int, entity: str) -> str:
    return (
        f"LEFT JOIN force_{number} ON force_{number}.day = spine.as_of "
        f"LEFT JOIN {rows} AS view_{number} ON view_{number}.as_of = force_{number}.computed "
        f"AND view_{number}.{quote(entity)} = spine.{quote(entity)}"
    )
