"""A training set shares the dates that did not change with the one before, and is the same as built anew."""

# ruff: noqa: DTZ001 - the lake's times are naive UTC

import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.errors import TrainingError
from ml_assets.features.store import refresh
from ml_assets.storage.lake import Lake
from ml_assets.training import dates
from ml_assets.training.dataset import build, read, views
from ml_assets.training.dates import ROW, SetRecord, condition, keep
from ml_assets.training.reach import known_until
from ml_assets.training.split import split
from ml_assets_tests.conftest import AS_OF, Tiny

WEEK = timedelta(weeks=1)


def files(tiny: Tiny, name: str) -> set[Path]:
    return set(Path(tiny.lake.root, name).rglob("*.parquet"))


def deliver(tiny: Tiny, day: date, customer: int = 1) -> None:
    row = {"customer": customer, "made_at": datetime(day.year, day.month, day.day), "amount": 0.1, "kind": "a"}
    tiny.deliver("orders", [row])


def test_a_later_training_set_writes_its_new_dates_only(prepared: Tiny) -> None:
    first = build(prepared.lake, prepared.folder(), AS_OF)
    before, written = read(prepared.lake, first.table, AS_OF, first.version), files(prepared, first.table)
    deliver(prepared, AS_OF + WEEK)
    later = build(prepared.lake, prepared.folder(), AS_OF + WEEK)
    new = set(later.split.refit) - set(first.split.refit)
    assert 0 < len(new) <= 2
    assert len(files(prepared, first.table) - written) == len(new)
    assert read(prepared.lake, later.table, AS_OF + WEEK, later.version) == read(
        prepared.lake, later.table, AS_OF + WEEK
    )
    assert set(read(prepared.lake, later.table, AS_OF + WEEK)[ROW].unique().to_pylist()) == set(later.split.refit)
    for version in (first.version, None):
        assert read(prepared.lake, first.table, AS_OF, version).equals(before)
    assert build(prepared.lake, prepared.folder(), AS_OF).version == first.version


def test_any_history_of_training_sets_gives_what_is_built_anew(prepared: Tiny) -> None:
    made = {}
    for step, late in [(1, 0), (3, 10), (0, 0), (2, 40), (2, 0), (5, 3)]:
        as_of = AS_OF + step * WEEK
        deliver(prepared, as_of)
        if late:  # a row that changes dates of the window
            deliver(prepared, as_of - timedelta(days=late), customer=2)
        built = build(prepared.lake, prepared.folder(), as_of)
        made[as_of, built.version] = (built, read(prepared.lake, built.table, as_of, built.version))
    for (as_of, version), (built, rows) in made.items():
        assert read(prepared.lake, built.table, as_of, version).equals(rows)
    for as_of in sorted({as_of for as_of, _ in made}):
        before = build(prepared.lake, prepared.folder(), as_of)
        rows = read(prepared.lake, before.table, as_of)
        shutil.rmtree(Path(prepared.lake.root, before.table))
        anew = build(prepared.lake, prepared.folder(), as_of)
        assert anew.fingerprint == before.fingerprint
        assert read(prepared.lake, anew.table, as_of).equals(rows)


def test_a_set_of_one_class_is_refused_also_where_only_dates_go(prepared: Tiny) -> None:
    folder = prepared.folder()
    built = build(prepared.lake, folder, AS_OF)
    label = f"SELECT p.customer, ($as_of < TIMESTAMP '{built.split.refit[2]}')::INT AS label FROM population AS p"
    prepared.write("label.sql", f"{label} LEFT JOIN (SELECT 1 AS one FROM orders LIMIT 1) ON true")
    first = build(prepared.lake, prepared.folder(), AS_OF)
    assert read(prepared.lake, first.table, AS_OF)["label"].unique().to_pylist() == [1, 0]
    far = AS_OF + 60 * WEEK
    days = [AS_OF + week * WEEK for week in range(61)]
    moments = [datetime(day.year, day.month, day.day) for day in days]
    prepared.deliver("orders", [{"customer": 1, "made_at": at, "amount": 0.1, "kind": "a"} for at in moments])
    with pytest.raises(TrainingError, match=r"all .* labels are 0: a classifier needs 0 and 1"):
        build(prepared.lake, prepared.folder(), far)


DAYS = [date(2025, 1, 5) + number * WEEK for number in range(6)]


def rows_of(days: Any, factor: int = 1) -> pa.Table:
    pairs = [(day, entity) for day in days for entity in (1, 2)]
    columns = {ROW: pa.array([day for day, _ in pairs], pa.date32())}
    return pa.table(columns | {"e": [e for _, e in pairs], "x": [factor * day.toordinal() * e for day, e in pairs]})


def kept(
    lake: Lake, as_of: date, wanted: dict[date, int], *, meanwhile: Callable[[], Any] = lambda: None
) -> int | None:
    def rows(lacking: Any, _: Any) -> pa.Table:
        meanwhile()
        return rows_of(lacking)

    return keep(lake, "t", recorded(as_of, wanted), wanted, rows)


def recorded(as_of: date, wanted: dict[date, int]) -> SetRecord:
    return SetRecord(as_of, hash(tuple(wanted.items())) >> 2, as_of, 7, {"shop/labels": 3})


def test_a_set_is_one_version_whoever_writes_another_one_meanwhile(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    first = kept(lake, DAYS[4], dict.fromkeys(DAYS[:4], 1))
    assert first == 1

    def other() -> None:
        lake.replace("t", rows_of(DAYS[5:]), column=ROW, values=DAYS[5:], records={f"{ROW}={DAYS[5]}": 7})

    wanted = dict.fromkeys(DAYS[1:5], 1)
    assert kept(lake, DAYS[5], wanted, meanwhile=other) is None
    assert dates.find_version(lake, "t", recorded(DAYS[5], wanted)) is None
    second = kept(lake, DAYS[5], wanted)
    assert second == 3
    assert read(lake, "t", DAYS[5], second).equals(rows_of(DAYS[1:5]))
    assert read(lake, "t", DAYS[4], first).equals(rows_of(DAYS[:4]))
    assert dates.read_record(lake, "t", DAYS[5], ["shop/labels"]) == (3, recorded(DAYS[5], wanted))
    assert dates.compare_dates(lake, "t", wanted) == (3, [], [])


def test_a_set_of_the_same_dates_is_a_version_without_a_file(tmp_path: Path) -> None:
    lake, wanted = Lake(str(tmp_path)), dict.fromkeys(DAYS[:3], 1)
    kept(lake, DAYS[4], wanted)
    before = lake.files("t")
    assert kept(lake, DAYS[5], wanted) == 2
    assert lake.files("t") == before
    assert read(lake, "t", DAYS[5]).equals(rows_of(DAYS[:3]))


def test_a_set_of_before_is_read_where_one_table_held_many(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for as_of, days in ((DAYS[4], DAYS[:2]), (DAYS[5], DAYS[1:3])):
        rows = rows_of(days).add_column(0, "as_of", pa.array([as_of] * 4, pa.date32()))
        version = lake.replace("t", rows, values=[as_of])
    assert condition(lake, "t", DAYS[4], version) == f"as_of = DATE '{DAYS[4]}'"
    assert read(lake, "t", DAYS[4], version).equals(rows_of(DAYS[:2]))


def test_views_are_computed_for_new_dates_only(prepared: Tiny) -> None:
    folder = prepared.folder()
    first = build(prepared.lake, folder, AS_OF)
    deliver(prepared, AS_OF + WEEK)
    later = AS_OF + WEEK
    days = split(
        folder.spec.cadence.dates(later), known_until(prepared.lake, folder, later), folder.spec.label.horizon,
        train=folder.spec.window.train, test=folder.spec.window.test,
    ).refit  # fmt: skip
    for view in views(folder):
        assert set(refresh(prepared.lake, view, days).computed) <= set(days) - set(first.split.refit)
