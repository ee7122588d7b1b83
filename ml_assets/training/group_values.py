"""The groups of the entities of a candidate's test rows: each entity's value at its first test date."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.errors import DataError, DeclarationError, list_values
from ml_assets.features.store import refresh
from ml_assets.features.view import View
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.training.metrics import slice_names

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray


def group_values(
    lake: Lake,
    groups: View,
    columns: Sequence[str],
    entities: pa.Array,
    first: "NDArray[np.datetime64]",
    *,
    workers: int = 2,
) -> "dict[str, NDArray[Any]]":
    """The value of each column of each entity, as text, [entities]; one that the query does not return is missing.

    Args:
        lake: where the sources are.
        groups: the view.
        columns: of it.
        entities: their ids, each once.
        first: the as-of date at which each is asked for, [entities].
        workers: as-of dates computed side by side.

    Raises:
        DeclarationError: the query does not return a column.
        DataError: a source has no table yet, or ids are of another kind than those of the population.
    """
    days: list[date] = np.unique(first).tolist()
    version = refresh(lake, groups, days, workers=workers).version
    schema = lake.schema(groups.kept, version)
    if missing := [name for name in columns if name not in schema.names]:
        raise DeclarationError(f"{groups.query.where} has no column {missing[0]!r}: it has {list_values(schema.names)}")
    if schema.field(groups.entity).type != entities.type:
        raise DataError(
            f"{groups.query.where} returns {groups.entity!r} as {schema.field(groups.entity).type}, population.sql as "
            f"{entities.type}: cast one of them"
        )
    numbered = pa.table({"id": entities, "day": pa.array(first, pa.date32()), "nr": np.arange(len(entities))})
    listed = ", ".join(f"g.{quote(name)}" for name in columns)
    with lake.connect() as connection:
        connection.register("numbered", numbered)
        rows = connection.sql(
            f"SELECT {listed} FROM numbered LEFT JOIN {lake.relation(connection, groups.kept, version)} AS g "
            f"ON g.as_of = numbered.day AND g.{quote(groups.entity)} = numbered.id ORDER BY numbered.nr"
        ).to_arrow_table()
    return {name: slice_names(rows[name].to_pylist()) for name in columns}
