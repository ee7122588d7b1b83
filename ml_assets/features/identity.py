"""What identifies an entity: text or a whole number, exact to the last digit from the file to the answer."""

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import DataError, list_values
from ml_assets.storage.duck import quote

_EXACT = {pa.float64(): 2**53, pa.float32(): 2**24, pa.float16(): 2**11}
"""Beyond these a float cannot tell a whole number from its neighbours."""


def exact_ids(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The ids as `int64` or `string`; whole numbers of any type become integers, and none loses a digit.

    Raises:
        DataError: a value is neither text nor a whole number of 64 bits, or empty; names value and remedy.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return exact_ids(column.cast(kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return _texts(column.cast(pa.string()), name)
    if pa.types.is_floating(kind):
        return _whole(column, name)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _integers(column, name)
    raise DataError(
        f"{name!r} is {kind}: text and whole numbers identify an entity; write {cast(name, 'VARCHAR')} in the query"
    )


def cast(name: str, kind: str) -> str:
    """`CAST(account_id AS BIGINT) AS account_id`, for a message."""
    identifier = name if name.isidentifier() else quote(name)
    return f"CAST({identifier} AS {kind}) AS {identifier}"


def _texts(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    empty = pc.sum(pc.equal(column, "")).as_py()
    if empty:
        raise DataError(f"{name!r} is empty text in {empty:,} rows: leave them out (WHERE {name} <> '')")
    return column


def _whole(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    kind = column.type
    numbers = column.cast(pa.float64())
    odd = numbers.filter(pc.invert(pc.and_(pc.is_finite(numbers), pc.equal(numbers, pc.floor(numbers)))))
    if len(odd):
        raise DataError(
            f"{name!r} is {kind} and holds {list_values(odd.slice(0, 3).to_pylist())}: only text and whole numbers "
            f"identify an entity; write {cast(name, 'VARCHAR')} in the query"
        )
    large = numbers.filter(pc.greater(pc.abs(numbers), float(_EXACT[kind])))
    if len(large):
        raise DataError(
            f"{name!r} is {kind} and holds {list_values(large.slice(0, 3).to_pylist())}, of which a {kind} has lost "
            f"digits: deliver the ids as text or integers (columns: {{{name}: string}} of the source reads CSV as text)"
        )
    return numbers.cast(pa.int64())


def _integers(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        largest = list_values([str(pc.max(column).as_py())])
        raise DataError(
            f"{name!r} is {column.type} and holds {largest}, which is not a whole number of 64 bits: write "
            f"{cast(name, 'VARCHAR')} in the query, which keeps every digit"
        ) from error
