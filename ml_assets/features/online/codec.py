"""A record as bytes: a fixed part that one `struct` reads at once, then the text.

Little-endian, without padding:

| bytes | what |
| --- | --- |
| 1 | format |
| 4 | as-of date, as a proleptic ordinal |
| 8 | fingerprint of the schema |
| one bit a column | set = missing |
| 8, 8, 1, 4 a column | a double, an int64, a bool, or how many bytes of UTF-8 a text has |
| … | the texts, one after the other |
| 4 | CRC-32 of the entity's name and of everything before this field |

Each kind keeps its value to the bit: NaN is a value and not missing, integers are not made floats. Reading begins with
the checksum and runs nothing that the bytes say: a damaged or misplaced record is an error, never another value.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Self
from zlib import crc32

from ml_assets.errors import DataError, OnlineStoreError
from ml_assets.features.online.schema import Column, OnlineRecord, Schema, kind_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT: Final = 1
ROWS_AT_ONCE: Final = 4096

_DAY: Final = slice(1, 5)
_FINGERPRINT: Final = slice(5, 13)
_HEAD: Final = 13
_SUM: Final = struct.Struct("<I")
_RESIDUE: Final = 0x2144DF1C  # the CRC-32 of any bytes that end with their own CRC-32
_CODES: Final = {"double": "d", "int64": "q", "bool": "?", "string": "I"}
_TYPES: Final = {"double": "<f8", "int64": "<i8", "bool": "?", "string": "<u4"}

Packed = list[tuple[str, bytes]]


class CorruptRecordError(OnlineStoreError):
    """The bytes of a record are not what was written."""


class UnknownSchemaError(OnlineStoreError):
    """A record names a schema that the store does not hold."""


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """Where the values of a schema lie in a record; worked out once, because a record takes a microsecond or two.

    Args:
        schema: what the records hold.
        fixed: reads the values behind the head and the bits; of a text, its length.
        bits: where the bits of what is missing lie.
        none: those bits when nothing is.
        texts: which columns are text.
        size: the bytes of a record without text.
    """

    schema: Schema
    fixed: struct.Struct
    bits: slice
    none: bytes
    texts: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """The layout of a schema's records."""
        kinds = [column.kind for column in schema.columns]
        end = _HEAD + -(-len(kinds) // 8)
        fixed = struct.Struct(f"<{end}x{''.join(_CODES[kind] for kind in kinds)}")
        texts = tuple(i for i, kind in enumerate(kinds) if kind == "string")
        return cls(schema, fixed, slice(_HEAD, end), bytes(end - _HEAD), texts, fixed.size + _SUM.size)

    def record(self, entity: str, data: bytes) -> OnlineRecord:
        """The record in bytes whose checksum is right.

        Raises:
            struct.error, ValueError: they were written with another schema all the same.
        """
        values = self.fixed.unpack_from(data)
        if self.texts:
            values = self._with_texts(values, data)
        elif len(data) != self.size:
            raise _length(data, self.size)
        if (nulls := data[self.bits]) != self.none:
            blank = list(values)
            for i in _holes(nulls):
                blank[i] = None
            values = tuple(blank)
        # What Record(…) does, without the call of Python code that NamedTuple puts before it.
        return tuple.__new__(OnlineRecord, (entity, _day(data[_DAY]), values, self.schema))

    def _with_texts(self, values: tuple[Any, ...], data: bytes) -> tuple[Any, ...]:
        decoded, at = list(values), self.fixed.size
        for i in self.texts:
            start, at = at, at + decoded[i]
            decoded[i] = str(data[start:at], "utf-8")
        if len(data) != at + _SUM.size:
            raise _length(data, at + _SUM.size)
        return tuple(decoded)

    def pack(self, batches: "Iterable[pa.RecordBatch]", as_of: date) -> Iterator[Packed]:
        """Entities and their records, `ROWS_AT_ONCE` at a time at most, in the order of the rows.

        Raises:
            DataError: a batch lacks a column, holds other types, or an entity is null or empty.
        """
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield self._pack(batch.slice(start, ROWS_AT_ONCE), as_of)

    def _pack(self, batch: "pa.RecordBatch", as_of: date) -> Packed:
        columns = [_column(batch, column) for column in self.schema.columns]
        names: list[str] = _entities(batch, self.schema.entity).to_pylist()
        fixed, size = self._table(columns, as_of).tobytes(), self.fixed.size
        behind: Iterable[bytes] = repeat(b"")
        if self.texts:
            behind = map(b"".join, zip(*(_encoded(columns[i]) for i in self.texts), strict=True))
        bodies = (
            fixed[start : start + size] + text for start, text in zip(range(0, len(fixed), size), behind, strict=False)
        )
        return [(name, body + _SUM.pack(_checksum(name, body))) for name, body in zip(names, bodies, strict=True)]

    def _table(self, columns: "list[pa.Array]", as_of: date) -> "NDArray[np.void]":
        """The fixed parts of a batch, column by column: ten times as fast as row by row."""
        import numpy as np

        table = np.zeros(len(columns[0]), self._dtype())
        table["format"], table["as_of"], table["fingerprint"] = FORMAT, as_of.toordinal(), self.schema.fingerprint
        absent = np.empty((len(table), len(columns)), dtype=np.bool_)
        for i, column in enumerate(columns):
            absent[:, i] = column.is_null().to_numpy(zero_copy_only=False)
            table[f"c{i}"] = _numbers(column)
        table["nulls"] = np.packbits(absent, axis=1, bitorder="little")
        return table

    def _dtype(self) -> "np.dtype[np.void]":
        import numpy as np

        head = [("format", "u1"), ("as_of", "<u4"), ("fingerprint", "<u8"), ("nulls", "u1", (len(self.none),))]
        values = [(f"c{i}", _TYPES[column.kind]) for i, column in enumerate(self.schema.columns)]
        return np.dtype([*head, *values])


class KnownLayouts(dict[bytes, RecordLayout]):
    """The layouts that a reader has met, by the fingerprint's bytes; one that it has not met is loaded, once.

    Args:
        load: the JSON text of the schema of a fingerprint as the store holds it, None if it does not.
    """

    def __init__(self, load: Callable[[int], str | bytes | None]) -> None:
        super().__init__()
        self._load = load

    def __missing__(self, found: bytes) -> RecordLayout:
        fingerprint = int.from_bytes(found, "little")
        text = self._load(fingerprint)
        if text is None:
            raise UnknownSchemaError(f"the online store holds no schema {fingerprint:x}: write the features again")
        schema = Schema.from_json(text)
        if schema.fingerprint != fingerprint:
            raise UnknownSchemaError(f"the online store holds another schema as {fingerprint:x}: write it again")
        return self.setdefault(found, RecordLayout.of(schema))


def unpack(data: bytes, entity: str, known: KnownLayouts) -> OnlineRecord:
    """The record of an entity.

    Raises:
        CorruptRecordError: the bytes are not what was written for this entity.
        UnknownSchemaError: its schema is not there.
    """
    # As `_checksum`; a call in a line that every record of every answer goes through is worth leaving out.
    if crc32(data, crc32(entity.encode())) != _RESIDUE:
        raise _damaged(entity, "its checksum is wrong")
    try:
        if data[0] == FORMAT:
            return known[data[_FINGERPRINT]].record(entity, data)
    except (struct.error, ValueError, OverflowError, IndexError) as error:
        raise _damaged(entity, error) from error
    raise _damaged(entity, f"its format is {data[0]}, and {FORMAT} is known")


def require_entities(entities: Sequence[str]) -> None:
    """Refuse names that no record can have.

    Raises:
        DataError: one is empty, or no text that can be encoded.
    """
    try:
        "".join(entities).encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can hold
        half = error.object[error.start : error.end]
        raise DataError(f"entity with {half!r}: half of a surrogate pair is no text") from error
    if not all(entities):
        raise DataError("entity '': the name of an entity is not empty")


def _damaged(entity: str, reason: object) -> CorruptRecordError:
    return CorruptRecordError(f"the online record of {entity!r} is damaged: {reason}; write the features again")


def _length(data: bytes, end: int) -> ValueError:
    return ValueError(f"{len(data)} bytes instead of {end}")


@lru_cache(64)  # a store holds records of few dates
def _day(ordinal: bytes) -> date:
    return date.fromordinal(int.from_bytes(ordinal, "little"))


def _checksum(entity: str, body: bytes) -> int:
    return crc32(body, crc32(entity.encode()))


@lru_cache(4096)  # entities that a view does not know lack the same columns
def _holes(nulls: bytes) -> tuple[int, ...]:
    bits = int.from_bytes(nulls, "little")
    return tuple(i for i in range(bits.bit_length()) if bits >> i & 1)


def _column(batch: "pa.RecordBatch", column: Column) -> "pa.Array":
    import pyarrow as pa

    types = {"double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
    values = _named(batch, column.name)
    kind = kind_of(values.type)
    # Arrow would read numbers out of text and booleans out of numbers; an integer among doubles is one of them.
    if not (kind == column.kind or pa.types.is_null(values.type) or (kind, column.kind) == ("int64", "double")):
        raise DataError(f"column {column.name!r} is {values.type}, and the schema says {column.kind}")
    try:
        return values.cast(types[column.kind])
    except pa.ArrowInvalid as error:
        raise DataError(f"column {column.name!r} does not fit into {column.kind}: {error}") from error


def _named(batch: "pa.RecordBatch", name: str) -> "pa.Array":
    if name not in batch.schema.names:
        raise DataError(f"the rows have no column {name!r}, which the schema of the online records names")
    return batch.column(name)


def _entities(batch: "pa.RecordBatch", name: str) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _named(batch, name)
    if kind_of(values.type) not in {"int64", "string"}:
        raise DataError(f"entity {name!r} is {values.type}: text and integers name an entity")
    texts = values.cast(pa.string())
    if values.null_count or pc.any(pc.equal(pc.binary_length(texts), 0)).as_py():
        raise DataError(f"entity {name!r} is null or empty in some row")
    return texts


def _numbers(column: "pa.Array") -> "NDArray[np.generic]":
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.binary_length(column) if pa.types.is_string(column.type) else column
    zero = False if pa.types.is_boolean(column.type) else 0
    numbers: NDArray[np.generic] = lengths.fill_null(zero).to_numpy(zero_copy_only=False)
    return numbers


def _encoded(column: "pa.Array") -> list[bytes]:
    import pyarrow as pa

    encoded: list[bytes] = column.cast(pa.binary()).fill_null(b"").to_pylist()
    return encoded
