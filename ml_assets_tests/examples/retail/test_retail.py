import threading
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.errors import DataError
from ml_assets.examples.retail.download import convert, fetch
from ml_assets.examples.retail.invoices import SCHEMA

_HEADER = [
    "Invoice",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "Price",
    "Customer ID",
    "Country",
]


def _line(invoice: object, day: int, *, month: int = 12, year: int = 2010, customer: object = 13085) -> list[Any]:
    at = datetime(year, month, day, 8, 30)  # noqa: DTZ001 - as naive as a cell of a workbook
    return [invoice, 85048, "LIGHTS", 12, at, 6.95, customer, "United Kingdom"]


_FIRST = [
    _line(489434, 1, year=2009),
    _line("C489449", 2, year=2009, customer=None),
    _line(536365, 1),
    _line(536365, 1),
    _line(536370, 9),
]
_SECOND = [
    _line(536365, 1),
    _line(536365, 1),
    _line(536370, 9),
    _line(536371, 9),
    _line(540000, 3, month=1, year=2011),
]


def _workbook(path: Path, first: list[list[Any]] = _FIRST, second: list[list[Any]] = _SECOND) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, lines in (("Year 2009-2010", first), ("Year 2010-2011", second)):
        sheet = book.create_sheet(name)
        for row in (_HEADER, *lines):
            sheet.append(row)
    book.save(path)
    return path


def _csv(path: Path, lines: list[list[Any]], header: list[str] = _HEADER) -> Path:
    rows = [",".join("" if cell is None else str(cell) for cell in row) for row in (header, *lines)]
    path.write_text("\n".join(rows) + "\n")
    return path


def _invoices(table: pa.Table) -> list[str]:
    found: list[str] = table["invoice"].to_pylist()
    return found


_ONCE = ["489434", "C489449", "536365", "536365", "536370", "536371", "540000"]


def test_a_workbook_becomes_one_file_with_the_columns_of_the_source(tmp_path: Path) -> None:
    path = convert(_workbook(tmp_path / "a.xlsx"), tmp_path / "incoming")
    assert path == tmp_path / "incoming" / "transactions" / "online_retail_ii.parquet"
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    assert table.slice(1, 1).to_pylist() == [
        {
            "invoice": "C489449",
            "stock_code": "85048",
            "description": "LIGHTS",
            "quantity": 12,
            "invoice_date": _line(1, 2, year=2009)[4],
            "unit_price": 6.95,
            "customer_id": None,
            "country": "United Kingdom",
            "sheet": "2009-2010",
        }
    ]


def test_a_line_in_both_sheets_is_kept_once_and_a_duplicate_in_one_sheet_twice(tmp_path: Path) -> None:
    table = pq.read_table(convert(_workbook(tmp_path / "a.xlsx"), tmp_path))
    assert _invoices(table) == _ONCE
    assert table["sheet"].to_pylist() == ["2009-2010"] * 5 + ["2010-2011"] * 2


def test_lines_outside_the_shared_days_are_not_compared(tmp_path: Path) -> None:
    first, second = [_line(1, 1), _line(1, 9)], [_line(1, 9), _line(1, 10), _line(1, 10)]
    table = pq.read_table(convert(_workbook(tmp_path / "a.xlsx", first, second), tmp_path))
    assert [at.day for at in table["invoice_date"].to_pylist()] == [1, 9, 10, 10]


@pytest.mark.parametrize("kind", ["zip", "csv", "csv of a spreadsheet", "parquet"])
def test_every_kind_of_file_gives_the_same_lines(tmp_path: Path, kind: str) -> None:
    book = _workbook(tmp_path / "a.xlsx")
    path = tmp_path / f"b.{kind.partition(' ')[0]}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(book, "online_retail_II.xlsx")
    elif kind == "csv":
        _csv(path, [*_FIRST, *_SECOND])
    elif kind == "csv of a spreadsheet":
        lines = [[*line[:4], f"{line[4]:%-m/%-d/%Y %-H:%M}", *line[5:]] for line in (*_FIRST, *_SECOND)]
        _csv(path, lines)
    else:
        path = convert(book, tmp_path / "other")
    expected = pq.read_table(convert(book, tmp_path / "one"))
    assert pq.read_table(convert(path, tmp_path / "two")).equals(expected)


def test_the_same_input_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    book = _workbook(tmp_path / "a.xlsx")
    once, again = (convert(book, tmp_path / name) for name in ("one", "two"))
    assert once.read_bytes() == again.read_bytes()
    assert convert(book, tmp_path / "one").read_bytes() == again.read_bytes()
    assert [path.name for path in once.parent.iterdir()] == [once.name]


def test_lines_come_out_by_time(tmp_path: Path) -> None:
    lines = [_line(2, 3, year=2009), _line(3, 2, year=2009), _line(1, 2, year=2009)]
    path = _csv(tmp_path / "a.csv", lines)
    assert _invoices(pq.read_table(convert(path, tmp_path))) == ["3", "1", "2"]


def test_progress_ends_at_all_lines(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(_workbook(tmp_path / "a.xlsx"), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(5, 10), (10, 10)]


def test_empty_rows_and_float_numbers_of_a_workbook_are_understood(tmp_path: Path) -> None:
    line = _line(489434.0, 1, customer=13085.0)
    line[3] = 12.0
    table = pq.read_table(convert(_workbook(tmp_path / "a.xlsx", [[None] * 8, line], []), tmp_path))
    assert table.select(["invoice", "quantity", "customer_id"]).to_pylist() == [
        {"invoice": "489434", "quantity": 12, "customer_id": 13085}
    ]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", [_line(1, 1)[:6]], _HEADER[:6])
    with pytest.raises(DataError, match=r"a\.csv has no column Customer ID, Country \(it has Invoice, .*official file"):
        convert(path, tmp_path)


def test_a_cell_that_does_not_fit_is_named_with_sheet_and_row(tmp_path: Path) -> None:
    wrong = _line(2, 2)
    wrong[3] = "a dozen"
    book = _workbook(tmp_path / "a.xlsx", second=[_line(1, 1), [None] * 8, wrong])
    with pytest.raises(DataError, match="sheet 'Year 2010-2011', row 4: Quantity is 'a dozen', no int32: correct it"):
        convert(book, tmp_path)


def test_half_a_customer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Customer ID is no int32 everywhere"):
        convert(_csv(tmp_path / "a.csv", [_line(1, 1, customer=13085.5)]), tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"), [(None, "0 order lines, at least one"), (7, "0 order lines, 7 are expected")]
)
def test_a_file_without_lines_is_refused(tmp_path: Path, lines: int | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        convert(_workbook(tmp_path / "a.xlsx", [], []), tmp_path, lines=lines)


def test_another_number_of_lines_than_expected_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    book = _workbook(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"a\.xlsx has 10 order lines, 11 are expected: download it again, or save"):
        convert(book, tmp_path, lines=11)
    assert not (tmp_path / "transactions").exists()
    convert(book, tmp_path, lines=10)


@pytest.mark.parametrize("kind", ["xlsx", "zip", "parquet"])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(_workbook(tmp_path / "b.xlsx").read_bytes()[:2000])
    with pytest.raises(DataError, match=rf"a\.{kind} .*ownload it again"):
        convert(path, tmp_path)


def test_an_archive_without_a_data_file_says_what_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(DataError, match=r"a\.zip holds readme\.txt: one file is needed of \.xlsx"):
        convert(tmp_path / "a.zip", tmp_path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xls").touch()
    with pytest.raises(DataError, match=r"a\.xls is no \.xlsx, \.csv, \.parquet"):
        convert(tmp_path / "a.xls", tmp_path)


def test_a_file_that_is_not_there_names_the_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.zip does not exist: download https://archive"):
        convert(tmp_path / "nowhere.zip", tmp_path)


class _Quiet(SimpleHTTPRequestHandler):
    cut = 0

    def log_message(self, *_: object) -> None: ...

    def end_headers(self) -> None:
        if self.path.startswith("/cut"):
            self.send_header("Connection", "close")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        outputfile.write(source.read(100) if self.path.startswith("/cut") else source.read())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "www"
    folder.mkdir()
    for name in ("retail.zip", "cut.zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.write(_workbook(tmp_path / "a.xlsx"), "online_retail_II.xlsx")
    (folder / "page.zip").write_text("<html>Please log in</html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))  # how often it looks for a shutdown
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_download_is_kept_and_converted(tmp_path: Path, server: str) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(f"{server}/retail.zip", tmp_path, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "online_retail_ii.zip"
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert _invoices(pq.read_table(convert(path, tmp_path, lines=10))) == _ONCE


def test_what_was_downloaded_is_used_again(tmp_path: Path, server: str) -> None:
    path = fetch(f"{server}/retail.zip", tmp_path)
    assert fetch("http://127.0.0.1:1/gone.zip", tmp_path) == path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.zip", "answered 404 Not Found"),
        ("cut.zip", r"sent 100 of [\d,]+ bytes"),
        ("page.zip", "sent no zip archive"),
    ],
)
def test_a_bad_download_says_why_and_leaves_nothing(tmp_path: Path, server: str, name: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"{name} {said}.*--from PATH"):
        fetch(f"{server}/{name}", tmp_path / "retail")
    assert not list((tmp_path / "retail").iterdir())


def test_without_a_network_the_remedy_is_a_copy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be reached .*is there a network\? .*--from PATH"):
        fetch("http://127.0.0.1:1/retail.zip", tmp_path)


def test_an_address_is_one_of_the_web(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'file:///etc/hosts' is no web address"):
        fetch("file:///etc/hosts", tmp_path)


def test_sheets_joined_in_a_csv_are_told_apart_by_time(tmp_path: Path) -> None:
    """Some lines were entered minutes late: that is no new sheet."""
    late = _line(5, 2, year=2009)
    late[4] -= timedelta(minutes=40)
    path = _csv(tmp_path / "a.csv", [_line(4, 2, year=2009), late, *_FIRST[2:], *_SECOND])
    assert set(pq.read_table(convert(path, tmp_path))["sheet"].to_pylist()) == {"2009-2010", "2010-2011"}
