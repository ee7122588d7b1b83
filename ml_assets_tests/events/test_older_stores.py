"""Stores that earlier releases made are brought to today's layout in place; stores of later releases are refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ml_assets.events import migrations
from ml_assets.events.rows import EventStoreError, Prediction, Traffic
from ml_assets.events.schema import METADATA, VERSION
from ml_assets.events.store import EventStore
from ml_assets.settings import PROJECT
from ml_assets_tests.events.old_layout import ROWS, make_old, opened
from ml_assets_tests.serving.traffic import minute, prediction, write


def layout(url: str) -> dict[str, Any]:
    """Columns, keys and checks of each table, as the database says them."""
    engine = opened(url)
    tables = inspect(engine)
    found: dict[str, Any] = {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in tables.get_columns(name)],
            sorted(str(unique["column_names"]) for unique in tables.get_unique_constraints(name)),
            sorted(str(check["name"]) for check in tables.get_check_constraints(name)),
            tables.get_pk_constraint(name)["constrained_columns"],
        )
        for name in tables.get_table_names()
    }
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            strict = connection.execute(text("SELECT name, strict FROM pragma_table_list WHERE type = 'table'"))
            found["strict"] = sorted(tuple(row) for row in strict)
            counted = connection.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"))
            found["counted"] = sorted(counted.scalars())
    engine.dispose()
    return found


def run(what: str, url: str) -> int:
    """What a process of `migrating` says."""
    command = [sys.executable, "-m", "ml_assets_tests.events.migrating", what, url]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def require_whole(url: str) -> None:
    """The store has its rows, its numbers, its identity and the layout of a new one."""
    alone = prediction()._replace(entity=None)
    for count in (1, 2):  # the second process finds it done
        with EventStore(url) as store:
            write(store, alone, minute("b")._replace(variant="challenger"), minute("b"))
            assert store.identity == "as before"
            page = store.read_since(Prediction, 0, 10, model="churn")
            assert page.rows == (*ROWS[:2], alone)
            assert page.last == 4, "the number of a row that was deleted is not given out again"
            assert store.exported_until(Prediction, "churn") == 2
            before, *after = store.read_since(Traffic, 0, 10, model="churn").rows
            assert before == minute("a")
            assert [row.variant for row in after] == ["challenger", "champion"]
            assert store.count_behind("churn")["predictions"] == 1, count


@pytest.mark.parametrize("nullable", [False, True], ids=["a32b370", "entities may be null"])
def test_a_store_of_before_is_brought_to_the_layout_of_a_new_one_and_keeps_its_rows(url: str, nullable: bool) -> None:
    make_old(url, nullable=nullable)
    require_whole(url)
    migrated, engine = layout(url), opened(url)
    METADATA.drop_all(engine)
    engine.dispose()
    with EventStore(url) as new:
        new.ping()
    assert migrated == layout(url)


@pytest.mark.slow
def test_a_migration_that_is_killed_at_any_statement_ends_as_if_it_had_not_been(url: str) -> None:
    make_old(url)
    assert run("killed", url) > 10
    require_whole(url)


def test_of_several_servers_one_migrates(url: str) -> None:
    make_old(url)
    assert run("together", url) == 1
    require_whole(url)


def test_a_store_that_was_half_made_is_completed(url: str) -> None:
    make_old(url)
    engine = opened(url)
    with engine.begin() as connection:
        for name in ("traffic", "searches", "exported"):
            connection.execute(text(f"DROP TABLE {name}"))
    engine.dispose()
    with EventStore(url) as store:
        write(store, minute()._replace(variant="challenger"))
        assert [row.variant for row in store.read_since(Traffic, 0, 9, model="churn").rows] == ["challenger"]


def test_a_server_of_before_goes_on_writing_while_others_are_upgraded(url: str) -> None:
    make_old(url)
    with EventStore(url) as store:
        store.ping()
        engine = opened(url)
        with engine.begin() as connection:
            names, row = "model, worker, since, until, requests, refused, errors, latency", minute("old")
            marks = ", ".join(f":{name}" for name in names.split(", "))
            insert = text(f"INSERT INTO traffic ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING")
            for _ in range(2):
                connection.execute(insert, row._asdict())
        engine.dispose()
        assert store.read_since(Traffic, 1, 9, model="churn").rows == (row,)


def test_a_store_of_a_newer_release_is_refused_by_its_name(url: str) -> None:
    with EventStore(url) as store:
        write(store, prediction())
    engine = opened(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE event_store_version SET version_num = '0999'"))
    engine.dispose()
    with EventStore(url) as store:
        with pytest.raises(
            EventStoreError, match=r"layout is 0999, made by a newer release.*upgrade ml_assets"
        ) as caught:
            store.ping()
        assert store.name in str(caught.value)
        with pytest.raises(EventStoreError, match="newer release"):
            write(store, prediction())


def test_the_version_of_the_schema_is_the_last_revision() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [VERSION]
    assert max(revision.revision for revision in script.walk_revisions()) == VERSION
