"""A write and its record are one transaction, whoever writes beside it and whenever it is killed."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import json
import math
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import LakeError
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.timestamps import FIRST, LAST

DAYS = [date(2025, 1, 5) + timedelta(days=7 * i) for i in range(4)]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def rows(days: list[date], value: int = 0) -> pa.Table:
    return pa.table({"as_of": pa.array(days, pa.date32()), "value": pa.array([value] * len(days), pa.int64())})


def values(lake: Lake, table: str = "t") -> dict[date, list[int]]:
    found = lake.query("SELECT as_of, list(value ORDER BY value) AS v FROM t GROUP BY as_of ORDER BY as_of", t=table)
    return dict(zip(found["as_of"].to_pylist(), found["v"].to_pylist(), strict=True))


def test_what_is_not_there_is_none_or_an_error_that_names_it(lake: Lake) -> None:
    assert lake.version("a/b") is None
    assert lake.record("a/b", "x") is None
    assert lake.records("a/b", ["x"]) == {}
    with pytest.raises(LakeError, match=r"no table a/b below .*: materialize the asset first"):
        lake.files("a/b")


def test_an_append_with_the_same_records_is_done_once(lake: Lake) -> None:
    for _ in range(3):
        assert lake.append("t", rows(DAYS[:1]), records={"batch": 7, "file": 1}) == 1
    assert values(lake) == {DAYS[0]: [0]}
    assert lake.append("t", rows(DAYS[:1]), records={"batch": 8, "file:2": 1}) == 2
    assert lake.records("t", ["batch", "file", "file:2", "other"]) == {"batch": 8, "file": 1, "file:2": 1}


def test_an_append_of_which_a_part_was_done_is_refused(lake: Lake) -> None:
    lake.append("t", rows(DAYS[:1]), records={"file:1": 1})
    with pytest.raises(LakeError, match="another process committed file:1 already; run again"):
        lake.append("t", rows(DAYS[:1]), records={"file:1": 1, "file:2": 1})
    assert values(lake) == {DAYS[0]: [0]}


def test_replace_touches_only_its_dates(lake: Lake) -> None:
    lake.replace("t", rows(DAYS, 1), values=DAYS, records={str(day): 1 for day in DAYS})
    lake.replace("t", rows(DAYS[1:3], 2), values=DAYS[1:3], records={str(day): 2 for day in DAYS[1:3]})
    assert values(lake) == dict(zip(DAYS, ([1], [2], [2], [1]), strict=True))
    assert lake.records("t", [str(day) for day in DAYS]) == dict(zip(map(str, DAYS), (1, 2, 2, 1), strict=True))


def test_replace_by_nothing_empties_its_dates(lake: Lake) -> None:
    lake.replace("t", rows(DAYS, 1), values=DAYS)
    lake.replace("t", rows([]), values=DAYS[:2])
    assert [*values(lake)] == DAYS[2:]


def test_every_version_stays_readable(lake: Lake) -> None:
    versions = [lake.replace("t", rows(DAYS[:1], value), values=DAYS[:1]) for value in range(3)]
    for value, version in enumerate(versions):
        with lake.connect() as connection:
            found = connection.sql(f"SELECT value FROM {lake.relation(connection, 't', version)}").fetchall()
        assert found == [(value,)]


def test_a_schema_grows_and_older_rows_have_nulls(lake: Lake) -> None:
    lake.append("t", pa.table({"a": [1]}))
    lake.append("t", pa.table({"a": [2], "b": ["x"]}))
    lake.append("t", pa.table({"a": [3]}))
    assert lake.schema("t").names == ["a", "b"]
    found = lake.query("SELECT a, b FROM t ORDER BY a", t="t").to_pylist()
    assert found == [{"a": 1, "b": None}, {"a": 2, "b": "x"}, {"a": 3, "b": None}]


def test_a_window_before_a_column_came_has_it_with_its_type(lake: Lake) -> None:
    lake.append("t", pa.table({"at": [START]}))
    lake.append("t", pa.table({"at": [START + timedelta(days=90)], "late": [0.5]}))
    with lake.connect() as connection:
        early = lake.relation(connection, "t", within=("at", None, START + timedelta(days=1)))
        found = connection.sql(f"SELECT * FROM {early}").to_arrow_table()
    assert found.to_pylist() == [{"at": START, "late": None}]
    assert found.schema.field("late").type == pa.float64()


def test_an_empty_table_has_its_columns(lake: Lake) -> None:
    lake.replace("t", rows([]), values=DAYS)
    assert lake.query("SELECT * FROM t", t="t").schema.names == ["as_of", "value"]
    assert lake.query("SELECT count(*) AS n FROM t", t="t").to_pylist() == [{"n": 0}]


@pytest.mark.parametrize("name", ["it's", "semi;colon", "x=1", *["a b", "100%", 'the "best"', "ünï"]])
def test_a_table_and_a_column_may_have_any_name(lake: Lake, name: str) -> None:
    table: dict[str, Any] = {name: f"t/{name}"}
    lake.append(f"t/{name}", pa.table({name: [1]}))
    assert lake.query(f"SELECT {quote(name)} AS x FROM {quote(name)}", **table).to_pylist() == [{"x": 1}]


@pytest.mark.parametrize("folder", ["it's", *["a b", "ünï", "env=prod"]])
def test_a_lake_may_lie_anywhere(tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder))
    lake.replace("t", rows(DAYS, 1), values=DAYS)
    assert lake.query("SELECT * FROM t ORDER BY as_of LIMIT 1", t="t").to_pylist() == [{"value": 1, "as_of": DAYS[0]}]


def test_files_come_in_the_order_in_which_they_were_written(lake: Lake) -> None:
    written: list[str] = []
    for value in range(8):
        lake.append("t", rows(DAYS[:1], value))
        written += [file for file in lake.files("t") if file not in written]
        time.sleep(0.002)  # Delta notes the time of a file in milliseconds
    assert lake.files("t") == written
    assert lake.files("t", 4) == written[:4]  # version 0 is the empty table
    assert lake.query("SELECT value FROM t", t="t")["value"].to_pylist() == list(range(8))


START = datetime(2025, 1, 1)
moments = st.timedeltas(timedelta(0), timedelta(seconds=3)).map(lambda after: START + after)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.lists(st.none() | moments, min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.tuples(st.none() | moments, moments), min_size=1, max_size=8),
)
def test_within_never_leaves_out_a_row_of_the_window(
    files: list[list[datetime | None]], windows: list[tuple[datetime | None, datetime]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for times in files:
            lake.append("t", pa.table({"at": pa.array(times, pa.timestamp("us"))}))
        for start, end in windows:
            with lake.connect() as connection:
                relation = lake.relation(connection, "t", within=("at", start, end))
                found = {row[0] for row in connection.sql(f'SELECT "at" FROM {relation}').fetchall()}
            inside = {t for times in files for t in times if t and t < end and (start is None or t >= start)}
            assert inside <= found


def test_within_leaves_out_files_far_from_the_window(lake: Lake) -> None:
    for day in range(5):
        lake.append("t", pa.table({"at": [START + timedelta(days=day, hours=1)]}))
    window = ("at", START + timedelta(days=1), START + timedelta(days=3))
    assert lake.files("t", within=window) == lake.files("t")[1:3]
    assert lake.files("t", within=("at", None, START)) == []


@given(st.text(min_size=1, alphabet=st.sampled_from("a'\"; -")))
def test_names_and_literals_are_quoted(text: str) -> None:
    assert quote(text)[1:-1].replace('""', "") == text.replace('"', "")
    assert literal(text)[1:-1].replace("''", "") == text.replace("'", "")


def test_a_fingerprint_is_the_same_forever_and_fits_a_record(lake: Lake) -> None:
    number = fingerprint_of("a", 1, date(2025, 1, 1))
    assert number == 6908828945499246636
    lake.append("t", rows(DAYS), records={"x": 2**63 - 1})
    assert lake.record("t", "x") == 2**63 - 1


def _together(work: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[str]:
    """What processes that start at one moment say."""
    barrier, said = SPAWN.Barrier(len(arguments)), SPAWN.Queue()
    running = [SPAWN.Process(target=work, args=(barrier, said, *each)) for each in arguments]
    for process in running:
        process.start()
    answers = [said.get(timeout=60) for _ in running]
    for process in running:
        process.join()
    return answers


def _replace(barrier: Barrier, said: Any, root: str, days: list[date], value: int) -> None:
    lake = Lake(root)
    barrier.wait()
    try:
        lake.replace("t", rows(days, value), values=days, records={str(day): value for day in days})
        said.put("done")
    except LakeError as error:
        said.put(str(error))


class Overtaken(Lake):
    """A lake in which another process writes right after this one saw that there is no table."""

    def _load(self, table: str, version: int | None = None) -> DeltaTable | None:
        found = super()._load(table, version)
        if found is None:
            Lake(self.root).replace(table, rows(DAYS, 1), values=DAYS)
        return found


def test_a_replace_that_is_overtaken_on_a_new_table_still_replaces(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    Overtaken(lake.root).replace("t", rows(DAYS, 2), values=DAYS)
    assert values(lake) == {day: [2] for day in DAYS}


@pytest.mark.slow
@pytest.mark.parametrize("new", [False, True], ids=["old table", "new table"])
def test_processes_that_replace_the_same_dates_at_once_leave_the_rows_of_one(tmp_path: Path, *, new: bool) -> None:
    lake = Lake(str(tmp_path))
    if not new:
        lake.replace("t", rows(DAYS, 0), values=DAYS)
    assert _together(_replace, [(lake.root, DAYS, value) for value in (1, 2)]) == ["done"] * 2
    found = values(lake)
    assert found in ({day: [1] for day in DAYS}, {day: [2] for day in DAYS})
    assert set(lake.records("t", [str(day) for day in DAYS]).values()) == {*found[DAYS[0]]}


@pytest.mark.slow
def test_processes_that_replace_different_dates_at_once_lose_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert _together(_replace, [(lake.root, [DAYS[i]], i) for i in range(3)]) == ["done"] * 3
    assert values(lake) == {DAYS[i]: [i] for i in range(3)}


def _write_for_ever(barrier: Barrier, said: Any, root: str) -> None:
    lake = Lake(root)
    Lake(f"{root}/elsewhere").append("t", rows(DAYS, 0))  # imports what a write needs: seconds on a busy machine
    barrier.wait()
    said.put("started")
    while True:
        value = (lake.record("t", "replaced") or 0) + 1
        lake.replace("t", rows(DAYS, value), values=DAYS, records={"replaced": value})
        value = (lake.record("log", "appended") or 0) + 1
        lake.append("log", rows(DAYS[:1], value), records={"appended": value})


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_writes_with_their_records(tmp_path: Path) -> None:
    lake, chance = Lake(str(tmp_path)), random.Random(7)  # noqa: S311 - moments to kill at
    for _ in range(8):
        barrier, said = SPAWN.Barrier(1), SPAWN.Queue()
        process = SPAWN.Process(target=_write_for_ever, args=(barrier, said, lake.root))
        process.start()
        said.get(timeout=60)
        time.sleep(0.3 + chance.random())
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        if (number := lake.record("t", "replaced")) is not None:
            assert values(lake) == {day: [number] for day in DAYS}
        if (number := lake.record("log", "appended")) is not None:
            assert values(lake, "log")[DAYS[0]] == list(range(1, number + 1))
    assert (lake.record("t", "replaced") or 0) > 8


def _hold(barrier: Barrier, said: Any, root: str) -> None:
    with Lake(root).lock("churn/model"):
        barrier.wait()
        said.put("held")
        time.sleep(600)


@pytest.mark.slow
def test_a_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    barrier, said = SPAWN.Barrier(1), SPAWN.Queue()
    process = SPAWN.Process(target=_hold, args=(barrier, said, str(tmp_path)))
    process.start()
    assert said.get(timeout=60) == "held"
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with Lake(str(tmp_path)).lock("churn/model"):
        pass


def test_appended_rows_keep_their_order_however_they_are_cut_into_batches(tmp_path: Path) -> None:
    lake, numbers = Lake(str(tmp_path)), pa.table({"n": range(600_000)})
    lake.append("t", pa.RecordBatchReader.from_batches(numbers.schema, numbers.to_batches(max_chunksize=7_000)))
    (file,) = lake.files("t")
    assert pq.read_table(file)["n"].to_pylist() == list(range(600_000))


def test_statistics_of_appended_rows_are_their_extremes_and_leave_out_what_has_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    times = [datetime(2025, 1, 2, 3, 4, 5, 678), None, datetime(2025, 3, 1)]
    lake.append("t", pa.table({
        "t": pa.array(times, pa.timestamp("us")), "i": [3, 1, 2], "f": [math.inf, 0.5, math.nan], "s": ["b", "a", None],
        "ok": [True, False, None], "nested": [[1], [2], None],
    }))  # fmt: skip
    (found,) = pa.table(DeltaTable(tmp_path / "t").get_add_actions(flatten=True)).to_pylist()
    assert (found["num_records"], found["null_count.t"], found["null_count.s"]) == (3, 1, 1)
    assert (found["min.t"], found["max.t"]) == (times[0], times[2])
    assert (found["min.i"], found["max.i"], found["min.f"], found.get("max.f")) == (1, 3, 0.5, None)
    assert not {"min.s", "min.ok", "min.nested"} & {name for name, value in found.items() if value is not None}


def test_statistics_of_times_beyond_the_calendar_are_left_out(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    us, days = pa.timestamp("us"), pa.date32()
    far = pa.array([317_000_000_000_000_000, 0], pa.int64()).cast(us)
    lake.append("t", pa.table({"at": far, "day": pa.array([3_700_000, 0], pa.int32()).cast(days), "n": [1, 2]}))
    (found,) = pa.table(DeltaTable(tmp_path / "t").get_add_actions(flatten=True)).to_pylist()
    assert (found.get("max.at"), found["min.at"]) == (None, datetime(1970, 1, 1))
    assert (found.get("max.day"), found["min.day"], found["max.n"]) == (None, date(1970, 1, 1), 2)
    for window in ((None, LAST), (LAST, LAST), (FIRST, LAST)):
        assert lake.files("t", within=("at", *window)) == lake.files("t")


def test_removed_rows_are_gone_and_the_others_keep_their_place(lake: Lake) -> None:
    for start in range(0, 60, 20):
        names = ["even" if n % 2 == 0 else None if n % 7 == 0 else "odd" for n in range(start, start + 20)]
        lake.append("t", pa.table({"name": names, "n": range(start, start + 20)}))
        time.sleep(0.002)
    before = lake.query("SELECT * FROM t WHERE name IS DISTINCT FROM 'even'", t="t")
    version = lake.remove("t", column="name", values=["even"], records={"removed": 1})
    assert lake.query("SELECT * FROM t", t="t").equals(before)
    assert (lake.version("t"), lake.record("t", "removed")) == (version, 1)
    assert lake.remove("t", column="name", values=["odd"], records={"removed": 1}) == version
    lake.remove("t", column="name", values=["odd", "nobody"])
    assert lake.query("SELECT n FROM t", t="t")["n"].to_pylist() == [7, 21, 35, 49]


def _write_often(barrier: Barrier, said: Any, root: str, day: date, value: int) -> None:
    lake, versions = Lake(root), []
    barrier.wait()
    for turn in range(12):
        number = value * 100 + turn
        versions.append((number, lake.append("log", rows([day], number), records={f"{value}": turn})))
    said.put(json.dumps(versions))


@pytest.mark.slow
def test_a_writer_is_told_the_version_that_it_made_whoever_writes_beside_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.append("log", rows([]))
    made = [json.loads(said) for said in _together(_write_often, [(lake.root, DAYS[i], i) for i in (1, 2)])]
    assert len({version for pairs in made for _, version in pairs}) == 24
    for number, version in [pair for pairs in made for pair in pairs]:
        (file,) = set(lake.files("log", version)) - set(lake.files("log", version - 1))
        assert pq.read_table(file)["value"].to_pylist() == [number]
