"""The graph takes each row once, in order, whoever writes meanwhile; what it has and is old is deleted."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from ml_assets.events.database import SHARE, parse_url
from ml_assets.events.rows import EventStoreError, Outcome, Prediction, Traffic
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets_tests.serving.traffic import NOW, minute, named, prediction, truth, write, writing


def waiting(behind: Mapping[str, int]) -> dict[str, int]:
    """The tables of which rows wait."""
    return {table: rows for table, rows in behind.items() if rows}


def test_a_reader_never_skips_or_repeats_a_row_while_writers_write(store: EventStore) -> None:
    def write_some(number: int) -> None:
        with writing(store) as writer:
            for turn in range(25):
                writer.write([prediction(f"{number}-{turn}-{row}") for row in range(1 + (number + turn) % 4)])

    writers = [threading.Thread(target=write_some, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    found: list[Prediction] = []
    last = 0
    while True:
        alive = any(writer.is_alive() for writer in writers)
        page = store.read_since(Prediction, last, 7, model="churn")
        found += page.rows
        last = page.last
        if not alive and not page.rows:
            break
    assert len(found) == len({row.prediction_id for row in found}) == 250
    assert tuple(found) == store.read_since(Prediction, 0, 1000, model="churn").rows


def test_a_row_that_commits_behind_a_later_one_is_waited_for(postgres_url: str) -> None:
    """The hazard is real: the later row is visible while the number before it is still being written."""
    direct = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    found: list[Prediction] = []
    with EventStore(postgres_url, patience=5.0) as store, writing(store) as writer:
        store.ping()
        with direct.connect() as slow:
            slow.execute(text(SHARE))
            slow.execute(EVENTS[Prediction].table.insert().values(**prediction("slow")._asdict()))
            writer.write([prediction("fast")])
            with direct.connect() as naive:
                assert naive.execute(text("SELECT entity FROM predictions")).scalars().all() == ["fast"]
            reader = threading.Thread(
                target=lambda: found.extend(store.read_since(Prediction, 0, 9, model="churn").rows)
            )
            reader.start()
            time.sleep(0.2)
            assert found == []
            slow.commit()
            reader.join(5)
    direct.dispose()
    assert [row.entity for row in found] == ["slow", "fast"]


def test_a_reader_gives_up_when_a_writer_does_not_end(postgres_url: str) -> None:
    direct = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with EventStore(postgres_url, patience=0.3) as store:
        store.ping()
        with direct.begin() as slow:
            slow.execute(text(SHARE))
            with pytest.raises(EventStoreError, match="lock timeout"):
                store.read_since(Prediction, 0, 9, model="churn")
        assert store.read_since(Prediction, 0, 9, model="churn").rows == ()
    direct.dispose()


def test_only_what_was_exported_and_is_old_is_deleted(store: EventStore) -> None:
    write(store, *(prediction(str(number), at=NOW + number) for number in range(10)), truth(named("p")))
    assert store.retain("churn", NOW + 100) == 0
    page = store.read_since(Prediction, 0, 6, model="churn")
    store.mark_exported(Prediction, "churn", page.last)
    assert store.retain("churn", NOW + 4, batch=3) == 4
    assert store.retain("churn", NOW + 100, batch=1) == 2
    assert [row.entity for row in store.read_since(Prediction, 0, 99, model="churn").rows] == ["6", "7", "8", "9"]
    assert (
        store.read_since(Prediction, page.last, 99, model="churn").rows
        == store.read_since(Prediction, 0, 99, model="churn").rows
    )
    assert len(store.read_since(Outcome, 0, 9, model="churn").rows) == 1


def test_the_number_of_a_deleted_row_is_not_given_out_again(store: EventStore) -> None:
    write(store, prediction("old", at=NOW))
    last = store.read_since(Prediction, 0, 9, model="churn").last
    store.mark_exported(Prediction, "churn", last)
    assert store.retain("churn", NOW + 1) == 1
    write(store, prediction("new"))
    assert [row.entity for row in store.read_since(Prediction, last, 9, model="churn").rows] == ["new"]


def test_a_mark_never_goes_back_and_health_says_how_far_behind_the_graph_is(store: EventStore) -> None:
    write(store, *(prediction(str(number)) for number in range(4)))
    last = store.read_since(Prediction, 0, 3, model="churn").last
    store.mark_exported(Prediction, "churn", last)
    store.mark_exported(Prediction, "churn", last - 1)
    assert store.exported_until(Prediction, "churn") == last
    found = store.health()
    assert waiting(found.behind) == {"predictions": 1}
    assert found.size > 4096


def test_each_model_is_taken_by_itself_and_one_that_nobody_takes_stays(store: EventStore) -> None:
    rows = [prediction(str(number), model=("churn", "retail")[number % 2]) for number in range(10)]
    write(store, *rows, minute(), minute(model="retail"))
    page = store.read_since(Prediction, 0, 3, model="churn")
    assert [row.entity for row in page.rows] == ["0", "2", "4"]
    store.mark_exported(Prediction, "churn", page.last)
    assert waiting(store.count_behind("churn")) == {"predictions": 2, "traffic": 1}
    assert waiting(store.health().behind) == {"predictions": 5, "traffic": 2}
    assert store.retain("retail", NOW + 100) == 0
    assert store.retain("churn", NOW + 100) == 3
    assert store.exported_until(Prediction, "retail") == 0
    assert len(store.read_since(Prediction, 0, 99, model="retail").rows) == 5
    assert store.count_behind("churn")["predictions"] == 2


def test_traffic_of_a_minute_is_there_once_for_each_worker_and_model(store: EventStore) -> None:
    rows = [minute(), minute("b"), minute(model="retail"), minute(since=NOW + 1)]
    write(store, *rows)
    write(store, *rows)
    assert store.read_since(Traffic, 0, 9, model="churn").rows == (rows[0], rows[1], rows[3])


def test_a_prediction_is_found_by_its_id_with_what_was_said_of_it(store: EventStore) -> None:
    row = prediction("a")
    said = [truth(row.prediction_id, value, observed=NOW + at) for at, value in enumerate((1, 0))]
    write(store, prediction("b"), row, *said, truth(named("other")))
    assert store.find(Prediction, row.prediction_id) == row
    assert store.find(Prediction, named("other")) is None
    assert store.outcomes_of(row.prediction_id) == tuple(said)


def test_a_store_keeps_its_identity_and_another_has_another(url: str, tmp_path: Path) -> None:
    with EventStore(url) as one, EventStore(url) as same, EventStore(f"sqlite:///{tmp_path}/other.db") as other:
        assert not other.exists
        assert one.identity == same.identity != other.identity
        assert one.exists
        assert other.exists


def test_tables_of_another_release_are_left_alone(url: str) -> None:
    """A server does not write half into what it does not know."""
    older = create_engine(parse_url(url))
    with older.begin() as connection:
        connection.execute(text("CREATE TABLE outcomes (sequence BIGINT, prediction_id TEXT)"))
    older.dispose()
    with EventStore(url) as store, pytest.raises(EventStoreError, match="move the database away"):
        store.ping()
    with EventStore(url) as store, writing(store) as writer, pytest.raises(EventStoreError, match="its table outcomes"):
        writer.write([prediction()])


def test_the_rows_of_a_model_are_forgotten_taken_or_not_and_those_of_others_stay(store: EventStore) -> None:
    write(store, prediction("1"), truth(named("p")), minute(), prediction("2", model="churn_2"))
    store.mark_exported(Prediction, "churn", 1)
    store.mark_exported(Prediction, "churn_2", 1)
    assert (store.count("churn"), store.count("churn_2")) == (3, 1)
    for _ in range(2):
        store.forget("churn")
    assert (store.count("churn"), store.count("churn_2")) == (0, 1)
    assert (store.exported_until(Prediction, "churn"), store.exported_until(Prediction, "churn_2")) == (0, 1)
