"""Order lines of Online Retail II from a workbook, CSV or Parquet, under the column names of the source."""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from ml_assets.errors import DataError

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all (0 where that is not known)."""

SCHEMA = pa.schema(
    [
        ("invoice", pa.string()),
        ("stock_code", pa.string()),
        ("description", pa.string()),
        ("quantity", pa.int32()),
        ("invoice_date", pa.timestamp("ms")),
        ("unit_price", pa.float64()),
        ("customer_id", pa.int32()),
        ("country", pa.string()),
        ("sheet", pa.string()),
    ]
)
_OFFICIAL = {
    "invoice": "Invoice",
    "stock_code": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "invoice_date": "InvoiceDate",
    "unit_price": "Price",
    "customer_id": "Customer ID",
    "country": "Country",
}
_Row = tuple[int, Sequence[object]]
_LINES = [name for name in SCHEMA.names if name != "sheet"]
_BATCH = 20_000
_MONTH_FIRST = "%m/%d/%Y %H:%M"
"""How the times are written where the workbook was saved as CSV."""
# Lines of a sheet are in the order of time, but for some that were entered minutes late.
_BACK = timedelta(days=1)


def read(path: Path, progress: Progress) -> list[pa.Table]:
    """The order lines of a file, one table per sheet, in `SCHEMA`.

    Raises:
        DataError: the file cannot be read, lacks a column, or a cell is not what its column holds.
    """
    readers = {".xlsx": _workbook, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        suffixes = ", ".join(readers)
        raise DataError(f"{path.name} is no {suffixes}: pass a file of one of these kinds")
    try:
        return reader(path, progress)
    except (pa.ArrowInvalid, zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(f"{path.name} cannot be read ({error}): cut off? Download it again") from error


def without_repeated_lines(parts: Sequence[pa.Table]) -> pa.Table:
    """The lines of all sheets, without those of a later sheet that an earlier one holds.

    Only days that both sheets cover are compared, line by line: what stands twice in one sheet stays twice.
    """
    tables: list[pa.Table] = []
    for part in (part for part in parts if part.num_rows):
        tables.append(_unseen(part, pa.concat_tables(tables)) if tables else part)
    return pa.concat_tables(tables)


def _unseen(part: pa.Table, before: pa.Table) -> pa.Table:
    first, last = pc.min(part["invoice_date"]), pc.max(before["invoice_date"])
    shared = pc.less_equal(part["invoice_date"], last)
    overlap = before.filter(pc.greater_equal(before["invoice_date"], first))
    counts = Counter(_rows(overlap))
    keep = []
    for row in _rows(part.filter(shared)):
        keep.append(not counts[row])
        counts[row] -= bool(counts[row])
    return pa.concat_tables([part.filter(shared).filter(pa.array(keep, pa.bool_())), part.filter(pc.invert(shared))])


def _rows(table: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(table[name].to_pylist() for name in _LINES), strict=True)


def _workbook(path: Path, progress: Progress) -> list[pa.Table]:
    import openpyxl

    with warnings.catch_warnings():
        # Says nothing about the cells.
        warnings.filterwarnings("ignore", message="Workbook contains no default style", category=UserWarning)
        book = openpyxl.load_workbook(path, read_only=True)
    try:
        total = sum(max((sheet.max_row or 1) - 1, 0) for sheet in book.worksheets)
        parts: list[pa.Table] = []
        for sheet in book.worksheets:
            before = sum(part.num_rows for part in parts)
            parts.append(_sheet(path, sheet, before, total, progress))
        return parts
    finally:
        book.close()


def _sheet(path: Path, sheet: "ReadOnlyWorksheet", before: int, total: int, progress: Progress) -> pa.Table:
    """A sheet in batches: a workbook of a million lines never stands in memory as objects."""
    cells: Iterator[Sequence[object]] = sheet.iter_rows(values_only=True)  # type: ignore[misc]  # typed for Worksheet
    rows = enumerate(cells, 1)
    where = f"{path.name}, sheet {sheet.title!r}"
    header = [str(cell) for cell in next(rows, (1, ()))[1] if cell is not None]
    places = _places(header, where)
    name = sheet.title.removeprefix("Year ").strip()
    batches = [SCHEMA.empty_table()]
    lines = ((number, row) for number, row in rows if any(cell is not None for cell in row))
    while batch := list(islice(lines, _BATCH)):
        batches.append(_conform(batch, places, name, where))
        progress(before + sum(each.num_rows for each in batches), total)
    return pa.concat_tables(batches)


def _conform(batch: Sequence[_Row], places: dict[str, int], sheet: str, where: str) -> pa.Table:
    numbers = [number for number, _ in batch]
    columns = {name: [row[place] if place < len(row) else None for _, row in batch] for name, place in places.items()}
    columns["sheet"] = [sheet] * len(batch)
    return pa.table([_column(field, columns[field.name], numbers, where) for field in SCHEMA], schema=SCHEMA)


def _column(field: pa.Field, cells: Sequence[object], numbers: Sequence[int], where: str) -> pa.Array:
    """Cells of a workbook as a column; whole numbers are floats there at times, and codes are numbers.

    Raises:
        DataError: the first cell that does not fit, with its row.
    """
    if pa.types.is_string(field.type):
        return pa.array([_text(cell) for cell in cells], pa.string())
    kind = pa.float64() if pa.types.is_integer(field.type) else field.type
    try:
        return pc.cast(pa.array(cells, kind), field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if len(cells) > 1:
            for cell, number in zip(cells, numbers, strict=True):
                _column(field, [cell], [number], where)
        name = _OFFICIAL[field.name]
        raise DataError(f"{where}, row {numbers[0]}: {name} is {cells[0]!r}, no {field.type}: correct it") from error


def _text(cell: object) -> str | None:
    if cell is None:
        return None
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _csv(path: Path, progress: Progress) -> list[pa.Table]:
    with pcsv.open_csv(path) as opened:
        places = _places(opened.schema.names, path.name)
        header = opened.schema.names
    # Read as text: a reader that guesses types takes the first invoices for numbers and stops at C489449.
    kinds = pcsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True)
    quoted = pcsv.ParseOptions(newlines_in_values=True)
    return _parts(pcsv.read_csv(path, convert_options=kinds, parse_options=quoted), places, path.name, progress)


def _parquet(path: Path, progress: Progress) -> list[pa.Table]:
    table = pq.read_table(path)
    return _parts(table, _places(table.column_names, path.name), path.name, progress)


def _parts(table: pa.Table, places: dict[str, int], where: str, progress: Progress) -> list[pa.Table]:
    columns = {name: _cast(SCHEMA.field(name), table.column(place), where) for name, place in places.items()}
    lines = pa.table(columns)
    progress(lines.num_rows, lines.num_rows)
    if "sheet" in table.column_names:
        signed = lines.append_column("sheet", pc.cast(table["sheet"], pa.string())).cast(SCHEMA)
        names = pc.unique(signed["sheet"]).to_pylist()
        return [signed.filter(pc.equal(signed["sheet"], name)) for name in names]
    return [_named(part) for part in _split(lines)]


def _cast(field: pa.Field, column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    whole = pa.types.is_integer(field.type)
    try:
        if field.name == "invoice_date" and pc.any(pc.match_substring(column.cast(pa.string()), "/")).as_py():
            return pc.strptime(column, format=_MONTH_FIRST, unit="ms")
        # 13085.0 is a customer.
        return pc.cast(pc.cast(column, pa.float64()) if whole else column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        header = _OFFICIAL[field.name]
        raise DataError(f"{where}: {header} is no {field.type} everywhere ({error}): correct it") from error


def _split(lines: pa.Table) -> list[pa.Table]:
    """The sheets of a file that joined them: a new one starts where time jumps back by more than a day."""
    times: list[datetime | None] = lines["invoice_date"].to_pylist()
    pairs = enumerate(pairwise(times), 1)
    starts = [place for place, (one, two) in pairs if one and two and one - two > _BACK]
    ends = [*starts, lines.num_rows]
    return [lines.slice(start, end - start) for start, end in zip([0, *starts], ends, strict=True)]


def _named(part: pa.Table) -> pa.Table:
    years = [pc.year(edge).as_py() for edge in (pc.min(part["invoice_date"]), pc.max(part["invoice_date"]))]
    name = "-".join(str(year) for year in years)
    return part.append_column("sheet", pa.array([name] * part.num_rows, pa.string())).cast(SCHEMA)


def _places(header: Sequence[str], where: str) -> dict[str, int]:
    """Where each column stands, by its official name or that of the source; case and spaces do not matter."""
    columns = {re.sub(r"[^a-z]", "", name.lower()): place for place, name in enumerate(header)}
    keys = [
        (name, re.sub(r"[^a-z]", "", spelled.lower()))
        for name, official in _OFFICIAL.items()
        for spelled in (name, official)
    ]
    places = {name: columns[key] for name, key in keys if key in columns}
    if missing := [official for name, official in _OFFICIAL.items() if name not in places]:
        has = ", ".join(header) or "nothing"
        raise DataError(f"{where} has no column {', '.join(missing)} (it has {has}): pass the official file")
    return {name: places[name] for name in _LINES}
