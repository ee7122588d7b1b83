"""Every entity's record is wholly of one date, whoever writes or is killed; what is stale or missing says so."""

import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.errors import DataError, OnlineStoreError
from ml_assets.features.online.codec import UnknownSchemaError
from ml_assets.features.online.redis import _SCHEMA
from ml_assets.features.online.schema import Column, OnlineRecord, Schema, missing_columns, stale_views
from ml_assets.features.online.store import OnlineStore, open_store

DAY = date(2025, 3, 2)
FORTNIGHT, WEEK = timedelta(days=14), timedelta(days=7)
REDIS = os.environ.get("ML_ASSETS_TEST_REDIS", "redis://127.0.0.1:6379")
SPAWN = multiprocessing.get_context("spawn")
WIDTH = 8
HOSTILE = [
    "1", "it's", 'a "b"', "a:b:c", "a\nb\r\n", "\0", "a\0b", "%s {0} ?1 *", "' OR 1=1 --", "été", "日本", "👩‍👩‍👧",
    "e\u0301", " ", " 1", "1 ", "A", "a", "x" * 5000,
]  # fmt: skip


def schema(model: str, text: str = "note") -> Schema:
    numbers = tuple(Column(f"v{i}", "int64", "habits") for i in range(WIDTH))
    ttls = (("habits", FORTNIGHT), ("notes", WEEK))
    return Schema(model, "customer", (*numbers, Column(text, "string", "notes")), ttls)


def generation(of: Schema, number: int, entities: list[str]) -> pa.RecordBatch:
    """Rows whose values all say of which generation they are."""
    numbers = {f"v{i}": pa.array([number] * len(entities), pa.int64()) for i in range(WIDTH)}
    return pa.record_batch({"customer": entities, **numbers, of.columns[-1].name: [str(number)] * len(entities)})


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def whole(record: OnlineRecord | None) -> int:
    """The generation that a record is of, wholly."""
    assert record is not None
    number = int(str(record.values[-1]))
    assert record.values[:-1] == (number,) * WIDTH
    assert record.as_of == day(number)
    return number


@dataclass
class Kept:
    """A store, and a model whose records are its own."""

    url: str
    model: str = field(default_factory=lambda: f"test_{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self.store: OnlineStore = open_store(self.url)
        self.schema = schema(self.model)

    def write(self, number: int, entities: list[str], of: Schema | None = None) -> int:
        used = of or self.schema
        return self.store.write(used, [generation(used, number, entities)], day(number))

    def read(self, *entities: str) -> list[OnlineRecord | None]:
        return self.store.read(self.model, list(entities))


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(f"sqlite:///{tmp_path}/new/online.db")
    yield kept
    kept.store.close()


def batched(keys: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(islice(keys, size)):
        yield batch


@pytest.fixture
def redis() -> Iterator[Kept]:
    from redis import Redis
    from redis.exceptions import ConnectionError as Unreachable

    client: Any = Redis.from_url(REDIS, socket_connect_timeout=1)
    try:
        client.ping()
    except Unreachable as error:
        client.close()
        pytest.skip(f"no Redis to test with: {error}")
    kept = Kept(REDIS)
    yield kept
    for keys in batched(client.scan_iter(f"ml_assets*:{kept.model}*", 10_000), 1000):
        client.unlink(*keys)  # schemas are forgotten by themselves
    client.close()
    kept.store.close()


@pytest.fixture(params=["sqlite", "redis"])
def kept(request: pytest.FixtureRequest) -> Kept:
    found: Kept = request.getfixturevalue(request.param)
    return found


def test_records_come_in_the_order_of_the_question_as_often_as_they_were_asked_for(kept: Kept) -> None:
    entities = [str(i) for i in range(3000)]
    assert kept.write(1, entities) == 3000
    asked = [*entities[::-1], "nobody", "7", "7", *entities[:10]]
    found = kept.read(*asked)
    assert [record.entity if record else None for record in found] == [*asked[:3000], None, *asked[3001:]]
    assert {whole(record) for record in found if record} == {1}
    assert kept.read() == []
    assert kept.read("7") == [OnlineRecord("7", day(1), (*([1] * WIDTH), "1"), kept.schema)]


def test_a_model_knows_its_own_records_only(kept: Kept) -> None:
    kept.write(1, ["1"])
    assert kept.store.read(f"{kept.model}_other", ["1"]) == [None]
    assert kept.store.read(kept.model[:-1], ["1"]) == [None]


def test_an_older_date_never_replaces_a_newer_one_and_the_same_date_does(kept: Kept) -> None:
    assert kept.write(2, ["1", "2"]) == 2
    assert kept.write(1, ["1", "3"]) == 1
    assert [whole(record) for record in kept.read("1", "2", "3")] == [2, 2, 1]
    again = generation(kept.schema, 9, ["1"])
    assert kept.store.write(kept.schema, [again], day(2)) == 1
    [record] = kept.read("1")
    assert record is not None
    assert (record.as_of, record.values[0]) == (day(2), 9)


def test_an_entity_may_have_any_name_but_none(kept: Kept) -> None:
    kept.write(1, HOSTILE)
    found = kept.read(*HOSTILE)
    assert [record.entity if record else None for record in found] == HOSTILE
    assert [kept.read(name) for name in HOSTILE] == [[record] for record in found]
    for name in ("", "\ud800"):
        with pytest.raises(DataError, match="entity "):
            kept.read("1", name)
    with pytest.raises(DataError, match="null or empty"):
        kept.write(1, ["1", ""])


def test_numbers_name_an_entity_too(kept: Kept) -> None:
    rows = generation(kept.schema, 1, ["a"]).set_column(0, "customer", pa.array([12], pa.int64()))
    kept.store.write(kept.schema, [rows], day(1))
    assert whole(kept.read("12")[0]) == 1


def test_records_of_two_schemas_stand_side_by_side(kept: Kept) -> None:
    other = schema(kept.model, "remark")
    kept.write(1, ["1", "2"])
    kept.write(2, ["2", "3"], other)
    assert other.fingerprint != kept.schema.fingerprint
    for store in (kept.store, open_store(kept.url)):  # one reader that met the first, and one that met neither
        found = store.read(kept.model, ["1", "2", "3"])
        assert [record.schema if record else None for record in found] == [kept.schema, other, other]
        assert [whole(record) for record in found] == [1, 2, 2]
        store.close()


def test_what_was_written_before_a_batch_failed_stands(kept: Kept) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield generation(kept.schema, 2, ["1"])
        raise OSError("the lake is gone")

    kept.write(1, ["1", "2"])
    with pytest.raises(OSError, match="the lake is gone"):
        kept.store.write(kept.schema, batches(), day(2))
    assert [whole(record) for record in kept.read("1", "2")] == [2, 1]
    assert kept.write(2, ["1", "2"]) == 2


def test_a_store_answers_a_ping(kept: Kept) -> None:
    kept.store.ping()


def test_many_threads_read_and_write_at_once(kept: Kept) -> None:
    entities = [str(i) for i in range(200)]
    kept.write(1, entities)

    def work(number: int) -> set[int]:
        if number % 4 == 0:
            kept.write(number, entities)
        return {whole(record) for _ in range(20) for record in kept.read(*entities)}

    with ThreadPoolExecutor(8) as pool:
        seen = set().union(*pool.map(work, range(2, 26)))
    assert seen <= {1, *range(4, 26, 4)}
    assert {whole(record) for record in kept.read(*entities)} == {24}


def _write_for_ever(url: str, of: Schema, entities: list[str], stop: Any) -> None:
    store = open_store(url)
    number = 1
    while not stop.is_set():
        store.write(of, [generation(of, number, entities)], day(number))
        number += 1
    store.close()


@pytest.mark.slow
def test_readers_beside_a_writing_process_see_whole_records_that_only_become_newer(kept: Kept) -> None:
    entities = [str(i) for i in range(500)]
    kept.write(0, entities)
    stop = SPAWN.Event()
    writer = SPAWN.Process(target=_write_for_ever, args=(kept.url, kept.schema, entities, stop))
    writer.start()

    def watch(_: int) -> int:
        last, deadline = dict.fromkeys(entities, 0), time.monotonic() + 60
        while min(last.values()) < 20 and time.monotonic() < deadline:
            for entity, record in zip(entities, kept.read(*entities), strict=True):
                number = whole(record)
                assert number >= last[entity]
                last[entity] = number
        return min(last.values())

    try:
        with ThreadPoolExecutor(3) as pool:
            assert all(last >= 20 for last in pool.map(watch, range(3)))
    finally:
        stop.set()
        writer.join(60)
    assert writer.exitcode == 0


def _batches(of: Schema, number: int, total: int, size: int = 1000) -> Iterator[pa.RecordBatch]:
    for start in range(0, total, size):
        yield generation(of, number, [str(i) for i in range(start, start + size)])


def _write_once(url: str, of: Schema, number: int, total: int) -> None:
    open_store(url).write(of, _batches(of, number, total), day(number))


@pytest.mark.slow
@pytest.mark.parametrize("reached", ["1000", "20000", "40000"])
def test_a_killed_write_leaves_every_entity_old_or_new_and_is_completed_by_the_next(kept: Kept, reached: str) -> None:
    total = 50_000
    kept.store.write(kept.schema, _batches(kept.schema, 1, total), day(1))
    writer = SPAWN.Process(target=_write_once, args=(kept.url, kept.schema, 2, total))
    writer.start()
    deadline = time.monotonic() + 60
    while whole(kept.read(reached)[0]) == 1 and time.monotonic() < deadline:
        pass
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert writer.exitcode == -signal.SIGKILL  # it was still at work
    entities = [str(i) for i in range(total)]
    assert {whole(record) for record in kept.read(*entities)} == {1, 2}
    assert kept.store.write(kept.schema, _batches(kept.schema, 2, total), day(2)) == total
    assert {whole(record) for record in kept.read(*entities)} == {2}


def _peak(url: str, of: Schema, total: int, queue: Any) -> None:
    store = open_store(url)
    store.write(of, _batches(of, 1, 10_000), day(1))
    before = _resident()
    store.write(of, _batches(of, 2, total, 5000), day(2))
    queue.put(_resident() - before)


def _resident() -> int:
    """The most memory that this process has held, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_write_streams_in_bounded_memory(kept: Kept) -> None:
    """The records of 200,000 entities are 22 MB and their names 11 MB; all at once would be seen."""
    queue = SPAWN.Queue()
    child = SPAWN.Process(target=_peak, args=(kept.url, kept.schema, 200_000, queue))
    child.start()
    grown = queue.get(timeout=120)
    child.join()
    assert grown < 12 * 1024**2
    assert whole(kept.read("199999")[0]) == 2


def test_a_view_is_stale_once_its_ttl_has_passed_and_a_missing_value_is_told(sqlite: Kept) -> None:
    rows = generation(sqlite.schema, 0, ["1"]).set_column(2, "v1", pa.nulls(1, pa.int64()))
    sqlite.store.write(sqlite.schema, [rows], DAY)
    [record] = sqlite.read("1")
    assert record is not None
    midnight = datetime(DAY.year, DAY.month, DAY.day)  # noqa: DTZ001 - the lake's times are naive UTC
    moment = timedelta(microseconds=1)
    assert stale_views(record, midnight + WEEK - moment) == ()
    assert stale_views(record, midnight + WEEK) == ("notes",)
    assert stale_views(record, midnight + FORTNIGHT) == ("habits", "notes")
    assert record.expires == {"habits": midnight + FORTNIGHT, "notes": midnight + WEEK}
    assert missing_columns(record) == ("v1",)


def test_sqlite_forgets_who_was_not_written_for_twice_the_longest_ttl(sqlite: Kept) -> None:
    sqlite.write(0, ["1", "2"])
    sqlite.write(28, ["2"])
    assert sqlite.read("1") != [None]
    sqlite.write(29, ["2"])
    assert sqlite.read("1") == [None]
    assert whole(sqlite.read("2")[0]) == 29


def test_a_date_is_written_when_it_was_finished_and_an_older_one_changes_nothing(kept: Kept) -> None:
    assert kept.store.last_finished(kept.model) is None
    kept.write(2, ["1"])
    assert kept.store.last_finished(kept.model) is None, "the records are there, and perhaps not all of them"
    for number, expected in ((2, 2), (1, 2), (3, 3)):
        kept.store.finish(kept.schema, day(number))
        assert kept.store.last_finished(kept.model) == day(expected)
    assert kept.store.last_finished(f"{kept.model}_other") is None
    assert open_store(kept.url).last_finished(kept.model) == day(3)


def test_a_store_is_named_by_what_it_is(kept: Kept) -> None:
    assert kept.store.name.startswith(("sqlite at /", "redis at "))


def test_sqlite_forgets_the_other_feature_sets_of_a_folder_once_they_are_written_no_more(sqlite: Kept) -> None:
    old, new, other = (replace(sqlite.schema, model=model) for model in ("shop@1", "shop@2", "shops@1"))
    for of in (old, other):
        sqlite.write(0, ["1"], of)
        sqlite.store.finish(of, day(0))
    sqlite.write(28, ["1"], new)
    assert sqlite.store.read("shop@1", ["1"]) != [None]
    sqlite.write(29, ["1"], new)
    assert [sqlite.store.read(model, ["1"]) == [None] for model in ("shop@1", "shop@2", "shops@1")] == [1, 0, 0]
    assert [sqlite.store.last_finished(model) for model in ("shop@1", "shops@1")] == [None, day(0)]
    with closing(sqlite3.connect(sqlite.url.removeprefix("sqlite:///"))) as connection:
        left = {Schema.from_json(text).model for (text,) in connection.execute("SELECT schema FROM declared")}
    assert left == {"shop@2", "shops@1"}


def test_sqlite_keeps_what_it_has_just_written_however_short_the_ttl(sqlite: Kept) -> None:
    hourly = replace(sqlite.schema, ttls=(("habits", timedelta(hours=1)), ("notes", timedelta(hours=1))))
    sqlite.write(1, ["1"], hourly)
    assert whole(sqlite.read("1")[0]) == 1


def test_redis_forgets_by_its_own_clock(redis: Kept) -> None:
    from redis import Redis

    client: Any = Redis.from_url(REDIS)
    redis.write(1, ["1"])
    left = timedelta(milliseconds=client.pttl(f"ml_assets:{redis.model}:1"))
    client.close()
    assert timedelta(0) <= 2 * FORTNIGHT - left < timedelta(minutes=1)
    redis.store.finish(redis.schema, day(1))
    short = replace(redis.schema, ttls=(("habits", timedelta(seconds=0.5)), ("notes", timedelta(seconds=0.5))))
    redis.write(1, ["2"], short)
    redis.store.finish(short, day(1))
    assert whole(redis.read("2")[0]) == 1
    time.sleep(1.1)
    assert redis.read("2") == [None]
    assert redis.store.last_finished(redis.model) is None


def test_a_redis_that_lost_a_schema_says_so(redis: Kept) -> None:
    from redis import Redis

    redis.write(1, ["1"])
    client: Any = Redis.from_url(REDIS)
    client.delete(_SCHEMA.format(redis.schema.fingerprint))
    client.close()
    with pytest.raises(UnknownSchemaError, match="write the features again"):
        redis.read("1")


def test_a_value_that_is_no_record_is_replaced_by_one(redis: Kept) -> None:
    from redis import Redis

    client: Any = Redis.from_url(REDIS)
    client.set(f"ml_assets:{redis.model}:1", "hello")
    client.set(f"ml_assets:{redis.model}:2", "x")
    client.close()
    with pytest.raises(OnlineStoreError, match="'1' is damaged"):
        redis.read("1")
    assert redis.write(1, ["1", "2"]) == 2
    assert [whole(record) for record in redis.read("1", "2")] == [1, 1]


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    store = open_store("redis://user:s3cret@127.0.0.1:1/0")
    of = schema("shop")
    for ask in (
        store.ping,
        lambda: store.read("shop", ["1"]),
        lambda: store.write(of, [generation(of, 1, ["1"])], DAY),
    ):
        said = ""
        try:
            ask()
        except OnlineStoreError as error:
            said = "".join(traceback.format_exception(error))
        assert "the online store redis at 127.0.0.1:1: " in said
        assert "s3cret" not in said
    store.close()


@pytest.mark.parametrize("url", ["postgres://u:s3cret@h", "s3cret", "redis://:s3cret@host:port", "redis://h/s3cret"])
def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    said = ""
    try:
        open_store(url).close()
    except OnlineStoreError as error:
        said = "".join(traceback.format_exception(error))
    assert "the online store's URL" in said or url.endswith("h/s3cret")
    assert "s3cret" not in said.replace(f'open_store("{url}")', "")


def test_a_sqlite_file_that_is_no_store_or_is_gone_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all" * 100)
    store = open_store(f"sqlite:///{other}")
    with pytest.raises(OnlineStoreError, match=r"the online store .*other\.db: file is not a database"):
        store.ping()
    kept = open_store(f"sqlite:///{tmp_path}/online.db")
    (tmp_path / "online.db").unlink()
    with pytest.raises(OnlineStoreError, match=r"online\.db: unable to open database file"):
        kept.read("shop", ["1"])
    with pytest.raises(OnlineStoreError, match=r"the online store .*below\.db: "):
        open_store(f"sqlite:///{other}/below.db")


def test_a_closed_sqlite_store_says_so_and_leaves_no_log(sqlite: Kept, tmp_path: Path) -> None:
    sqlite.write(1, ["1"])
    sqlite.read("1")
    sqlite.store.close()
    with pytest.raises(OnlineStoreError, match="it was closed"):
        sqlite.read("1")
    assert not list((tmp_path / "new").glob("*-wal"))


def test_stores_that_are_opened_at_once_on_no_file_share_one(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def opened(number: int) -> OnlineStore:
        together.wait()
        store = open_store(f"sqlite:///{tmp_path}/new/online.db")
        of = schema("shop")
        store.write(of, [generation(of, 1, [str(number)])], day(1))
        return store

    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(opened, range(8)))
    for store in stores:
        assert [whole(record) for record in store.read("shop", [str(i) for i in range(8)])] == [1] * 8
        store.close()


def test_a_folder_is_forgotten_whole_and_others_stay(kept: Kept) -> None:
    mine = [schema(f"{kept.model}@{number}") for number in (1, 2)]
    others = [schema(name) for name in (f"{kept.model}x@1", f"{kept.model[:-1]}@1", f"{kept.model[:-1]}_@1")]
    for each in (*mine, *others):
        kept.write(0, ["1", "a:b"], each)
        kept.store.finish(each, day(0))
    assert kept.store.sets(kept.model) == [each.model for each in mine]
    for _ in range(2):
        kept.store.forget(kept.model)
    assert kept.store.sets(kept.model) == []
    for each in mine:
        assert (kept.store.read(each.model, ["1", "a:b"]), kept.store.last_finished(each.model)) == ([None, None], None)
    for each in others:
        assert [whole(record) for record in kept.store.read(each.model, ["1", "a:b"])] == [0, 0]
        assert kept.store.last_finished(each.model) == day(0)
        kept.store.forget(each.folder)
