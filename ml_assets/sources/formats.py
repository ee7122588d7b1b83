"""The content of a file as Arrow batches of storable types, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pyarrow.types as known

from ml_assets.duck import literal, quote
from ml_assets.errors import DataError
from ml_assets.sources.files import ending

if TYPE_CHECKING:
    import duckdb

    from ml_assets.sources.files import Arrival

BATCH = 250_000
"""Rows in memory at once, about: a batch of Parquet has as many, a batch of text is 8 MB."""

_BLOCK = 8 << 20
_LINE = "line"
# A control character that valid JSON cannot contain, so that each line stays whole.
_NEVER = "\x1f"

_STORED: list[tuple[tuple[Callable[[pa.DataType], bool], ...], pa.DataType]] = [
    ((known.is_integer,), pa.int64()),
    ((known.is_floating,), pa.float64()),
    ((known.is_timestamp,), pa.timestamp("us")),
    ((known.is_date,), pa.date32()),
    ((known.is_string, known.is_large_string, known.is_string_view), pa.string()),
    # Delta has no time of day, and no type for a column without values.
    ((known.is_time, known.is_null), pa.string()),
]


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Args:
        schema: the columns; text files have strings only.
        batches: reads the file from its start.
        text: the types of the columns are not known from the file.
        quoted: columns of a JSON file that hold strings, and so no numbers.
    """

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    text: bool = False
    quoted: frozenset[str] = frozenset()


def content(arrival: "Arrival", connection: "duckdb.DuckDBPyConnection") -> Content:
    """How to read a file.

    Args:
        arrival: a whole file.
        connection: DuckDB takes JSON lines apart.

    Raises:
        DataError: the bytes are not what the extension promises, or two columns have one name.
    """
    readers = {"parquet": _parquet, "csv": _csv}
    reader = readers.get(arrival.format)
    found = reader(arrival) if reader else _jsonl(arrival, connection)
    _require_distinct(arrival, found.schema.names)
    return found


def _parquet(arrival: "Arrival") -> Content:
    def batches() -> Iterator[pa.RecordBatch]:
        with arrival.open() as stream, pyarrow.parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield storable(batch)

    with arrival.open() as stream, pyarrow.parquet.ParquetFile(stream) as file:
        fields = [(field.name, stored_type(field.type)) for field in file.schema_arrow]
    return Content(pa.schema(fields), batches)


def _csv(arrival: "Arrival") -> Content:
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    read = pyarrow.csv.ReadOptions(block_size=_BLOCK, use_threads=False)
    with arrival.open() as stream, pyarrow.csv.open_csv(stream, read, parse) as reader:
        names = reader.schema.names
    schema = pa.schema([(name, pa.string()) for name in names])
    # An empty cell is null; "" and words such as NA or null are values that the writer chose.
    convert = pyarrow.csv.ConvertOptions(
        column_types=schema, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=False
    )

    def batches() -> Iterator[pa.RecordBatch]:
        last = None
        with arrival.open() as stream, pyarrow.csv.open_csv(stream, read, parse, convert) as reader:
            for batch in reader:
                last = batch.column(batch.num_columns - 1)[-1].as_py() if batch.num_rows else last
                yield batch
        if last and last.endswith("\n") and not ending(arrival).replace(b"\r", b"").endswith(b'"\n'):
            raise DataError(f"{arrival.name}: a quotation mark is never closed, deliver the file again")

    return Content(schema, batches, text=True)


def _jsonl(arrival: "Arrival", connection: "duckdb.DuckDBPyConnection") -> Content:
    kinds: dict[str, set[str]] = {}
    for lines in _lines(arrival):
        for key, kind in _keys(arrival, lines, connection):
            kinds.setdefault(key, set()).add(kind)
    schema = pa.schema([(key, pa.string()) for key in kinds])
    paths = ", ".join(literal(_path(key)) for key in kinds)
    columns = ", ".join(f"found[{nr}] AS {quote(key)}" for nr, key in enumerate(kinds, start=1))
    sql = f"SELECT {columns} FROM (SELECT json_extract_string({_LINE}, [{paths}]) AS found FROM lines)"

    def batches() -> Iterator[pa.RecordBatch]:
        for lines in _lines(arrival):
            yield from arrow(connection, sql, lines=lines).cast(schema).to_batches()

    quoted = frozenset(key for key, found in kinds.items() if found & {"VARCHAR", "OBJECT", "ARRAY"})
    return Content(schema, batches, text=True, quoted=quoted)


def _keys(arrival: "Arrival", lines: pa.Table, connection: "duckdb.DuckDBPyConnection") -> list[tuple[str, str]]:
    """The keys of all lines in the order of their first appearance, each with every JSON type it holds."""
    kind = f"json_type(CASE WHEN json_valid({_LINE}) THEN {_LINE} END)"
    broken = f"coalesce({kind}, '') <> 'OBJECT'"
    bad = arrow(connection, f"SELECT left({_LINE}, 100) AS {_LINE} FROM lines WHERE {broken} LIMIT 1", lines=lines)
    if bad.num_rows:
        raise DataError(f"{arrival.name}: {bad[_LINE][0].as_py()!r} is no JSON object, deliver one object a line")
    sql = f"""
        SELECT key, kind FROM (
            SELECT key, place, nr, json_type({_LINE}, '$."' || key || '"') AS kind FROM (
                SELECT {_LINE}, nr, unnest(keys) AS key, generate_subscripts(keys, 1) AS place FROM (
                    SELECT {_LINE}, json_keys({_LINE}) AS keys, row_number() OVER () AS nr FROM lines)))
        GROUP BY key, kind ORDER BY min((nr, place))"""
    found = arrow(connection, sql, lines=lines)
    return list(zip(found["key"].to_pylist(), found["kind"].to_pylist(), strict=True))


def _lines(arrival: "Arrival") -> Iterator[pa.Table]:
    read = pyarrow.csv.ReadOptions(block_size=_BLOCK, use_threads=False, column_names=[_LINE])
    parse = pyarrow.csv.ParseOptions(delimiter=_NEVER, quote_char=False)
    convert = pyarrow.csv.ConvertOptions(column_types={_LINE: pa.string()})
    with arrival.open() as stream, pyarrow.csv.open_csv(stream, read, parse, convert) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _path(key: str) -> str:
    return f'$."{key}"'


def _require_distinct(arrival: "Arrival", names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name.strip():
            raise DataError(f"{arrival.name}: a column has no name, give each one a name in the first line")
        if '"' in name:
            raise DataError(f"{arrival.name}: column {name!r} has a quotation mark in its name, rename it")
        if name.lower() in seen:
            raise DataError(f"{arrival.name}: columns {seen[name.lower()]!r} and {name!r} have one name, rename one")
        seen[name.lower()] = name


def arrow(connection: "duckdb.DuckDBPyConnection", sql: str, **tables: pa.Table) -> pa.Table:
    """The result of a query over Arrow tables, in their order."""
    for name, rows in tables.items():
        connection.register(name, rows)
    try:
        found: pa.Table = connection.sql(sql).to_arrow_table()
        return found
    finally:
        for name in tables:
            connection.unregister(name)


def storable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in the types of the lake: 64-bit numbers, plain strings, naive UTC microseconds."""
    arrays = [_stored(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def stored_type(type_: pa.DataType) -> pa.DataType:
    """The type in which the lake keeps values of `type_`."""
    if known.is_dictionary(type_):
        return stored_type(type_.value_type)
    return next((stored for fits, stored in _STORED if any(fit(type_) for fit in fits)), type_)


def _stored(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    wanted = stored_type(column.type)
    if known.is_timestamp(column.type) and column.type.tz:
        return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(wanted)
    if known.is_timestamp(column.type):
        return column.cast(wanted, safe=False)  # nanoseconds are more than the lake keeps
    return column if column.type == wanted else column.cast(wanted)
