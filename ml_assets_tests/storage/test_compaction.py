"""Small files become one without a row out of its place, whatever happens meanwhile; how many there are has a bound."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.storage import compaction, delta, parquet
from ml_assets.storage.compaction import KEPT, MOST, TableFile, files_to_gather
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import Shop, made

DAY = 86_400_000
FILES = 2 * MOST + 8
NOW = 20_000 * DAY + 5
SUM = "SELECT sum(x) AS x, list(n) AS n FROM t"
SPAWN = multiprocessing.get_context("spawn")


class Clock:
    """Seconds since 1970, as a test says."""

    def __init__(self, days: float) -> None:
        self.now = time.time() + days * 86_400

    def __call__(self) -> float:
        return self.now


def rows(number: int) -> pa.Table:
    """Floats whose sum depends on their order."""
    x = [0.1 + number, 1e15 / (number + 1), -1e15 / (number + 2)]
    return pa.table({
        "n": [3 * number, 3 * number + 1, 3 * number + 2], "x": x, "histogram": [[number, 1], [], None],
        "at": pa.array([datetime(2025, 1, 1) + timedelta(hours=number)] * 3, pa.timestamp("us")),
    })  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of many files of two days a week ago, and one of today with a column more."""
    root, clock = tmp_path_factory.mktemp("lake"), Clock(-9)
    clock.now -= clock.now % 86_400
    lake = Lake(str(root), clock=clock)
    for number in range(FILES):
        lake.append("t", rows(number), records={"taken": number + 1})
        clock.now += 2 * 86_400 / FILES
    Lake(str(root)).append("t", rows(FILES).append_column("later", pa.array([1, 2, 3])))
    return root


@pytest.fixture
def lake(written: Path, tmp_path: Path) -> Lake:
    shutil.copytree(written, tmp_path / "lake")
    return Lake(str(tmp_path / "lake"))


def content(lake: Lake, version: int | None = None) -> pa.Table:
    with lake.connect() as connection:
        found: pa.Table = connection.sql(f"SELECT * FROM {lake.relation(connection, 't', version)}").to_arrow_table()
    return found


def done(lake: Lake, kept: timedelta | None = None) -> int:
    """Compact until there is nothing to do; how many steps it took."""
    steps = 0
    while lake.compact("t", kept=kept):
        steps += 1
    return steps


def test_every_row_keeps_its_place_so_a_sum_its_digits(lake: Lake) -> None:
    rows_before, sum_before, version = content(lake), lake.query(SUM, t="t"), lake.version("t")
    assert rows_before["n"].to_pylist() == list(range(3 * FILES + 3))
    assert done(lake) == 2
    assert len(lake.files("t")) == 3
    assert content(lake).equals(rows_before)
    assert lake.query(SUM, t="t").equals(sum_before)
    assert lake.record("t", "taken") == FILES
    assert content(lake, version).equals(rows_before)  # nothing was deleted: something may name that version
    window = ("at", datetime(2025, 1, 5, 12), datetime(2025, 1, 6))
    assert lake.files("t", within=window) == lake.files("t")[1:2]
    lake.append("t", rows(1000))
    assert content(lake)["n"].to_pylist()[-3:] == [3000, 3001, 3002]


def test_few_files_and_those_of_today_and_yesterday_are_left(tmp_path: Path) -> None:
    clock = Clock(0)
    lake = Lake(str(tmp_path), clock=clock)
    for number in range(MOST + 1):
        lake.append("t", rows(number))
    assert not lake.compact("t")
    clock.now += 2 * 86_400
    assert lake.compact("t")
    assert not lake.compact("t")
    assert not lake.compact("nothing")


def test_a_table_of_dates_is_left(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), clock=Clock(9))
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(MOST + 1)]
    lake.replace("t", pa.table({"as_of": days, "n": range(len(days))}), values=days)
    assert len(lake.files("t")) == len(days)
    assert not lake.compact("t")


def _age(folder: Path, days: int) -> None:
    """Make files look as old as they would be."""
    then = time.time() - days * 86_400
    for file in (*folder.glob("*.parquet"), *(folder / "_delta_log").iterdir()):
        os.utime(file, (then, then))


def test_where_nothing_names_a_version_what_was_replaced_goes_after_its_time(lake: Lake) -> None:
    before, version, folder = content(lake), lake.version("t"), Path(lake.root) / "t"
    replaced = set(lake.files("t")[:FILES])
    left, young = folder / "left-by-a-kill.snappy.parquet", folder / "being-written.snappy.parquet"
    left.write_bytes(b"PAR1")
    _age(folder, days=5)
    young.write_bytes(b"PAR1")
    assert done(lake, KEPT) == 2
    assert content(lake, version).equals(before)  # who reads it now goes on
    assert (left.exists(), young.exists()) == (False, True)
    assert replaced < {str(file) for file in folder.glob("*.parquet")}
    assert min(int(file.stem) for file in (folder / "_delta_log").glob("*.json")) >= 99
    for number in range(FILES + 1, FILES + 1 + MOST):
        lake.append("t", rows(number))
    assert done(Lake(lake.root, clock=Clock(40)), KEPT)  # a month later
    assert not replaced & {str(file) for file in folder.glob("*.parquet")}
    assert content(lake)["n"].to_pylist() == list(range(3 * (FILES + 1 + MOST)))
    assert content(lake)[: len(before)].equals(before)
    assert lake.record("t", "taken") == FILES


def test_an_ingest_gathers_the_files_of_a_raw_table_and_every_version_stays(shop: Shop) -> None:
    clock = Clock(-40)
    dated = Lake(shop.lake.root, clock=clock)
    row = {"customer": 1, "made_at": datetime(2025, 1, 1), "amount": 0.1, "kind": "a"}
    shop.deliver("orders", [row])
    for number in range(MOST):
        table = made("orders", [row | {"customer": number, "amount": 1e15 / (number + 3)}])
        dated.append("shop/raw/orders", table.append_column("_file", pa.array(["x"])))
        clock.now += 3600
    before, version = shop.lake.query("SELECT * FROM o", o="shop/raw/orders"), shop.lake.version("shop/raw/orders")
    shop.deliver("orders", [row | {"customer": 2}])
    assert len(shop.lake.files("shop/raw/orders")) < MOST
    after = shop.lake.query("SELECT * FROM o", o="shop/raw/orders")
    assert after[: len(before)].equals(before)
    assert len(after) == len(before) + 1
    with shop.lake.connect() as connection:
        held = connection.sql(f"SELECT * FROM {shop.lake.relation(connection, 'shop/raw/orders', version)}")
        assert held.to_arrow_table().equals(before)


class Killed(BaseException):
    """What no code catches."""


def _raising(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    def stopped(*args: Any, **named: Any) -> Any:
        if not before:
            function(*args, **named)
        raise Killed

    return stopped


STEPS = {
    "before the rows are read": (delta, "_scan", True),
    "before the file is written": (parquet, "write", True),
    "after the file is written": (parquet, "write", False),
    "after the commit": (delta, "_tidy", True),
    "after everything": (delta, "_tidy", False),
}


@pytest.mark.parametrize("step", STEPS)
def test_stopped_at_any_step_it_is_as_if_not_begun_or_done(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    module, name, before = STEPS[step]
    rows_before, files = content(lake), lake.files("t")
    with monkeypatch.context() as patched:
        patched.setattr(module, name, _raising(getattr(module, name), before=before))
        with pytest.raises(Killed):
            lake.compact("t", kept=KEPT)
    committed = name == "_tidy"
    assert (lake.files("t") != files) == committed
    assert content(lake).equals(rows_before)
    done(lake, KEPT)
    assert content(lake).equals(rows_before)
    assert len(lake.files("t")) == 3


def test_a_reader_in_the_middle_sees_one_of_the_two(lake: Lake) -> None:
    before = content(lake)
    with lake.connect() as connection:
        held = lake.relation(connection, "t")
        assert lake.compact("t", kept=KEPT)
        assert connection.sql(f"SELECT * FROM {held}").to_arrow_table().equals(before)
    assert content(lake).equals(before)


def test_one_that_is_overtaken_leaves_it_for_the_next_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write = parquet.write

    def overtaken(*args: Any, **named: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(parquet, "write", write)
            lake.append("t", rows(2000))
        return write(*args, **named)

    files = lake.files("t")
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write", overtaken)
        assert lake.compact("t", kept=KEPT)
    assert lake.files("t")[:-1] == files
    done(lake)
    assert content(lake)["n"].to_pylist() == [*range(3 * FILES + 3), 6000, 6001, 6002]


def _compact_for_ever(root: str) -> None:
    """Append and compact, as if a day passed with each look."""
    lake = Lake(root)
    clock = Clock(0)
    clock.now = float(lake.record("t", "clock") or clock.now)
    while True:
        number = (lake.record("t", "taken") or 0) + 1
        clock.now += 7_000
        dated = Lake(root, clock=clock)
        dated.append("t", rows(number), records={"taken": number, "clock": round(clock.now)})
        dated.compact("t", kept=KEPT)


@pytest.mark.slow
def test_a_compaction_that_is_killed_loses_and_moves_nothing(lake: Lake) -> None:
    first = lake.record("t", "taken") or 0
    for turn in range(6):
        process = SPAWN.Process(target=_compact_for_ever, args=(lake.root,))
        process.start()
        time.sleep(2.5 + 0.13 * turn)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        last = lake.record("t", "taken") or 0
        assert content(lake)["n"].to_pylist() == [*range(3 * last + 3)]
    assert last > first + 20


times = st.lists(st.integers(NOW - 200 * DAY, NOW), max_size=120)


@given(times, st.integers(1, 3 * compaction.LARGEST // 4))
def test_order_is_kept_and_the_number_of_files_has_a_bound(at: list[int], size: int) -> None:
    files = [TableFile(str(number), size, moment) for number, moment in enumerate(sorted(at))]
    whole = [(file.path, file.size) for file in files]
    paths = {file.path: [file.path] for file in files}
    while chosen := files_to_gather(files, NOW, most=10):
        start = files.index(chosen[0])
        assert files[start : start + len(chosen)] == chosen
        assert start == 0 or files[start - 1].at < chosen[0].at
        end = start + len(chosen)
        assert end == len(files) or chosen[-1].at < files[end].at
        new = TableFile(f"{chosen[0].path}+", sum(file.size for file in chosen), chosen[-1].at)
        paths[new.path] = [path for file in chosen for path in paths[file.path]]
        files[start:end] = [new]
    assert [path for file in files for path in paths[file.path]] == [path for path, _ in whole]
    old = [file for file in files if file.at // DAY < NOW // DAY - 1]
    total = sum(file.size for file in old)
    assert len(files) <= 10 or len(old) <= 7 + 64 + 2 * (total // compaction.LARGEST + 1) + _together(old)


def _together(files: list[TableFile]) -> int:
    """Files of one moment cannot be parted, so they may be too many for one file."""
    return sum(file.size > compaction.LARGEST // 2 for file in files)


def test_two_years_of_takes_leave_less_than_a_hundred_files() -> None:
    """The plan alone, without a table: every five minutes for a day, and each day one more file that is written."""
    files, made = list[TableFile](), 0
    for day in range(730):
        now = day * DAY
        files += [TableFile(f"{day}-{take}", 2_000, now + take * 300_000) for take in range(288)]
        while chosen := files_to_gather(files, now + DAY - 1):
            start = files.index(chosen[0])
            size = sum(file.size for file in chosen)
            files[start : start + len(chosen)] = [TableFile(chosen[0].path, size, chosen[-1].at)]
            made += size
        assert len(files) <= 2 * 288 + 64 + 24
    assert made < 2.1 * 730 * 288 * 2_000  # each row is written anew twice
