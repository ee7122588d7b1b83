"""The online store: one precomputed record per entity and model, with what a reader needs to judge it.

A record is one value of the store, so an entity's features are of one as-of date whatever is written meanwhile, and
whenever a writer is killed. An older as-of date never replaces a newer one; the same date written again does.

Two things go by the name of expiry. A *view* is stale once its TTL after the as-of date has passed: the record says so
(`stale`) and still holds its values, and the caller decides. A *record* whose entity left the population is written no
more and is forgotten after `Schema.keep`, twice the longest TTL: first told as stale, later as not there. SQLite counts
that in as-of dates, at the next write, for all feature sets of the folder that is written; Redis by its own clock from
the write on, so that a loop over history, whose as-of dates passed years ago, can be served too.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, get_args

import msgspec

from ml_assets.errors import DeclarationError, OnlineStoreError
from ml_assets.storage.tables import ModelTables

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["double", "int64", "bool", "string"]
Value = float | int | bool | str | None


class Column(msgspec.Struct, frozen=True, array_like=True):
    """A feature: its name, what kind of value it has (what a view returns), and the view that it comes from."""

    name: str
    kind: Kind
    view: str


@dataclass(frozen=True)
class Schema:
    """What a model's records hold.

    Args:
        model: what the records are kept under, `feature_set` of the model's views.
        entity: the column that identifies what is scored.
        columns: the features in their order.
        ttls: each view and how long its values may be used after the as-of date.

    Raises:
        DeclarationError: a name comes twice, a view has no TTL, or there is nothing to hold.
    """

    model: str
    entity: str
    columns: tuple[Column, ...]
    ttls: tuple[tuple[str, timedelta], ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.\-/@]+", self.model):
            raise DeclarationError(
                f"model {self.model!r}: letters, digits and _ . - / @ (a colon parts the keys of Redis)"
            )
        names = [column.name for column in self.columns]
        if repeated := {name for name in names if names.count(name) > 1 or name == self.entity}:
            raise DeclarationError(f"{self.model} has two columns {min(repeated)!r}: rename one of them")
        if unknown := {column.view for column in self.columns} - dict(self.ttls).keys():
            raise DeclarationError(f"{self.model}: view {min(unknown)!r} has no TTL")
        if wrong := [column for column in self.columns if column.kind not in get_args(Kind)]:
            raise DeclarationError(f"{self.model}: {wrong[0].name!r} is {wrong[0].kind!r}, not one of {get_args(Kind)}")
        if not names or any(ttl <= timedelta() for _, ttl in self.ttls):
            raise DeclarationError(f"{self.model}: an online record needs a feature, and each view a TTL above zero")

    @cached_property
    def fingerprint(self) -> int:
        """A 63-bit number that is the same in every process, for the same meaning of a record's bytes."""
        return int.from_bytes(hashlib.blake2b(self.to_json().encode(), digest_size=8).digest()) >> 1

    @property
    def keep(self) -> timedelta:
        """How long a record that is written no more is kept: twice the longest TTL."""
        return 2 * max(ttl for _, ttl in self.ttls)

    @property
    def folder(self) -> str:
        """The model's folder: what stands before the `@` of `feature_set`."""
        return self.model.partition("@")[0]

    def to_json(self) -> str:
        """The one JSON text of this schema, from which `from_json` makes it again."""
        plain = msgspec.to_builtins(self, builtin_types=(timedelta,))
        return json.dumps(plain, default=timedelta.total_seconds, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The schema that `to_json` wrote.

        Raises:
            OnlineStoreError: the text is something else.
        """
        try:
            return msgspec.json.decode(text, type=cls, strict=False)  # not strict: seconds are durations
        except (ValueError, msgspec.MsgspecError, DeclarationError) as error:
            raise OnlineStoreError(f"the online store holds a schema that cannot be read: {error}") from error


class OnlineRecord(NamedTuple):
    """An entity's features; a named tuple, because a frozen dataclass takes twice as long to make.

    `values` are aligned to `schema.columns`; None = missing, which NaN is not.
    """

    entity: str
    as_of: date
    values: tuple[Value, ...]
    schema: Schema

    @property
    def expires(self) -> dict[str, datetime]:
        """From when on (naive UTC) each view's values may no longer be used."""
        midnight = datetime.combine(self.as_of, time())
        return {view: midnight + ttl for view, ttl in self.schema.ttls}


def stale_views(record: OnlineRecord, now: datetime) -> tuple[str, ...]:
    """The views whose values may no longer be used at `now` (naive UTC), as in the point-in-time join."""
    return tuple(view for view, end in record.expires.items() if now >= end)


def missing_columns(record: OnlineRecord) -> tuple[str, ...]:
    """The columns that have no value."""
    pairs = zip(record.schema.columns, record.values, strict=True)
    return tuple(column.name for column, value in pairs if value is None)


def schema_of(
    model: str, entity: str, rows: "pa.Schema", views: Mapping[str, tuple[Collection[str], timedelta]]
) -> Schema:
    """The schema of rows of a point-in-time join.

    Args:
        model: the model's folder.
        entity: the column that identifies what is scored.
        rows: names and types; a column that no view returns, such as `as_of`, is left out.
        views: the columns and the TTL of each view.

    Raises:
        DeclarationError: a column has a type that no view returns.
    """
    owners = {name: view for view, (names, _) in views.items() for name in names}
    fields = [field for field in rows if field.name in owners and field.name != entity]
    columns = tuple(Column(field.name, _kind(field), owners[field.name]) for field in fields)
    return Schema(model, entity, columns, tuple((view, ttl) for view, (_, ttl) in views.items()))


def _kind(field: "pa.Field") -> Kind:
    kind = kind_of(field.type)
    if kind is None:
        raise DeclarationError(f"{field.name!r} is {field.type}: a view holds numbers, text and booleans")
    return kind


def kind_of(found: "pa.DataType") -> Kind | None:
    """What kind of value an Arrow type holds; None where no view returns it."""
    import pyarrow as pa

    tests: dict[Kind, bool] = {
        "bool": pa.types.is_boolean(found),
        "int64": pa.types.is_integer(found),
        "double": pa.types.is_floating(found),
        "string": pa.types.is_string(found) or pa.types.is_large_string(found),
    }
    return next((kind for kind, fits in tests.items() if fits), None)


def incomplete_reason(store: str, model: str) -> str:
    """What is said of a store that holds no complete set of records."""
    asset = ModelTables(model.partition("@")[0]).online_features
    return f"{store} holds no complete {model}: it was emptied, or not written yet; {asset} writes it"
