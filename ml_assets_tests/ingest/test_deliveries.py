"""A path that is delivered again with other bytes: held back, or taken as the source declares; and taken back."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.errors import DataError
from ml_assets.ingest import ingest as module
from ml_assets.ingest import ledger
from ml_assets.ingest.corrections import visible_rows as seen_at
from ml_assets.ingest.deliveries import standing_deliveries
from ml_assets.ingest.ingest import ingests
from ml_assets.ingest.keyed import Keyed
from ml_assets.ingest.left_files import without_rows
from ml_assets.ingest.report import Ingested
from ml_assets.ingest.undo_delivery import last_delivery, undo
from ml_assets.storage.lake import Lake, Rows
from ml_assets_tests.conftest import shared
from ml_assets_tests.ingest.conftest import TABLE, Inbox, orders

FIRST, DAY = datetime(2026, 3, 1, 12), timedelta(days=1)
OLD, NEW = orders("1,2026-01-01,5", "2,2026-01-02,x", "3,2026-01-03,7"), orders("1,2026-01-01,50", "4,2026-01-04,9")


def ids(inbox: Inbox) -> list[int]:
    return sorted(row["id"] for row in inbox.rows())


def deliver(inbox: Inbox, day: int, **changes: Any) -> Ingested:
    from ml_assets.ingest.ingest import ingest

    return ingest(inbox.lake, TABLE, inbox.with_(**changes), inbox.folder, now=FIRST + day * DAY)


def shown(inbox: Inbox, end: datetime) -> list[str]:
    """The paths whose rows a window that ends at `end` sees."""
    stands = standing_deliveries(ledger.committed_entries(inbox.lake, TABLE)).values()
    return sorted(Path(one.entry.path).name for one in stands if one.holds(end))


def test_other_bytes_under_a_known_path_are_held_back_and_named(inbox: Inbox) -> None:
    inbox.put("a.csv", OLD)
    deliver(inbox, 0)
    inbox.put("a.csv", NEW)
    inbox.put("b.csv", orders("9,2026-01-09,1"))
    for day in (1, 2):
        found = deliver(inbox, day)
        assert [note.file for note in found.refused] == ["orders/a.csv"]
        assert "was read before and now holds other bytes, so it is held back" in found.refused[0].reason
        assert "`on_change: replace`" in found.refused[0].reason
    assert ids(inbox) == [1, 3, 9]
    inbox.put("a.csv", OLD)
    assert (deliver(inbox, 3).refused, ids(inbox)) == ((), [1, 3, 9])


def test_a_file_of_which_no_row_was_accepted_may_be_repaired_in_its_place(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2062-02-01,5"))
    assert deliver(inbox, 0).quarantined == 1
    inbox.put("a.csv", orders("1,2026-02-01,5"))
    assert (deliver(inbox, 1).refused, ids(inbox)) == ((), [1])


def test_appended_rows_come_on_top_and_replacing_ones_in_their_place(inbox: Inbox) -> None:
    inbox.put("a.csv", OLD)
    deliver(inbox, 0)
    inbox.put("a.csv", NEW)
    found = deliver(inbox, 1, on_change="replace")
    assert (found.accepted, found.rows, found.refused) == (2, 4, ())
    kept = {
        Path(one.entry.path).name: one.entry.sha
        for one in standing_deliveries(ledger.committed_entries(inbox.lake, TABLE)).values()
    }
    before, after = FIRST + DAY, FIRST + DAY + timedelta(microseconds=1)
    files = ingests(inbox.lake, TABLE)
    assert [file.sha for file in files if file.touches(None, before)] == [files[0].sha]
    assert [file.sha for file in files if file.touches(None, after)] == [files[1].sha] == [kept["a.csv"]]
    inbox.put("a.csv", orders("7,2026-01-07,1"))
    assert deliver(inbox, 2, on_change="append").accepted == 1
    seen = [file.sha for file in ingests(inbox.lake, TABLE) if file.touches(None, FIRST + 3 * DAY)]
    assert (len(seen), seen[0]) == (2, kept["a.csv"])


def test_a_content_that_comes_back_is_seen_again_and_its_rows_are_there_once(inbox: Inbox) -> None:
    for day, content in enumerate([OLD, NEW, OLD]):
        inbox.put("a.csv", content)
        deliver(inbox, day, on_change="replace")
    files = ingests(inbox.lake, TABLE)
    seen = [[file.touches(None, FIRST + day * DAY + timedelta(hours=1)) for file in files] for day in range(4)]
    assert seen == [[True, False], [False, True], [True, False], [True, False]]
    assert ids(inbox) == [1, 1, 3, 4]


def test_what_is_taken_back_leaves_no_row_and_stays_away_until_it_is_delivered_again(inbox: Inbox) -> None:
    path = inbox.put("a.csv", OLD)
    inbox.put("b.csv", orders("8,2026-01-08,1", "9,2026-01-09,y"))
    deliver(inbox, 0)
    inbox.put("copy.csv", OLD)
    found = undo(inbox.lake, TABLE, inbox.spec, inbox.folder, "a.csv")
    assert (found.file, found.rows, found.quarantined, found.restored) == ("orders/a.csv", 2, 1, ())
    assert (ids(inbox), len(inbox.rows("_quarantine"))) == ([8], 1)
    again = deliver(inbox, 1)
    assert (again.new_files, again.files, again.rows, again.in_quarantine) == ((), 1, 1, 1)
    with pytest.raises(DataError, match=r"no delivery 'a\.csv' that stands: the last ones are orders/b\.csv"):
        last_delivery(inbox.lake, TABLE, "a.csv")
    os.utime(path, (1, 1))
    assert (deliver(inbox, 2).new_files, ids(inbox)) == (("orders/a.csv",), [1, 3, 8])
    assert len(inbox.rows("_quarantine")) == 2
    undo(inbox.lake, TABLE, inbox.spec, inbox.folder, "a.csv")
    assert (ids(inbox), len(inbox.rows("_quarantine"))) == ([8], 1)


def test_a_correction_that_is_taken_back_gives_what_it_replaced_back(inbox: Inbox) -> None:
    inbox.put("a.csv", OLD)
    deliver(inbox, 0)
    before = ingests(inbox.lake, TABLE)
    inbox.put("a.csv", NEW)
    deliver(inbox, 1, on_change="replace")
    assert last_delivery(inbox.lake, TABLE, "orders/a.csv").restored == ("orders/a.csv",)
    undo(inbox.lake, TABLE, inbox.spec, inbox.folder, "orders/a.csv")
    assert (ingests(inbox.lake, TABLE), ids(inbox)) == (before, [1, 3])
    assert deliver(inbox, 2, on_change="replace").new_files == ()


def test_a_file_is_named_without_doubt(inbox: Inbox) -> None:
    for folder in ("x", "y"):
        (inbox.folder / "orders" / folder).mkdir()
        inbox.put(f"{folder}/a.csv", orders(f"{ord(folder)},2026-01-01,1"))
    spec = {"files": "orders/*/*.csv"}
    deliver(inbox, 0, **spec)
    with pytest.raises(DataError, match=r"'a\.csv' may be orders/x/a\.csv or orders/y/a\.csv"):
        last_delivery(inbox.lake, TABLE, "a.csv")
    assert last_delivery(inbox.lake, TABLE, "x/a.csv").file == "orders/x/a.csv"
    for folder in ("x", "y"):
        undo(inbox.lake, TABLE, inbox.with_(**spec), inbox.folder, f"{folder}/a.csv")
    assert "orders/y/a.csv: was taken back, touch it to deliver it again" in without_rows(inbox.lake, TABLE)


_CHILD = f"""
import sys
from datetime import datetime
from ml_assets.storage.lake import Lake
from ml_assets.ingest import ingest, undo_delivery
from ml_assets.spec.source import SourceSpec
spec, lake = SourceSpec.model_validate_json(sys.argv[3]), Lake(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[4] == "undo":
    undo_delivery.undo(lake, {TABLE!r}, spec, sys.argv[2], "a.csv")
else:
    ingest.ingest(lake, {TABLE!r}, spec, sys.argv[2], now=datetime.fromisoformat(sys.argv[4]))
"""


def _killed(inbox: Inbox, what: str, moment: str) -> None:
    """Do something in another process and kill it as soon as a file appears; it may be done by then."""
    command = [sys.executable, "-c", _CHILD, inbox.lake.root, str(inbox.folder), inbox.spec.model_dump_json(), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdin
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("\n")
        child.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(Path(inbox.lake.root).glob(moment)) and child.poll() is None and time.monotonic() < deadline:
            pass
        os.kill(child.pid, signal.SIGKILL)


def _log(inbox: Inbox, suffix: str, ahead: int = 1) -> str:
    """The log entry that the next write, or the one after it, of a table leaves."""
    version = inbox.lake.version(TABLE + suffix)
    return f"{TABLE}{suffix}/_delta_log/{(-1 if version is None else version) + ahead:020}.json"


@pytest.mark.slow
@pytest.mark.parametrize("change", ["replace", "append"])
@pytest.mark.parametrize("moment", ["_files", "_quarantine", ""])
def test_a_redelivery_that_is_killed_and_run_again_ends_as_if_it_had_not_been(
    inbox: Inbox, moment: str, change: str
) -> None:
    inbox.spec = inbox.with_(on_change=change, key=["id"])
    inbox.put("a.csv", OLD)
    deliver(inbox, 0)
    inbox.put("a.csv", NEW + "5,2026-01-05,z\n")
    inbox.put("c.csv", orders("4,2026-01-04,10"))
    _killed(inbox, (FIRST + DAY).isoformat(), _log(inbox, moment))
    found = deliver(inbox, 1)
    assert (found.refused, ids(inbox), found.in_quarantine) == ((), [1, 1, 3, 4, 4], 2)
    assert len(inbox.rows("_quarantine")) == 2
    end = FIRST + 2 * DAY
    assert shown(inbox, end) == ["a.csv", *(["a.csv"] if change == "append" else []), "c.csv"]
    assert shown(inbox, FIRST + timedelta(hours=1)) == ["a.csv", *(["a.csv"] if change == "append" else []), "c.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["_files", "", "_quarantine"])
def test_a_delivery_whose_undoing_is_killed_is_there_or_gone_as_a_whole(inbox: Inbox, moment: str) -> None:
    inbox.put("a.csv", OLD)
    inbox.put("b.csv", orders("8,2026-01-08,1", "9,2026-01-09,y"))
    deliver(inbox, 0)
    _killed(inbox, "undo", _log(inbox, moment))
    found = deliver(inbox, 1)
    assert found.new_files == ()
    there = found.files == 2
    assert (ids(inbox), found.rows, found.in_quarantine) == (([1, 3, 8], 3, 2) if there else ([8], 1, 1))
    assert len(inbox.rows("_quarantine")) == found.in_quarantine
    assert there == (moment == "_files") or moment == ""
    if there:
        undo(inbox.lake, TABLE, inbox.spec, inbox.folder, "a.csv")
    assert (ids(inbox), len(inbox.rows("_quarantine"))) == ([8], 1)


class Killed(BaseException):
    """What ends a process, as far as its code can see."""


class Dying(Lake):
    """A lake whose process is killed when it would write its table for the third time."""

    def append(self, table: str, rows: Rows, *, records: Mapping[str, int] | None = None) -> int:
        if table == TABLE and self.version(TABLE) == 2:  # the empty table, two batches
            raise Killed
        return super().append(table, rows, records=records)


@pytest.mark.parametrize(("later", "seen"), [(timedelta(hours=3), [3.0, 9.0]), (timedelta(days=3), [1.0, 2.0])])
def test_a_delivery_that_was_killed_and_goes_on_soon_is_one_delivery(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, later: timedelta, seen: list[float]
) -> None:
    """Within a delivery the row that happened last is in force at once; a later delivery counts from then on."""
    monkeypatch.setattr(module, "_FILES", 1)
    for name, row in zip("abcd", ["1,2026-01-01,1", "2,2026-01-01,2", "1,2026-01-02,3", "2,2026-01-02,9"], strict=True):
        inbox.put(f"{name}.csv", orders(row))
    keyed = Keyed(TABLE, "at", None, ("id",))
    spec, lake = inbox.with_(key=["id"]), Dying(inbox.lake.root, shared)
    with pytest.raises(Killed):
        module.ingest(lake, TABLE, spec, inbox.folder, now=FIRST)
    module.ingest(inbox.lake, TABLE, spec, inbox.folder, now=FIRST + later)
    with inbox.lake.connect() as connection:
        rows = seen_at(inbox.lake, connection, keyed, (None, datetime(2026, 2, 1)))
        found = connection.sql(f"SELECT amount FROM {rows} ORDER BY id").fetchall()
    assert [row[0] for row in found] == seen
