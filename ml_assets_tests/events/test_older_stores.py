"""Event stores that an earlier release made, in which every prediction named an entity."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Table, create_engine, make_url

from ml_assets.events.rows import Prediction, Traffic
from ml_assets.events.store import EventStore
from ml_assets_tests.serving.traffic import minute, prediction, write


def before(url: str, *rows: Prediction) -> None:
    """A store whose predictions have to name an entity."""
    with EventStore(url) as store:
        write(store, *rows, minute())
        store.mark_exported(Prediction, "churn", 2)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgres") else url)
    with engine.begin() as connection:
        if url.startswith("postgres"):
            connection.exec_driver_sql("ALTER TABLE predictions ALTER COLUMN entity SET NOT NULL")
        else:
            found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'predictions'").scalar_one()
            strict = found.replace("entity TEXT", "entity TEXT NOT NULL").replace("predictions", "strict", 1)
            connection.exec_driver_sql(strict)
            connection.exec_driver_sql("INSERT INTO strict SELECT * FROM predictions")
            connection.exec_driver_sql("DROP TABLE predictions")
            connection.exec_driver_sql("ALTER TABLE strict RENAME TO predictions")
        connection.exec_driver_sql("DELETE FROM predictions WHERE sequence = 3")
    engine.dispose()


def test_a_store_of_before_takes_predictions_that_name_nobody_and_keeps_its_rows(url: str) -> None:
    rows = [prediction(str(number)) for number in range(3)]
    before(url, *rows)
    alone = prediction()._replace(entity=None)
    for _ in range(2):  # the second process finds it done
        with EventStore(url) as store:
            write(store, alone)
            page = store.read_since(Prediction, 0, 10, model="churn")
            assert page.rows == (*rows[:2], alone)
            assert page.last == 4, "the number of a row that was deleted is not given out again"
            assert store.exported(Prediction, "churn") == 2
            assert len(store.read_since(Traffic, 0, 10, model="churn").rows) == 1
            assert store.behind("churn")["predictions"] == 1


def test_an_end_in_the_middle_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    rows = [prediction(str(number)) for number in range(2)]
    before(url, *rows)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, EventStore(url) as store:
        patch.setattr(Table, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            store.ping()
    with sqlite3.connect(tmp_path / "events.db") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "predictions" in names
        assert "predictions_before" not in names
    connection.close()
    with EventStore(url) as store:
        assert store.read_since(Prediction, 0, 10, model="churn").rows == tuple(rows)
