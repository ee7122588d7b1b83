"""Whatever is raised over one file is that file's refusal, also at the commit; the others go on, nothing is hidden."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import errno
import threading
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from ml_assets.errors import DataError, DeclarationError, LakeError
from ml_assets.ingest import ingest as module
from ml_assets.ingest.file_errors import refusal_reason
from ml_assets.ingest.ingest import ingest, ingests
from ml_assets.ingest.left_files import read_left, without_rows
from ml_assets.storage.lake import Lake, Rows
from ml_assets_tests.conftest import Tiny, shared
from ml_assets_tests.ingest.conftest import TABLE, Inbox, orders

NOW = datetime(2026, 11, 29, 12)


class Brittle(Lake):
    """A lake that fails over rows that hold the number 13, when they are written."""

    table, error = TABLE, pa.ArrowInvalid("thirteen")

    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        if table == self.table:
            rows = rows if isinstance(rows, pa.Table) else rows.read_all()
            if "id" in rows.column_names and 13 in rows["id"].to_pylist():
                raise self.error
        return super().append(table, rows, records=records)


@pytest.fixture
def brittle(inbox: Inbox) -> Inbox:
    inbox.lake = Brittle(inbox.lake.root, shared)
    for nr, ids in enumerate([(1, 2), (3,), (13, 4), (5,), (6,)]):
        inbox.put(f"{nr}.csv", orders(*(f"{id_},2026-01-01,{'x' if id_ == 4 else 1}" for id_ in ids)))
    return inbox


def test_a_file_that_fails_at_the_commit_is_found_and_the_others_are_in_the_lake(brittle: Inbox) -> None:
    for _ in range(2):
        found = brittle.ingest()
        assert [note.file for note in found.refused] == ["orders/2.csv"]
        assert found.refused[0].reason.startswith("orders/2.csv: cannot be taken (ArrowInvalid: thirteen): repair it")
        assert sorted(row["id"] for row in brittle.rows()) == [1, 2, 3, 5, 6]
        assert (brittle.rows("_quarantine"), len(brittle.rows("_files")), found.files) == ([], 4, 4)
    assert read_left(brittle.lake, TABLE) == [*found.refused]
    brittle.lake = Lake(brittle.lake.root, shared)
    assert (brittle.ingest().new_files, read_left(brittle.lake, TABLE)) == (("orders/2.csv",), [])


def test_a_table_that_a_failed_first_file_made_is_not_left_with_its_columns(brittle: Inbox) -> None:
    brittle.put("00.parquet", b"")
    odd = {"id": [13], "at": [datetime(2026, 1, 1)], "amount": [1.0], "odd": ["x"]}
    pq.write_table(pa.table(odd), brittle.folder / "orders" / "00.parquet")
    found = brittle.ingest()
    assert [note.file for note in found.refused] == ["orders/00.parquet", "orders/2.csv"]
    assert brittle.lake.schema(TABLE).names == ["id", "at", "amount", "_file"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("deep"), OSError(5, "Input/output error"), KeyError(1)]
)
def test_whatever_a_reader_raises_refuses_its_file(
    inbox: Inbox, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[..., Any] = vars(module)["load"]

    def load(arrival: Any, *more: Any) -> Any:
        if arrival.name == "orders/b.csv":
            raise error
        return read(arrival, *more)

    monkeypatch.setattr(module, "load", load)
    for name in "abc":
        inbox.put(f"{name}.csv", orders(f"{ord(name)},2026-01-01,1"))
    found = inbox.ingest()
    assert (found.new_files, [note.file for note in found.refused]) == (
        ("orders/a.csv", "orders/c.csv"),
        ["orders/b.csv"],
    )
    assert type(error).__name__ in found.refused[0].reason


def test_a_panic_of_a_library_is_a_fault_of_its_file_and_an_interruption_is_none() -> None:
    panic = type("PanicException", (BaseException,), {})
    assert refusal_reason("a.csv", panic("index out of bounds")).startswith(
        "a.csv: cannot be taken (PanicException: index"
    )
    for error in (KeyboardInterrupt(), SystemExit(1), DeclarationError("declared"), LakeError("written")):
        with pytest.raises(type(error)):
            refusal_reason("a.csv", error)
    with pytest.raises(LakeError, match=r"the machine has no room for it: .*No space left.*: free some, run again"):
        refusal_reason("a.csv", OSError(errno.ENOSPC, "No space left on device"))


def test_times_after_now_are_quarantined_by_name_and_say_nothing_of_how_far_a_feed_is_known(inbox: Inbox) -> None:
    times = ["2026-11-28", "2026-11-30T11:00:00", "2026-11-30T13:00:00", "2062-05-01", "9999-12-31T23:59:59-14:00"]
    inbox.put("a.csv", orders(*(f"{nr},{at},1" for nr, at in enumerate([*times, "0001-01-01"]))))
    found = ingest(inbox.lake, TABLE, inbox.spec, inbox.folder, now=NOW)
    assert sorted(row["id"] for row in inbox.rows()) == [0, 1, 5]
    assert (found.quarantined, found.latest) == (3, datetime(2026, 11, 28))
    future = "is in the future (now is 2026-11-29 12:00 UTC, and tolerance 1d)"
    assert any(reason == f"at: 2062-05-01 00:00:00 {future}" for reason in inbox.reasons())
    (file,) = ingests(inbox.lake, TABLE)
    assert (file.latest, file.reached) == (datetime(2026, 11, 30, 11), datetime(2026, 11, 28))
    assert (found.reasons[0].rows, "is in the future" in found.reasons[0].reason) == (2, True)


def test_planned_times_are_taken_with_a_tolerance_and_say_that_the_feed_lived_when_it_came(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2027-03-01,1"))
    found = ingest(inbox.lake, TABLE, inbox.with_(tolerance="365d"), inbox.folder, now=NOW)
    assert (found.rows, found.quarantined, found.latest) == (1, 0, NOW)


def _older(lake: Lake) -> None:
    """The ledger as releases before this one wrote it."""
    path = f"{lake.root}/{TABLE}_files"
    rows = DeltaTable(path).to_pyarrow_dataset().to_table().drop_columns(["delivered", "reached", "replaces", "undone"])
    write_deltalake(path, rows, mode="overwrite", schema_mode="overwrite")


def test_rows_of_the_future_in_an_older_table_do_not_count_either(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2026-11-20,1", "2,9999-12-31,1"))
    inbox.put("b.csv", orders("3,2026-11-10,1"))
    ingest(inbox.lake, TABLE, inbox.with_(tolerance="99999999h"), inbox.folder, now=NOW)
    _older(inbox.lake)
    assert max(file.reached for file in ingests(inbox.lake, TABLE) if file.reached) == datetime(9999, 12, 31)
    found = ingest(inbox.lake, TABLE, inbox.spec, inbox.folder, now=NOW)
    assert (found.latest, found.rows, found.new_files) == (datetime(2026, 11, 20), 3, ())
    reached = [(file.reached, file.latest) for file in ingests(inbox.lake, TABLE)]
    assert reached == [(datetime(2026, 11, 20), datetime(9999, 12, 31)), (datetime(2026, 11, 10),) * 2]


@pytest.mark.parametrize("day", [date(1, 1, 7), date(9999, 12, 26)])
def test_windows_at_the_ends_of_the_calendar_overflow_nothing(tiny: Tiny, day: date) -> None:
    rows = [{"customer": 1, "made_at": at, "amount": 1.0, "kind": "a"} for at in (datetime.min, datetime(9999, 1, 1))]  # noqa: DTZ901 - naive UTC
    tiny.append("orders", rows)
    for view in (tiny.view("SELECT customer FROM orders GROUP BY 1", lookback=timedelta(weeks=9)),
                 tiny.view("SELECT customer FROM orders GROUP BY 1", horizon=timedelta(weeks=9))):  # fmt: skip
        assert tiny.at(view, day) is not None


def test_a_source_without_rows_says_what_became_of_its_files(inbox: Inbox) -> None:
    assert without_rows(inbox.lake, TABLE) == "has no rows yet: deliver its files and run again"
    inbox.put("a.csv", orders("1,17/05/2026 00:24,1", "2,18/05/2026 10:24,1", "3,,1"))
    inbox.put("b.csv", orders("1,2026-01-01"))
    found = inbox.ingest()
    assert (found.rows, [reason.rows for reason in found.reasons]) == (0, [2, 1])
    said = without_rows(inbox.lake, TABLE)
    assert said.startswith("has no rows yet, though files were delivered: orders/b.csv: ")
    assert f"3 rows are in {TABLE}_quarantine: at: '17/05/2026 00:24' is not a timestamp" in said
    assert "(2 rows); at is null (1 rows)" in said
    assert (found.left[0].file, read_left(inbox.lake, TABLE)) == ("orders/b.csv", [*found.left])


def _served(folder: Path) -> ThreadingHTTPServer:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def addresses(tmp_path: Path) -> Any:
    """Addresses of one folder with a file `a.csv` and one that is no CSV."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.csv").write_text(orders("1,2026-01-01,1"))
    (tmp_path / "archive" / "b.csv").write_bytes(b"\x00\x01")
    memory = fsspec.filesystem("memory")
    for path in (tmp_path / "archive").iterdir():
        memory.pipe(f"/archive/{path.name}", path.read_bytes())
    server = _served(tmp_path)
    yield {
        "file": f"file://{tmp_path}/archive/*.csv",
        "memory": "memory://archive/*.csv",
        "http": f"http://127.0.0.1:{server.server_port}/archive/*.csv",
    }
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["file", "memory", "http"])
def test_files_may_be_a_url_of_any_store(inbox: Inbox, addresses: dict[str, str], kind: str) -> None:
    spec = inbox.with_(files=addresses[kind])
    for _ in range(2):
        found = ingest(inbox.lake, TABLE, spec, None, now=NOW)
        assert (found.rows, [Path(note.file).name for note in found.refused]) == (1, ["b.csv"])


def test_a_store_that_is_away_or_unknown_is_named(inbox: Inbox) -> None:
    for files, why in {
        "http://127.0.0.1:9/*.csv": "cannot be listed",
        "nowhere://x/*.csv": "Protocol not known",
    }.items():
        with pytest.raises(DataError, match=why):
            ingest(inbox.lake, TABLE, inbox.with_(files=files), None)
