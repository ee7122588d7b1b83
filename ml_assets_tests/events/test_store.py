"""What is in the store is what was said, once, in order; the graph takes each row once."""

import contextlib
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ml_assets.errors import DeclarationError
from ml_assets.events.exposures import Exposure
from ml_assets.events.rows import (
    Event,
    EventRefusedError,
    EventStoreError,
    Outcome,
    Prediction,
    model_of,
    outcome,
    prediction_id,
)  # fmt: skip
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets.events.writer import PostgresWriter
from ml_assets.settings import Settings
from ml_assets_tests.serving.traffic import NOW, exposure, named, prediction, truth, write, writing

HOSTILE = ["", "'; DROP TABLE predictions; --", "%s ? :name $1", "Ünï 🎈 漢", "a\nb\t\\", '{"a": null}', "x" * 300]


@pytest.mark.parametrize("kind", EVENTS)
def test_a_table_has_the_columns_of_its_row(kind: Any) -> None:
    assert tuple(EVENTS[kind].table.c.keys()) == ("sequence", *kind._fields)


def test_all_kinds_come_back_as_they_were_written_and_in_order(store: EventStore) -> None:
    rows = [prediction(str(number)) for number in range(5)]
    bare = rows[0]._replace(prediction_id="x", as_of=None, decision=None, missing=None, stale=None)
    write(store, *rows, exposure("a"), truth(named("p"), "invoice"), bare)
    assert store.read_since(Prediction, 0, 100, model="churn").rows == (*rows, bare)
    assert store.read_since(Exposure, 0, 100, model="churn").rows == (exposure("a"),)
    (said,) = store.read_since(Outcome, 0, 100, model="churn").rows
    assert (said.prediction_id, said.value) == (named("p"), '"invoice"')


def test_pages_follow_each_other_and_an_empty_one_stays_where_it_is(store: EventStore) -> None:
    rows = [prediction(str(number)) for number in range(7)]
    write(store, *rows)
    found: list[Prediction] = []
    last = 0
    while (page := store.read_since(Prediction, last, 3, model="churn")).rows:
        found += page.rows
        last = page.last
    assert found == rows
    assert page.last == last


@pytest.mark.parametrize("said", HOSTILE, ids=lambda said: repr(said[:12]))
def test_hostile_text_is_only_text(store: EventStore, said: str) -> None:
    row = prediction(said)._replace(features=said * 1000, decision=said, variant=said)
    short = said[:100]
    write(store, row, exposure(said), outcome(named("p"), short, said, observed_at=1, received_at=1, source=short))
    assert store.read_since(Prediction, 0, 9, model="churn").rows == (row,)
    assert store.read_since(Exposure, 0, 9, model="churn").rows == (exposure(said),)
    assert store.read_since(Outcome, 0, 9, model="churn").rows[0].source == short


@pytest.mark.parametrize(
    "bad",
    [
        prediction("\ud800"),
        prediction()._replace(score=None),  # type: ignore[arg-type]  # what a caller without types could send
        prediction()._replace(score="high"),  # type: ignore[arg-type]  # the same
        prediction()._replace(features={"a": 1}),  # type: ignore[arg-type]  # the same
        prediction(at=2**70),
        prediction("x" * 301),
        exposure("🎈" * 301),
        truth(named("p"), "x" * 900),
    ],
    ids=[
        "half a character",
        "no score",
        "score in words",
        "no text",
        "number too large",
        "long entity",
        "long exposure",
        "long truth",
    ],
)
def test_what_no_store_can_hold_is_refused_and_nothing_of_its_transaction_stays(store: EventStore, bad: Event) -> None:
    with writing(store) as writer:
        with pytest.raises(EventRefusedError):
            writer.write([prediction(), bad])
        writer.write([prediction("good")])
    assert [row.entity for row in store.read_since(Prediction, 0, 9, model="churn").rows] == ["good"]


def test_a_nul_is_kept_or_refused_and_never_cut_off(store: EventStore) -> None:
    """SQLite holds it, Postgres cannot."""
    row = prediction("a\0b")
    with writing(store) as writer, contextlib.suppress(EventRefusedError):
        writer.write([row])
    kept = store.read_since(Prediction, 0, 9, model="churn").rows
    assert kept == ((row,) if store.name.startswith("sqlite") else ())


def test_the_first_exposure_stands(store: EventStore) -> None:
    write(store, exposure("a", at=NOW), exposure("a", at=NOW + 5))
    write(store, exposure("a", at=NOW - 5), exposure("a", "challenger"))
    assert store.read_since(Exposure, 0, 9, model="churn").rows == (exposure("a"), exposure("a", "challenger"))


def test_an_outcome_said_again_is_one_row_and_may_come_before_its_prediction(store: EventStore) -> None:
    write(store, truth(named("p")))
    write(store, truth(named("p")), truth(named("p"), True), prediction(identity=named("p")), truth(named("p"), 1))
    (said,) = store.read_since(Outcome, 0, 9, model="churn").rows
    assert said.value == "1.0"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_no_truth(value: float) -> None:
    with pytest.raises(EventRefusedError, match="leave it out"):
        truth(named("p"), value)


SAID = st.builds(
    outcome,
    st.sampled_from([named("p"), named("q")]),
    st.sampled_from(["label", "click"]),
    st.sampled_from([0.0, -0.0, 1, True, "yes"]),
    observed_at=st.integers(0, 2),
    received_at=st.integers(0, 10**6),
    source=st.sampled_from(["", "crm"]),
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path_factory.mktemp('arena')}/events.db") as store:
        yield store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), said=st.lists(SAID, max_size=8))
def test_outcomes_in_any_order_and_repetition_give_the_same_state(
    arena: EventStore, data: st.DataObject, said: list[Outcome]
) -> None:
    again = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=4)) if said else []))
    late = [row._replace(received_at=row.received_at + 7) for row in again]
    assert state(arena, said) == state(arena, late)


def current(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str], Outcome]:
    """The outcome in force for each prediction, kind and source: the one observed last, whatever came last.

    Of two that were observed in the same microsecond the greater value stands, as text: any rule would do that does not
    look at the order of arrival.
    """
    newest: dict[tuple[str, str, str], Outcome] = {}
    for row in outcomes:
        key = (row.prediction_id, row.kind, row.source)
        before = newest.get(key)
        if before is None or (row.observed_at, row.value) > (before.observed_at, before.value):
            newest[key] = row
    return newest


def state(arena: EventStore, said: Sequence[Outcome]) -> dict[object, tuple[str, int]]:
    """What stands after these outcomes; the names of the predictions are new ones."""
    before, world = _end(arena), uuid.uuid4().hex
    with writing(arena) as writer:
        for row in said:
            writer.write([row._replace(prediction_id=world + row.prediction_id)])
    rows = [
        row._replace(prediction_id=row.prediction_id[32:])
        for row in arena.read_since(Outcome, before, 99, model="churn").rows
    ]
    assert len({row[:-1] for row in rows}) == len(rows)
    return {key: (row.value, row.observed_at) for key, row in current(rows).items()}


def _end(store: EventStore) -> int:
    return store.read_since(Outcome, 0, 10**6, model="churn").last


def test_the_outcome_observed_last_is_in_force_whatever_came_last() -> None:
    first, corrected = truth(named("p"), 1, observed=1), truth(named("p"), 0, observed=2)
    assert current([corrected, first]) == current([first, corrected]) == {(named("p"), "label", ""): corrected}


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    made = [prediction_id("churn", 1_760_000_000_000_000_000 + 1_000 * number) for number in range(2_000)]
    assert made == sorted(made)
    assert len({prediction_id("churn", 1) for _ in range(10_000)}) == 10_000
    numbers = [uuid.UUID(one.removeprefix("churn.")) for one in made]
    assert {(number.version, number.variant) for number in numbers} == {(7, uuid.RFC_4122)}
    assert f"churn.{numbers[0]}" == made[0]


def test_an_id_says_whose_it_is() -> None:
    assert model_of(prediction_id("eu.churn", 1)) == "eu.churn"


@pytest.mark.parametrize("bad", ["", "p", "churn.", "churn.7", named("p")[6:], named("p")[:-1],
                                 named("p", "x" * 70), named("p", ""), named("p") + "\n"])  # fmt: skip
def test_what_is_no_id_is_refused(bad: str) -> None:
    with pytest.raises(EventRefusedError, match="send back the one of the answer"):
        outcome(bad, "label", 1, observed_at=1, received_at=1)


def test_several_stores_begin_at_once_on_nothing(url: str) -> None:
    failed: list[Exception] = []

    def begin() -> None:
        try:
            with EventStore(url) as store:
                write(store, prediction())
        except EventStoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with EventStore(url) as store:
        assert len(store.read_since(Prediction, 0, 99, model="churn").rows) == 8


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "not the URL"), ("events.db", "not the URL"), ("sqlite://", "a file"), ("sqlite:///:memory:", "a file"),
        ("mysql://user:s3cret@host/db", "'mysql'"), ("postgresql://user:s3cret@host:port/db", "not the URL"),
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused_without_its_secret(bad: str, why: str) -> None:
    with pytest.raises(DeclarationError, match=why) as caught:
        EventStore(bad)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_away_is_an_error_without_its_secret() -> None:
    with EventStore("postgresql://user:s3cret@127.0.0.1:9/db?password=s3cret", patience=1.0) as store:
        assert store.name == "postgresql://127.0.0.1/db"
        with pytest.raises(EventStoreError, match=r"event store postgresql://127\.0\.0\.1/db: connection") as caught:
            store.ping()
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"no database " * 1000)
    with EventStore(f"sqlite:///{tmp_path}/events.db") as store:
        with pytest.raises(EventStoreError, match="not a database"):
            store.ping()
        with writing(store) as writer, pytest.raises(EventStoreError, match="not a database"):
            writer.write([prediction()])


def test_the_store_of_the_settings_is_in_data_and_its_password_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ML_ASSETS_EVENT_STORE", raising=False)
    assert Settings(data=tmp_path).event_store_url == f"sqlite:///{tmp_path}/events.db"
    monkeypatch.setenv("ML_ASSETS_EVENT_STORE", "postgresql://user:s3cret@host/db")
    chosen = Settings()
    assert chosen.event_store_url == "postgresql://user:s3cret@host/db"
    assert "s3cret" not in repr(chosen) + str(chosen.model_dump()) + chosen.model_dump_json()


def test_a_connection_that_was_cut_is_made_anew_and_nothing_is_there_twice(postgres_url: str) -> None:
    with EventStore(postgres_url) as store, writing(store) as writer:
        assert isinstance(writer, PostgresWriter)
        writer.write([prediction("before")])
        with writer._engine.connect() as connection:
            number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store._engine.begin() as other:
            other.execute(text(f"SELECT pg_terminate_backend({number})"))
        writer.write([prediction("after")])
        assert [row.entity for row in store.read_since(Prediction, 0, 9, model="churn").rows] == ["before", "after"]
