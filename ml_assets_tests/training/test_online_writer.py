"""The online store holds the champion's own features, whoever was killed while writing them."""

import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.errors import DataError
from ml_assets.features.join import point_in_time, stream_rows
from ml_assets.features.online.ledger import ledger
from ml_assets.features.online.schema import OnlineRecord
from ml_assets.features.online.store import OnlineStore, open_store
from ml_assets.features.store import refresh
from ml_assets.features.view import TimedView
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition, assemble
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.online_writer import (
    OnlineWriter,
    OnlineWriteResult,
    date_to_refresh,
    date_to_write,
    write_champion,
)
from ml_assets.training.record import TrainingRecord as Kept
from ml_assets.training.split import Split
from ml_assets_tests.conftest import AS_OF, FIRST, MODEL, QUERIES, SOURCES, Tiny

DAY, WEEK = timedelta(days=1), timedelta(days=7)
REDIS = os.environ.get("ML_ASSETS_TEST_REDIS", "redis://127.0.0.1:6379")
SPAWN = multiprocessing.get_context("spawn")
NOON = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - the lake's times are naive UTC


@dataclass(frozen=True)
class Champion(Registry):
    """A registry whose champion has these views."""

    features: tuple[TimedView, ...] = ()
    number: int = 1

    def champion(self, model: str) -> Version | None:
        return Version(model, self.number, "run", {}) if self.features else None

    def read(self, run_id: str, path: str) -> bytes | None:
        assert (run_id, path) == ("run", "training.json")
        return recorded(self.features)


def recorded(features: tuple[TimedView, ...]) -> bytes:
    """The file that says of a version that it was trained on these views."""
    views, ttls = zip(*((item.view, item.ttl.total_seconds()) for item in features), strict=True)
    split, columns = Split(*[(FIRST,)] * 3), FeatureColumns((), ())
    return Kept("customer", "t", 0, FIRST, split, columns, views, ttls, {}, {}).to_json()


@dataclass
class Served:
    """A shop, its folder, and a store of its own."""

    shop: Tiny
    url: str
    refresh: str | None = None
    ticks: list[datetime] = field(default_factory=lambda: [NOON])

    def __post_init__(self) -> None:
        self.store: OnlineStore = open_store(self.url)

    @property
    def folder(self) -> ModelDefinition:
        specs = {"name": "habits", "sql": "features/habits.sql", "lookback": "56d", "refresh": self.refresh}
        views = [ViewSpec(**specs)]
        return assemble("shop", self.shop.path, ModelSpec(**MODEL), [*SOURCES.values()], views)

    @property
    def champion(self) -> Champion:
        return Champion("", features=self.folder.features)

    def write(self, as_of: date = AS_OF, champion: Champion | None = None) -> OnlineWriteResult:
        self.ticks.append(self.ticks[-1] + timedelta(seconds=1))
        writer = OnlineWriter(self.shop.lake, self.folder, self.store, as_of, self.ticks[-1])
        return write_champion(writer, champion or self.champion)

    def ledger(self) -> list[tuple[date, str, int]]:
        rows = self.shop.lake.query("SELECT * FROM o ORDER BY written_at", o=ledger("shop").table).to_pylist()
        return [(row["as_of"], row["feature_set"], row["model_version"]) for row in rows]

    def read(self, *customers: int) -> list[OnlineRecord | None]:
        row = ledger("shop").last(self.shop.lake)
        assert row
        return self.store.read(row.feature_set, [str(customer) for customer in customers])

    def dates(self, *customers: int) -> set[date | None]:
        return {record.as_of if record else None for record in self.read(*customers)}


@pytest.fixture
def served(tiny: Tiny) -> Iterator[Served]:
    made = Served(tiny, f"sqlite:///{tiny.root}/online.db")
    yield made
    made.store.close()


def expected(served: Served, as_of: date) -> Mapping[int, tuple[Any, ...]]:
    rows = point_in_time(served.shop.lake, served.folder.population, [as_of], served.folder.features)
    return {row["customer"]: tuple(row.values())[2:] for row in rows.to_pylist()}


def test_every_member_of_the_population_has_the_champions_features(served: Served) -> None:
    done = served.write()
    rows = expected(served, AS_OF)
    assert (done.row.rows, done.row.as_of, done.reused) == (len(rows), AS_OF, False)
    found = served.read(*rows)
    assert [record.values if record else None for record in found] == [*rows.values()]
    assert {record.as_of for record in found if record} == {AS_OF}
    assert found[0]
    assert dict(found[0].schema.ttls) == {"habits": timedelta(days=14)}
    assert [column.view for column in found[0].schema.columns] == ["habits"] * 4


def test_the_same_rows_are_written_once(served: Served) -> None:
    first, again = served.write(), served.write()
    assert (first.reused, again.reused) == (False, True)
    assert again.row.rows == first.row.rows
    assert len(served.ledger()) == 1


def test_a_late_row_is_written_and_one_that_touches_nothing_is_not(served: Served) -> None:
    served.write()
    at = datetime.combine(AS_OF, datetime.min.time())
    served.shop.deliver("orders", [{"customer": 1, "made_at": at + WEEK, "amount": 1.0, "kind": "a"}])
    assert served.write().reused
    served.shop.deliver("orders", [{"customer": 999, "made_at": at - DAY, "amount": 1.0, "kind": "a"}])
    assert not served.write().reused
    assert served.dates(999) == {AS_OF}


def test_a_store_that_was_emptied_or_swapped_is_filled_again(served: Served) -> None:
    served.write()
    served.store.close()
    Path(served.url.removeprefix("sqlite:///")).unlink()
    served.store = open_store(served.url)
    assert date_to_refresh(served.shop.lake, served.folder, served.store, AS_OF) == AS_OF
    assert not served.write().reused
    with closing(open_store(f"sqlite:///{served.shop.root}/other.db")) as other:
        served.store.close()
        served.store = other
        assert not served.write().reused
        assert served.write().reused
        assert served.dates(1, 2) == {AS_OF}


def test_an_older_date_changes_nothing(served: Served) -> None:
    served.write()
    older = served.write(AS_OF - WEEK)
    assert (older.reused, older.row.as_of) == (True, AS_OF)
    assert served.dates(*expected(served, AS_OF)) == {AS_OF}


def test_without_a_champion_nothing_is_written(served: Served) -> None:
    with pytest.raises(DataError, match="shop has no champion yet"):
        served.write(champion=Champion(""))
    assert ledger("shop").last(served.shop.lake) is None


def test_a_champion_with_other_features_has_records_of_its_own_and_going_back_finds_the_old_ones(
    served: Served,
) -> None:
    before = served.champion
    served.write(champion=before)
    served.shop.write("features/habits.sql", "SELECT customer, count(*) AS orders FROM orders GROUP BY customer")
    after = replace(served.champion, number=2)
    done = served.write(champion=after)
    assert not done.reused
    assert served.read(1)[0]
    assert [len(record.values) for record in served.read(1) if record] == [1]
    back = served.write(champion=before)
    assert back.reused
    assert [number for _, _, number in served.ledger()] == [1, 2, 1], "the last row says which set answers"
    assert [len(record.values) for record in served.read(1) if record] == [4]


def test_the_stream_has_the_rows_of_the_join_in_small_batches(served: Served) -> None:
    folder, lake = served.folder, served.shop.lake
    for view in (folder.population, folder.features[0].view):
        refresh(lake, view, [AS_OF])
    with stream_rows(lake, folder.population, AS_OF, folder.features) as reader:
        batches = list(reader)
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    assert {row[1]: row[2:] for row in rows} == expected(served, AS_OF)


@pytest.mark.parametrize(
    ("declared", "today", "written"),
    [
        (None, 6, 0),
        ("1d", 0, 0),
        ("1d", 3, 3),
        ("2d", 3, 2),
        ("1d", 9, 6),  # the next as-of date is the loop's
        ("3w", 30, 0),
    ],
)
def test_a_view_is_refreshed_between_the_dates_of_the_loop(
    served: Served, declared: str | None, today: int, written: int
) -> None:
    served.refresh = declared
    at = datetime.combine(AS_OF + 40 * DAY, datetime.min.time())
    served.shop.deliver("orders", [{"customer": 1, "made_at": at, "amount": 1.0, "kind": "a"}])
    lake, folder, now = served.shop.lake, served.folder, AS_OF + today * DAY
    assert date_to_write(lake, folder, AS_OF, now) == AS_OF, "at first the date itself"
    assert date_to_refresh(lake, folder, served.store, now) is None, "what was never written follows from the loop"
    served.write()
    aim = date_to_write(lake, folder, AS_OF, now)
    assert aim == AS_OF + written * DAY
    assert date_to_refresh(lake, folder, served.store, now) == (AS_OF if written else None)
    served.write(aim)
    assert served.dates(1) == {aim}
    assert date_to_refresh(lake, folder, served.store, now) is None


def test_a_feed_that_is_late_delays_the_refresh(served: Served) -> None:
    served.refresh = "1d"
    at = datetime.combine(AS_OF + 2 * DAY, datetime.min.time())
    served.shop.deliver("orders", [{"customer": 1, "made_at": at, "amount": 1.0, "kind": "a"}])
    served.write()
    assert date_to_write(served.shop.lake, served.folder, AS_OF, AS_OF + 6 * DAY) == AS_OF + 3 * DAY


@pytest.mark.parametrize("refresh", ["1h", "36h", "90m"])
def test_a_refresh_that_is_no_whole_number_of_days_is_refused(refresh: str) -> None:
    with pytest.raises(ValidationError, match=r"refresh .*: the clock is a date, so write whole days"):
        ViewSpec(name="a", sql="a.sql", refresh=refresh)


CROWD = 150_000


def _crowd(root: Path, url: str, mark: str) -> Served:
    """`mark` makes a feature set of its own: the server may be shared."""
    query = f"SELECT customer, count(*) AS n, '{mark}' AS mark FROM orders GROUP BY customer"
    return Served(Tiny(root, QUERIES | {"features/habits.sql": query}), url)


def _write(root: Path, url: str, mark: str) -> None:
    _crowd(root, url, mark).write()


@pytest.fixture(params=["sqlite", "redis"])
def crowded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    if request.param == "redis":
        _require_redis()
    url = f"sqlite:///{tmp_path}/online.db" if request.param == "sqlite" else REDIS
    served = _crowd(tmp_path, url, uuid.uuid4().hex)
    orders = [{"customer": i, "made_at": datetime.combine(day, datetime.min.time()), "amount": 1.0, "kind": "a"}
              for day in (AS_OF - 8 * DAY, AS_OF - DAY) for i in range(CROWD)]  # fmt: skip
    served.shop.deliver("orders", orders)
    yield served
    _clean(served)
    served.store.close()


def _client() -> Any:
    from redis import Redis

    return Redis.from_url(REDIS, socket_connect_timeout=1)


def _require_redis() -> None:
    from redis.exceptions import ConnectionError as Unreachable

    with closing(_client()) as client:
        try:
            client.ping()
        except Unreachable as error:
            pytest.skip(f"no Redis to test with: {error}")


def _clean(served: Served) -> None:
    row = ledger("shop").last(served.shop.lake)
    if served.url == REDIS and row:
        with closing(_client()) as client:
            keys = [*client.scan_iter(f"ml_assets*:{row.feature_set}*", 10_000)]
            for start in range(0, len(keys), 1000):
                client.unlink(*keys[start : start + 1000])


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached() and time.monotonic() < deadline:
        pass


@pytest.mark.slow
def test_a_killed_run_leaves_each_entity_of_one_date_and_the_next_run_completes_it(crowded: Served) -> None:
    older = AS_OF - WEEK
    name = crowded.write(older).row.feature_set
    mark = str(expected(crowded, older)[0][1])
    everybody, sample = range(CROWD), [str(customer) for customer in range(0, CROWD, 2000)]
    writer = SPAWN.Process(target=_write, args=(crowded.shop.root, crowded.url, mark))
    writer.start()
    _until(lambda: AS_OF in {record.as_of for record in crowded.store.read(name, sample) if record})
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert writer.exitcode == -signal.SIGKILL, "it was still at work"

    found = crowded.read(*everybody)
    assert {(record.as_of, record.values[0]) for record in found if record} == {(older, 1), (AS_OF, 2)}
    assert None not in found
    row = ledger("shop").last(crowded.shop.lake)
    assert row
    assert (row.as_of, crowded.store.last_finished(name)) == (older, older), "nobody said that it is done"

    done = crowded.write()
    assert not done.reused
    assert {record.values[0] for record in crowded.read(*everybody) if record} == {2}
    assert crowded.store.last_finished(name) == AS_OF
    assert crowded.write().reused
