"""Each content once: whatever its name, in whatever order, however often, and whenever the process dies."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.ingest import content, ingest, ledger
from ml_assets.ingest.ingest import ingests
from ml_assets_tests.ingest.conftest import TABLE, Inbox, orders

DAY = datetime(2025, 1, 1)  # noqa: DTZ001 - stored naive
Make = Callable[[str], Inbox]
_CONTENTS = [
    orders(*(f"{nr * 10 + i},2025-01-{nr + 1:02},{'x' if i == 2 else i}" for i in range(nr + 1))) for nr in range(5)
]
_STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 3), st.integers(0, 4)),
    st.tuples(st.just("remove"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("rename"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("ingest"), st.just(0), st.just(0)),
)


def _play(inbox: Inbox, steps: list[tuple[str, int, int]]) -> set[int]:
    """The contents that lay in the drop zone when an ingest ran."""
    lying: dict[int, int] = {}
    taken: set[int] = set()
    for verb, name, other in [*steps, ("ingest", 0, 0)]:
        path = inbox.folder / "orders" / f"{name}.csv"
        if verb == "put":
            inbox.put(path.name, _CONTENTS[other])
            lying[name] = other
        elif verb == "ingest":
            inbox.ingest(on_change="append")
            taken |= set(lying.values())
        elif name in lying and verb == "remove":
            path.unlink()
            del lying[name]
        elif name in lying and name != other:
            path.rename(path.with_name(f"{other}.csv"))
            lying[other] = lying.pop(name)
    return taken


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEP, max_size=8))
def test_every_content_is_in_the_lake_once_whatever_happens_to_its_names(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    inbox = Inbox(tmp_path_factory.mktemp("play"))
    taken = _play(inbox, steps)
    expected = [nr * 10 + i for nr in taken for i in range(nr + 1)]
    assert sorted(row["id"] for row in inbox.rows()) == sorted(id_ for id_ in expected if id_ % 10 != 2)
    assert len(inbox.rows("_quarantine")) == sum(id_ % 10 == 2 for id_ in expected)
    assert len(inbox.rows("_files")) == len(taken)


def test_the_order_of_arrival_does_not_matter(inboxes: Make) -> None:
    forth, back = inboxes("forth"), inboxes("back")
    for inbox, order in ((forth, [0, 1, 2, 3]), (back, [3, 2, 1, 0])):
        for nr in order:
            inbox.put(f"{nr}.csv", _CONTENTS[nr])
            inbox.ingest()
    for suffix in ("", "_quarantine", "_files"):
        assert forth.rows(suffix) == back.rows(suffix)


def test_the_same_content_in_one_run_counts_once(inbox: Inbox) -> None:
    inbox.put("a.csv", _CONTENTS[1])
    inbox.put("b.csv", _CONTENTS[1])
    found = inbox.ingest()
    assert (found.new_files, found.rows) == (("orders/a.csv",), 2)


def test_an_empty_drop_zone_makes_no_table(inbox: Inbox) -> None:
    found = inbox.ingest()
    assert (found.version, found.files, found.latest, ingests(inbox.lake, TABLE)) == (None, 0, None, [])


def test_an_ingest_without_new_files_changes_no_table(inbox: Inbox) -> None:
    inbox.put("a.csv", _CONTENTS[2])
    first = inbox.ingest()
    versions = [inbox.lake.version(TABLE + suffix) for suffix in ("", "_quarantine", "_files")]
    again = inbox.ingest()
    assert [inbox.lake.version(TABLE + suffix) for suffix in ("", "_quarantine", "_files")] == versions
    assert (again.new_files, again.touched, again.accepted) == ((), (), 0)
    assert (again.rows, again.in_quarantine, again.latest) == (first.rows, first.in_quarantine, first.latest)


def test_the_report_is_plain_json(inbox: Inbox) -> None:
    inbox.put("a.csv", _CONTENTS[2])
    found = inbox.ingest().as_json()
    assert (found["table"], found["latest"], found["new_files"]) == (
        TABLE,
        "2025-01-03T00:00:00",
        ["orders/a.csv"],
    )


def test_a_file_of_nothing_but_bad_rows_is_committed_and_touches_nothing(inbox: Inbox) -> None:
    inbox.put("a.csv", orders("1,2025-01-01,x"))
    found = inbox.ingest(columns={"amount": "double", "id": "integer"})
    assert (found.files, found.rows, found.in_quarantine, found.touched) == (1, 0, 1, ())
    assert inbox.ingest().new_files == ()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".ndjson", ".ndjson.gz", ".parquet"])
def test_every_format_gives_the_same_rows(inbox: Inbox, suffix: str) -> None:
    at = pa.array([DAY, DAY + timedelta(days=1)], pa.timestamp("us"))
    table = pa.table({"id": [1, 2], "at": at, "amount": [1.5, None]})
    json = '{"id": 1, "at": "2025-01-01", "amount": 1.5}\n\n{"id": 2, "at": "2025-01-02", "amount": null}\n'
    text = (json if "json" in suffix else orders("1,2025-01-01,1.5", "2,2025-01-02,")).encode()
    path = inbox.put(f"a{suffix}", gzip.compress(text) if suffix.endswith("gz") else text)
    if suffix == ".parquet":
        pq.write_table(table, path)
    inbox.ingest()
    assert inbox.rows() == sorted(table.to_pylist(), key=str)


def test_a_url_of_fsspec_is_read_like_a_folder(inbox: Inbox) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/drop/a.csv", _CONTENTS[1].encode())
    spec = inbox.with_(files="memory://drop/*.csv")
    assert ingest.ingest(inbox.lake, TABLE, spec, None).new_files == ("/drop/a.csv",)
    assert ingest.ingest(inbox.lake, TABLE, spec, None).new_files == ()


def test_progress_names_each_file_that_may_be_new(inbox: Inbox) -> None:
    for nr in range(3):
        inbox.put(f"{nr}.csv", _CONTENTS[nr])
    seen: list[tuple[int, int, str]] = []
    ingest.ingest(inbox.lake, TABLE, inbox.spec, inbox.folder, lambda *step: seen.append(step))
    assert seen == [(nr, 3, f"orders/{nr}.csv") for nr in range(3)]


def test_many_small_files_share_a_transaction(inbox: Inbox) -> None:
    """The first one gives the table its shape and stands alone."""
    for nr in range(5):
        inbox.put(f"{nr}.csv", _CONTENTS[nr])
    inbox.ingest()
    assert inbox.lake.version(TABLE) == 2  # the empty table, and two transactions


def test_a_scattered_ledger_is_gathered_and_says_the_same(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_SCATTERED", 2)
    for nr in range(5):
        inbox.put(f"{nr}.csv", _CONTENTS[nr])
        inbox.ingest()
    before = inbox.rows("_files")
    inbox.ingest()
    assert len(inbox.lake.files(f"{TABLE}_files")) <= 2
    assert (inbox.rows("_files"), len(ingests(inbox.lake, TABLE))) == (before, 5)


def test_a_lost_ledger_is_written_again_and_no_row_twice(inbox: Inbox) -> None:
    import shutil

    inbox.put("a.csv", _CONTENTS[1])
    inbox.ingest()
    shutil.rmtree(Path(inbox.lake.root) / f"{TABLE}_files")
    assert inbox.ingest().rows == 2
    assert len(inbox.rows()) == 2


def test_a_large_file_streams_through_batches(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a batch of rows a file is kept on disk; the numbers of its rows go on from batch to batch."""
    from ml_assets.ingest import row_buffer

    monkeypatch.setattr(content, "BATCH", 100)
    monkeypatch.setattr(row_buffer, "BATCH", 100)
    monkeypatch.setattr(ingest, "BATCH", 100)
    rows = [{"id": i, "at": DAY, "amount": "x" if i % 7 == 3 else str(i)} for i in range(1000)]
    pq.write_table(pa.Table.from_pylist(rows), inbox.folder / "orders" / "a.parquet")
    inbox.put("b.csv", _CONTENTS[0].replace("0,2025", "5000,2025"))
    found = inbox.ingest()
    assert sorted(row["id"] for row in inbox.rows()) == [*(i for i in range(1000) if i % 7 != 3), 5000]
    assert sorted(row["position"] for row in inbox.rows("_quarantine")) == [i + 1 for i in range(1000) if i % 7 == 3]
    assert found.rows + found.in_quarantine == 1001


# Two files a batch, so that a kill can hit between batches. It imports no conftest: that takes longer than its work.
_CHILD = f"""
import sys
from pathlib import Path
from ml_assets.ingest import ingest
from ml_assets.storage.lake import Lake
from ml_assets.spec.source import SourceSpec
ingest._FILES = 2
spec = SourceSpec.model_validate_json(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
ingest.ingest(Lake(sys.argv[1]), {TABLE!r}, spec, sys.argv[2])
"""


def _start(inbox: Inbox) -> "subprocess.Popen[str]":
    arguments = [inbox.lake.root, str(inbox.folder), inbox.spec.model_dump_json()]
    command = [sys.executable, "-c", _CHILD, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    return child


def _go(child: "subprocess.Popen[str]") -> None:
    assert child.stdin
    child.stdin.write("\n")
    child.stdin.flush()


def _end(child: "subprocess.Popen[str]") -> int:
    code = child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()
    return code


def _fill(inbox: Inbox) -> None:
    for nr in range(6):
        lines = [f"{nr * 1000 + i},2025-01-{nr + 1:02},{'x' if i % 50 == 2 else i}" for i in range(400)]
        inbox.put(f"{nr}.csv", orders(*lines))


def _state(inbox: Inbox) -> list[list[dict[str, Any]]]:
    return [inbox.rows(suffix) for suffix in ("", "_quarantine", "_files")]


def _log(suffix: str, version: int) -> str:
    return f"{TABLE}{suffix}/_delta_log/{version:020}.json"


_MOMENTS = [
    *(_log(suffix, version) for version in range(4) for suffix in ("_files", "_quarantine", "")),
    f"{TABLE}/*.parquet",
    f"{TABLE}_quarantine/*.parquet",
    "_locks/*.lock",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What is there when nobody is killed."""
    inbox = Inbox(tmp_path_factory.mktemp("whole"))
    _fill(inbox)
    inbox.ingest()
    return _state(inbox)


@pytest.mark.slow
@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_kill_at_any_moment_then_again_ends_in_the_same_rows(
    inboxes: Make, whole: list[list[dict[str, Any]]], moment: str
) -> None:
    killed = inboxes("killed")
    _fill(killed)
    child = _start(killed)
    _go(child)
    deadline = time.monotonic() + 60
    while not list(Path(killed.lake.root).glob(moment)) and child.poll() is None and time.monotonic() < deadline:
        pass
    os.kill(child.pid, signal.SIGKILL)
    assert _end(child) == -signal.SIGKILL  # it was still at work
    killed.ingest()
    assert _state(killed) == whole
    assert len(killed.rows()) == 6 * 392


@pytest.mark.slow
def test_what_a_crash_left_does_not_count_and_is_removed(inbox: Inbox) -> None:
    """The file that was being read when the process died is gone: nothing of it may remain."""
    _fill(inbox)
    child = _start(inbox)
    _go(child)
    while not list(Path(inbox.lake.root).glob(_log("_quarantine", 2))) and child.poll() is None:
        pass
    os.kill(child.pid, signal.SIGKILL)
    assert _end(child) == -signal.SIGKILL  # it was still at work
    for path in (inbox.folder / "orders").iterdir():
        path.unlink()
    counted = {ingest_.sha for ingest_ in ingests(inbox.lake, TABLE)}
    inbox.ingest()
    rows = inbox.lake.query("SELECT DISTINCT _file FROM t", t=TABLE)["_file"].to_pylist()
    assert set(rows) == counted
    assert {row["_file"] for row in inbox.rows("_quarantine")} == counted
    assert {row["_file"] for row in inbox.rows("_files")} == counted


@pytest.mark.slow
def test_processes_that_ingest_the_same_files_at_once_take_each_once(
    inboxes: Make, whole: list[list[dict[str, Any]]]
) -> None:
    shared = inboxes("shared")
    _fill(shared)
    children = [_start(shared) for _ in range(3)]
    for child in children:
        _go(child)
    assert [_end(child) for child in children] == [0, 0, 0]
    assert _state(shared) == whole


@pytest.mark.slow
def test_nothing_new_imports_no_great_expectations(inbox: Inbox) -> None:
    _fill(inbox)
    positive = {"type": "expect_column_values_to_be_between", "column": "amount", "min_value": 0}
    inbox.spec = inbox.with_(expectations=[positive])
    inbox.ingest()
    code = _CHILD.replace("ingest.ingest(", "found = ingest.ingest(") + (
        "assert found.rows == 6 * 392 and found.expectations[0].files == 6\n"
        "assert 'great_expectations' not in sys.modules\n"
    )
    arguments = [inbox.lake.root, str(inbox.folder), inbox.spec.model_dump_json()]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], input="\n", text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
