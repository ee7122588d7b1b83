"""The graph takes each row once, in order, whoever writes meanwhile; what it has and is old is deleted."""

import threading
import time

import pytest
from sqlalchemy import create_engine, make_url, text

from ml_assets.serving.event_database import SHARE
from ml_assets.serving.event_tables import TABLES, EventStoreError, Outcome, Prediction
from ml_assets.serving.events import EventStore
from ml_assets_tests.serving.traffic import NOW, prediction, truth, write, writing


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
        page = store.read_since(Prediction, last, 7)
        found += page.rows
        last = page.last
        if not alive and not page.rows:
            break
    assert len(found) == len({row.prediction_id for row in found}) == 250
    assert tuple(found) == store.read_since(Prediction, 0, 1000).rows


def test_a_row_that_commits_behind_a_later_one_is_waited_for(postgres_url: str) -> None:
    """The hazard is real: the later row is visible while the number before it is still being written."""
    direct = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    found: list[Prediction] = []
    with EventStore(postgres_url, patience=5.0) as store, writing(store) as writer:
        store.ping()
        with direct.connect() as slow:
            slow.execute(text(SHARE))
            slow.execute(TABLES[Prediction].insert().values(**prediction("slow")._asdict()))
            writer.write([prediction("fast")])
            with direct.connect() as naive:
                assert naive.execute(text("SELECT entity FROM predictions")).scalars().all() == ["fast"]
            reader = threading.Thread(target=lambda: found.extend(store.read_since(Prediction, 0, 9).rows))
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
                store.read_since(Prediction, 0, 9)
        assert store.read_since(Prediction, 0, 9).rows == ()
    direct.dispose()


def test_only_what_was_exported_and_is_old_is_deleted(store: EventStore) -> None:
    write(store, *(prediction(str(number), at=NOW + number) for number in range(10)), truth("p"))
    assert store.retain(NOW + 100) == 0
    page = store.read_since(Prediction, 0, 6)
    store.mark_exported(Prediction, page.last)
    assert store.retain(NOW + 4, batch=3) == 4
    assert store.retain(NOW + 100, batch=1) == 2
    assert [row.entity for row in store.read_since(Prediction, 0, 99).rows] == ["6", "7", "8", "9"]
    assert store.read_since(Prediction, page.last, 99).rows == store.read_since(Prediction, 0, 99).rows
    assert len(store.read_since(Outcome, 0, 9).rows) == 1


def test_the_number_of_a_deleted_row_is_not_given_out_again(store: EventStore) -> None:
    write(store, prediction("old", at=NOW))
    last = store.read_since(Prediction, 0, 9).last
    store.mark_exported(Prediction, last)
    assert store.retain(NOW + 1) == 1
    write(store, prediction("new"))
    assert [row.entity for row in store.read_since(Prediction, last, 9).rows] == ["new"]


def test_a_mark_never_goes_back_and_health_says_how_far_behind_the_graph_is(store: EventStore) -> None:
    write(store, *(prediction(str(number)) for number in range(4)))
    last = store.read_since(Prediction, 0, 3).last
    store.mark_exported(Prediction, last)
    store.mark_exported(Prediction, last - 1)
    assert store.exported(Prediction) == last
    found = store.health()
    assert found.behind == {"predictions": 1, "exposures": 0, "outcomes": 0}
    assert found.size > 4096
