"""Ledgers: append-only tables of one kind of row, of which the last one is in force."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake

Row = TypeVar("Row")

_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    datetime: pa.timestamp("us"),
    date: pa.date32(),
}


@dataclass(frozen=True)
class Ledger(Generic[Row]):
    """A table whose rows are instances of a frozen dataclass: its columns are the fields, in their order.

    A field is a bool, int, float, str, date, naive datetime, an enum of text or one of several literals of text, and
    may be None. Where older rows lack a column, or hold nothing in it, the row has the field's default, or None.

    Args:
        table: its name; it need not be there.
        row: the dataclass.
        order: the columns by which rows follow each other.
        given: fields that the table does not hold, because its name says them.
    """

    table: str
    row: type[Row]
    order: tuple[str, ...]
    given: Mapping[str, object] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the table."""
        return pa.schema(
            [(name, _TYPES[str if issubclass(kind, Enum) else kind]) for name, kind in self._kinds.items()]
        )

    def append(self, lake: Lake, *rows: Row, records: Mapping[str, int] | None = None) -> int:
        """Add rows in one transaction with `records`; nothing is written where all of them stand already.

        Returns:
            The version of the table that it made, or that it found.

        Raises:
            LakeError: another process committed one of the records.
        """
        plain = [{name: _plain(getattr(row, name)) for name in self._kinds} for row in rows]
        return lake.append(self.table, pa.Table.from_pylist(plain, schema=self.schema), records=records)

    def last(self, lake: Lake, where: str = "true", **parameters: object) -> Row | None:
        """The last row for which an SQL condition holds, such as `as_of < $day`; None where there is none."""
        rows = self._select(lake, where, "DESC", parameters, most=1)
        return rows[0] if rows else None

    def history(self, lake: Lake, most: int | None = None) -> list[Row]:
        """Every row in order, the oldest first; of more than `most` the last ones."""
        if most is None:
            return self._select(lake, "true", "ASC", {})
        return self._select(lake, "true", "DESC", {}, most)[::-1]

    def _select(
        self, lake: Lake, where: str, way: str, parameters: Mapping[str, object], most: int | None = None
    ) -> list[Row]:
        opened = lake.session()
        if opened.version(self.table) is None:
            return []
        order = ", ".join(f"{quote(name)} {way}" for name in self.order)
        limit = "" if most is None else f" LIMIT {most}"
        rows = opened.query(f"SELECT * FROM t WHERE {where} ORDER BY {order}{limit}", parameters, t=self.table)
        return [self._made(row) for row in rows.to_pylist()]

    def _made(self, row: Mapping[str, Any]) -> Row:
        enums = {name: kind for name, kind in self._kinds.items() if issubclass(kind, Enum)}
        values = {name: row[name] for name in self._kinds if row.get(name) is not None}
        values |= {name: kind(values[name]) for name, kind in enums.items() if name in values}
        return self.row(**self._absent | values | dict(self.given))

    @cached_property
    def _kinds(self) -> dict[str, type]:
        """The type of each column."""
        hints = get_type_hints(self.row)
        return {name: _kind(hint) for name, hint in hints.items() if name not in self.given}

    @cached_property
    def _absent(self) -> dict[str, None]:
        """The fields that are None where a row holds nothing."""
        return {one.name: None for one in fields(self.row) if one.default is MISSING}  # type: ignore[arg-type]


def _kind(hint: Any) -> type:  # noqa: ANN401 - what a field may be annotated with
    """The one type of a field besides None; text of a literal."""
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is Literal:
        return str
    kind: type = hint
    return kind


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value
