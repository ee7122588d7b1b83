"""The as-of engine: a view at many dates, each seeing only what was known before it.

The query never sees a table. It sees names that are bound, date by date, to the rows of a window; a row at or after
the end of the window, or known only then, is not in any of them. Dates are computed side by side, each by one
thread: a sum of floats then has the same digits every time.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError, DeclarationError
from ml_assets.features.identity import exact_ids
from ml_assets.features.labels import read_labels
from ml_assets.features.query import require_names
from ml_assets.ingest.corrections import Corrections, corrections, visible_rows
from ml_assets.ingest.left_files import without_rows
from ml_assets.spec.label_values import LABEL
from ml_assets.storage.duck import QueryError, literal, memory, quote
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import duckdb

    from ml_assets.features.view import Relation, View

Computed = tuple[date, pa.Table]
Pinned = Mapping[str, tuple[int, Corrections]]
"""Of the table of each source: its version, and which of its rows correct others."""

_AS_WRITTEN = "join_order,build_side_probe_side"
"""Optimizers that are off, so joins run as they are written. DuckDB would order them by the size of the files, in which
the future counts too, and another order of the rows is another last digit of a sum."""


class Engine(Protocol):
    """What computes the rows of a view; `ml_assets_tests/features/test_engines.py` holds every engine to the same."""

    def compute(
        self,
        lake: Lake,
        view: "View",
        dates: Sequence[date],
        *,
        workers: int = 2,
        versions: Mapping[str, int] | None = None,
    ) -> Iterator[Computed]:
        """The view at each date, in order, as `compute` gives it.

        Args:
            lake: where the sources are.
            view: what is computed.
            dates: as-of dates.
            workers: dates computed side by side.
            versions: of the sources' tables, by name; default: as they are now.

        Raises:
            DeclarationError: the query fails, repeats an entity, or returns a column of no usable type.
            DataError: a source has no table yet.
        """


class DuckDBEngine:
    """DuckDB in this process, over the files of the lake."""

    def compute(
        self,
        lake: Lake,
        view: "View",
        dates: Sequence[date],
        *,
        workers: int = 2,
        versions: Mapping[str, int] | None = None,
    ) -> Iterator[Computed]:
        """See `compute`."""
        return compute(lake, view, dates, workers=workers, versions=versions)


def compute(
    lake: Lake, view: "View", dates: Sequence[date], *, workers: int = 2, versions: Mapping[str, int] | None = None
) -> Iterator[Computed]:
    """The view at each date, in order: a table of the query's columns with `as_of` in front.

    Args:
        lake: where the sources are.
        view: what is computed.
        dates: as-of dates.
        workers: dates computed side by side.
        versions: of the sources' tables, by name; default: as they are now.

    Raises:
        DeclarationError: the query fails, repeats an entity, or returns a column of no usable type.
        DataError: a source has no table yet.
    """
    lake = lake.session()
    at = versions_of(lake, view) if versions is None else versions
    pinned = {one.table: (at[one.table], corrections(lake, one.keyed, at[one.table])) for one in view.relations}
    share = -(-len(dates) // workers)
    blocks = [dates[i : i + share] for i in range(0, len(dates), share)] if dates else []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for block in pool.map(lambda block: _block(lake, view, block, pinned), blocks):
            yield from block


DUCKDB: Engine = DuckDBEngine()


def versions_of(lake: Lake, view: "View") -> dict[str, int]:
    """The versions of the tables of a view's sources, by name.

    Raises:
        DataError: a source has no table yet.
    """
    return {relation.table: _version(lake, relation) for relation in view.relations}


def _version(lake: Lake, relation: "Relation") -> int:
    version = lake.version(relation.table)
    if version is None:
        raise DataError(f"source {relation.name} {without_rows(lake, relation.table)}")
    return version


def _block(lake: Lake, view: "View", dates: Sequence[date], pinned: Pinned) -> list[Computed]:
    with memory(disabled_optimizers=_AS_WRITTEN) as connection:
        return [(as_of, _at(lake, connection, view, as_of, pinned)) for as_of in dates]


def _at(lake: Lake, connection: "duckdb.DuckDBPyConnection", view: "View", as_of: date, pinned: Pinned) -> pa.Table:
    for relation in view.relations:
        _bind(lake, connection, view, relation, as_of, *pinned[relation.table])
    for name, upstream in view.views:
        _bind_view(lake, connection, name, upstream, as_of)
    parameters = {"as_of": datetime(as_of.year, as_of.month, as_of.day)} if view.query.parameters else {}  # noqa: DTZ001 - the lake's times are naive UTC
    try:
        rows = connection.sql(view.query.text, params=parameters).to_arrow_table()
    except QueryError as error:
        raise DeclarationError(f"{view.query.error(error)} (at {as_of})") from error
    return _stamp(rows, view, as_of)


def _bind(
    lake: Lake,
    connection: "duckdb.DuckDBPyConnection",
    view: "View",
    relation: "Relation",
    as_of: date,
    version: int,
    corrected: Corrections,
) -> None:
    rows = visible_rows(lake, connection, relation.keyed, view.window(as_of), version, corrected)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {quote(relation.name)} AS FROM {rows}")


def _bind_view(lake: Lake, connection: "duckdb.DuckDBPyConnection", name: str, view: "View", as_of: date) -> None:
    rows = lake.relation(connection, view.kept)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS "
        f"SELECT * EXCLUDE (as_of) FROM {rows} WHERE as_of = DATE {literal(as_of)}"
    )


def _stamp(rows: pa.Table, view: "View", as_of: date) -> pa.Table:
    if view.entity not in rows.column_names:
        raise DeclarationError(f"{_file(view)} returns no column {view.entity!r}: select it, one row per entity")
    if "as_of" in rows.column_names:
        raise DeclarationError(f"{_file(view)} returns a column as_of, which the engine adds itself: leave it out")
    require_names(rows.column_names, _file(view))
    columns = {name: rows[name] for name in rows.column_names}
    try:
        columns[view.entity] = entities = exact_ids(rows[view.entity], view.entity)
        label = read_labels(view.outcome, _label(rows, view)) if view.outcome else {}
    except DataError as error:
        raise DataError(f"{_file(view)} at {as_of}: {error}") from error
    if entities.null_count or pc.count_distinct(entities).as_py() != len(rows):
        raise DeclarationError(
            f"{_file(view)} at {as_of}: {len(rows)} rows, {pc.count_distinct(entities).as_py()} different "
            f"{view.entity}, {entities.null_count} null: return one row per entity (GROUP BY {view.entity})"
        )
    table = pa.table({name: _usable(column, view, name) for name, column in (columns | label).items()})
    return table.add_column(0, "as_of", pa.repeat(pa.scalar(as_of, pa.date32()), len(rows)))


def _file(view: "View") -> str:
    """What an author looks at: the query's file."""
    return view.query.where or view.table


def _label(rows: pa.Table, view: "View") -> pa.ChunkedArray:
    if LABEL not in rows.column_names:
        raise DeclarationError(f"{_file(view)} returns no column {LABEL!r}: select it, 0 or 1 for each {view.entity}")
    return rows[LABEL]


def _usable(column: pa.ChunkedArray, view: "View", name: str) -> pa.ChunkedArray:
    """Numbers as int64 or float64, text and booleans as they are: what a model and every version of a table take."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_int64(kind) or pa.types.is_float64(kind):
        return column
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return column.cast(pa.int64())
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_large_string(kind) or pa.types.is_dictionary(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    raise DeclarationError(
        f"{_file(view)} returns {name!r} as {kind}: a view holds numbers, text and booleans (date_diff makes a number)"
    )
