"""CSV as batches of text: looked at by `quotation.Scan`, parsed by Arrow, counted by both."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ml_assets.errors import DataError
from ml_assets.ingest.content import Content, require_names
from ml_assets.ingest.readers.blanks import BLANK, single_blanks
from ml_assets.ingest.readers.decoding import BLOCK, Utf8, utf8_blocks
from ml_assets.ingest.readers.quotation import Dialect, Scan

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival
    from ml_assets.spec.source import SourceSpec
    from ml_assets.spec.text_format import TextFormat

_LISTED = 60
_SEPARATORS = (",", ";", "\t", "|")
_HEADER = 1 << 20  # bytes in which the header ends
# An empty cell is null, and so is what Python and numpy write for NaN; "" and words such as NA or null
# are values that the writer chose.
_NULLS = ["", "NaN", "nan", "-nan"]


def read_csv(arrival: "Arrival", spec: "SourceSpec") -> Content:
    """A CSV file; cells are text or null.

    Raises:
        DataError: two readings of it fit, a row has more or fewer cells than the header, or it is no text.
    """
    text = spec.format
    separator, names = _header(arrival, spec)
    _require_each_named(arrival, names)
    require_names(arrival.name, names)
    time = names.index(spec.event_time) if spec.event_time in names else None
    dialect = Dialect(separator, text.quote, text.escape, len(names), time, text.line_breaks)
    with _text(arrival, text) as blocks:
        rows = Scan(arrival, dialect).read(blocks, ends=text.final_newline == "required") - text.header
    schema = pa.schema([(name, pa.string()) for name in names])
    missing = pa.array(text.missing, pa.string())

    def batches() -> Iterator[pa.RecordBatch]:
        with _parsed(arrival, spec, dialect, schema) as reader:
            for batch in reader:
                yield _without(batch, missing) if len(missing) else batch

    return Content(schema, batches, rows, text=True)


@contextmanager
def _text(arrival: "Arrival", text: "TextFormat") -> Iterator[Iterator[bytes]]:
    """The text in blocks of UTF-8, its cells apart by one sign."""
    with utf8_blocks(arrival, text) as blocks:
        yield single_blanks(arrival, blocks, text.quote) if text.separator == BLANK else blocks


def _header(arrival: "Arrival", spec: "SourceSpec") -> tuple[str, list[str]]:
    """The separator and the names of the columns: that separator by which the times of the source are columns."""
    text = spec.format
    with _text(arrival, text) as blocks:
        first = next((block for block in blocks if block.strip(b"\r\n")), b"")[:_HEADER].decode(errors="replace")
    usual = ("\t", *_SEPARATORS) if ".tsv" in arrival.path.lower() else _SEPARATORS
    tried = (text.separator,) if text.separator else usual
    first_rows = {separator: _first_row(arrival, first, separator, spec) for separator in tried}
    if not text.header:
        width = len(text.names or ())
        fitting = [separator for separator, cells in first_rows.items() if len(cells) == width]
        return (fitting or list(first_rows))[0], list(text.names or ())
    fitting = [separator for separator, cells in first_rows.items() if set(spec.times) <= set(cells)]
    separator = max(fitting or first_rows, key=lambda each: len(first_rows[each]))
    _require_other_than_blanks(arrival, first, spec, fitting)
    if text.names is None:
        return separator, first_rows[separator]
    if len(text.names) != len(first_rows[separator]):
        raise DataError(
            f"{arrival.name}: has {len(first_rows[separator])} columns and `names` of the format has {len(text.names)}"
        )
    return separator, text.names


def _require_each_named(arrival: "Arrival", names: list[str]) -> None:
    """The rows of R and pandas begin with their number, in a column without a name.

    Raises:
        DataError: a column has no name; the message says how to give it one without touching the file.
    """
    if not all(name.strip() for name in names):
        suggested = [name if name.strip() else f"column_{nr}" for nr, name in enumerate(names, 1)]
        suggestion = json.dumps(suggested[:_LISTED], ensure_ascii=False)[1:-1] + (
            ", …" if len(suggested) > _LISTED else ""
        )
        raise DataError(
            f"{arrival.name}: a column has no name: write `format: {{names: [{suggestion}]}}` in the source, or give "
            "it one in the first line"
        )


def _require_other_than_blanks(arrival: "Arrival", text: str, spec: "SourceSpec", fitting: list[str]) -> None:
    words = next((line.split() for line in text.splitlines() if line.strip()), [])
    if not fitting and not spec.format.names and set(spec.times) <= set(words):
        raise DataError(
            f"{arrival.name}: its columns stand apart by blanks: write `format: {{separator: ' '}}` in the source"
        )


def _first_row(arrival: "Arrival", text: str, separator: str, spec: "SourceSpec") -> list[str]:
    quoting = {"quotechar": spec.format.quote} if spec.format.quote else {"quoting": csv.QUOTE_NONE}
    reader: Any = csv.reader(io.StringIO(text, newline=""), delimiter=separator, **quoting)
    try:
        return next((row for row in reader if row), [])
    except csv.Error as error:
        raise DataError(f"{arrival.name}: its first line cannot be read as a header ({error})") from error


@contextmanager
def _parsed(arrival: "Arrival", spec: "SourceSpec", dialect: Dialect, schema: pa.Schema) -> Iterator[Any]:
    """Arrow's reader of the rows below the header.

    Raises:
        DataError: a row has more or fewer cells than there are columns.
    """
    ragged: list[str] = []

    def refuse(row: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        ragged.append(
            f"{arrival.name}: row {row.number} has {row.actual_columns} cells and {row.expected_columns} are expected "
            f"({row.text[:80]!r}): put quotation marks around a cell that holds {dialect.separator!r}, or write the "
            "separator, `format: {separator: …}`"
        )
        return "error"

    read = pyarrow.csv.ReadOptions(
        block_size=BLOCK, use_threads=False, column_names=schema.names, skip_rows_after_names=int(spec.format.header)
    )
    parse = pyarrow.csv.ParseOptions(
        delimiter=dialect.separator,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
        newlines_in_values=bool(dialect.quote),
        invalid_row_handler=refuse,
    )
    convert = pyarrow.csv.ConvertOptions(
        column_types=schema, strings_can_be_null=True, null_values=_NULLS, quoted_strings_can_be_null=False
    )
    try:
        with (
            _text(arrival, spec.format) as blocks,
            pyarrow.csv.open_csv(Utf8(blocks), read, parse, convert) as reader,
        ):
            yield reader
    except DataError as error:
        raise DataError(ragged[0]) if ragged else error from None


def _without(batch: pa.RecordBatch, missing: pa.Array) -> pa.RecordBatch:
    """The batch with null in place of the words that stand for a missing value."""
    columns = [pc.if_else(pc.is_in(column, missing), None, column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
