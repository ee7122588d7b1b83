"""What servers wrote is in the lake once, whatever is killed in between, and only then it may be deleted."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from ml_assets.events.rows import Prediction, Traffic
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.settings import PROJECT
from ml_assets.storage.compaction import MOST
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import shared
from ml_assets_tests.monitoring.taking import DUE
from ml_assets_tests.processes import environment
from ml_assets_tests.serving.traffic import NOW, exposure, minute, prediction, truth, write

ALL = {"prediction_log": "prediction_id", "outcomes": "value", "exposures": "entity", "traffic": "worker"}
NONE = ("failures", "shadows", "searches")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path}/events.db") as opened:
        yield opened


def filled(store: EventStore, rows: int, since: int = 0) -> list[Prediction]:
    """Predictions, an outcome and an exposure for each, minutes, and as many of another model."""
    made = [prediction(str(number), at=NOW + number) for number in range(since, since + rows)]
    for number, row in enumerate(made, since):
        others = (prediction(str(number), model="retail"), minute(str(number), model="retail"))
        write(store, row, truth(row.prediction_id, number), exposure(str(number)), minute(str(number)), *others)
    return made


def counts(rows: int) -> dict[str, int]:
    """So many rows of each table that `filled` fills."""
    return dict.fromkeys(ALL, rows) | dict.fromkeys(NONE, 0)


def values(lake: Lake, table: str) -> list[str]:
    found = lake.query(f"SELECT {ALL[table]}::VARCHAR AS value FROM t", t=f"churn/{table}")
    return [*map(str, found["value"].to_pylist())]


def test_rows_come_as_they_were_written_with_types_of_their_own(lake: Lake, store: EventStore) -> None:
    row = prediction("a")
    bare = prediction("b")._replace(as_of=None, missing='["profile"]', stale=None, decision=None)
    write(store, row, bare, truth(row.prediction_id), exposure("a"), minute(latency="[1,0,2]"))
    done = take(lake, store, "churn", DUE)
    assert done.rows == dict.fromkeys(NONE, 0) | {
        "prediction_log": 2, "outcomes": 1, "exposures": 1, "traffic": 1
    }  # fmt: skip
    first, second = lake.query("SELECT * FROM t", t="churn/prediction_log").to_pylist()
    at = datetime(2025, 10, 9, 8, 53, 20)  # noqa: DTZ001 - the lake's times are naive UTC
    assert first == row._asdict() | {"as_of": date(2026, 8, 30), "requested_at": at, "day": at.date(), "due": DUE}
    assert (second["as_of"], second["missing"], second["decision"]) == (None, '["profile"]', None)
    (seen,) = lake.query("SELECT * FROM t", t="churn/traffic").to_pylist()
    assert (seen["latency"], seen["until"] - seen["since"], seen["due"]) == ([1, 0, 2], at.resolution * 60e6, DUE)
    assert lake.query("SELECT kind, value, observed_at FROM t", t="churn/outcomes").to_pylist() == [
        {"kind": "label", "value": "1.0", "observed_at": at}
    ]


def test_a_table_of_before_variants_takes_traffic_of_variants(lake: Lake, store: EventStore) -> None:
    write(store, minute("a"))
    take(lake, store, "churn", DUE)
    old = lake.query("SELECT * EXCLUDE (variant) FROM t", t="churn/traffic")
    before = Lake(f"{lake.root}/before", shared)
    before.append("churn/traffic", old)
    write(store, minute("b")._replace(variant="challenger"))
    take(before, store, "churn", DUE)
    seen = before.query("SELECT worker, variant FROM t", t="churn/traffic").to_pylist()
    assert [(row["worker"], row["variant"]) for row in seen] == [("a", None), ("a", "champion"), ("b", "challenger")]


def test_each_call_takes_what_is_new_in_pages(lake: Lake, store: EventStore) -> None:
    first = filled(store, 20)
    assert take(lake, store, "churn", DUE, limit=6).rows == counts(20)
    version = lake.version("churn/prediction_log")
    assert take(lake, store, "churn", DUE).rows == counts(0)
    assert lake.version("churn/prediction_log") == version
    second = filled(store, 3, since=20)
    assert take(lake, store, "churn", None, limit=2).rows == counts(3)
    assert values(lake, "prediction_log") == [row.prediction_id for row in first + second]
    stamped = lake.query("SELECT due, count(*) AS n FROM t GROUP BY due ORDER BY due", t="churn/traffic").to_pylist()
    assert stamped == [{"due": DUE, "n": 20}, {"due": None, "n": 3}]
    assert set(store.count_behind("churn").values()) == {0}
    behind = {name: rows for name, rows in store.count_behind("retail").items() if rows}
    assert behind == {"predictions": 23, "traffic": 23}


def test_what_was_taken_and_is_old_is_deleted_and_not_missed(lake: Lake, store: EventStore) -> None:
    filled(store, 10)
    take(lake, store, "churn", DUE)
    assert store.retain("churn", NOW) == 0
    assert store.retain("churn", NOW + 10**12) == 40
    filled(store, 2, since=10)
    assert take(lake, store, "churn", DUE).rows == counts(2)
    assert len(set(values(lake, "prediction_log"))) == 12


def test_a_store_that_was_replaced_is_taken_from_its_beginning(lake: Lake, store: EventStore, tmp_path: Path) -> None:
    """Its sequences begin again: what was taken of the other says nothing of them."""
    filled(store, 9)
    take(lake, store, "churn", DUE)
    with EventStore(f"sqlite:///{tmp_path}/new.db") as new:
        filled(new, 4, since=9)
        assert take(lake, new, "churn", DUE).rows == counts(4)
    assert take(lake, store, "churn", DUE).rows == counts(0)


def test_a_take_gathers_what_many_takes_left_in_their_order(lake: Lake, store: EventStore) -> None:
    made = filled(store, 1)
    take(lake, store, "churn", DUE)
    now = [(time.time() // 86_400 - 9) * 86_400]  # from midnight: what follows is of one day
    before = Lake(lake.root, shared, lambda: now[0])
    rows = lake.query("SELECT * FROM t", t="churn/traffic")
    for _ in range(MOST):
        before.append("churn/traffic", rows)
        now[0] += 1200
    order = values(lake, "traffic")
    made += filled(store, 1, since=1)
    assert take(lake, store, "churn", DUE).rows == counts(1)
    assert len(lake.files("churn/traffic")) < MOST
    assert values(lake, "traffic") == [*order, "1"]
    assert values(lake, "prediction_log") == [row.prediction_id for row in made]


def killed(lake: Lake, url: str, place: str, number: int, folder: Path) -> int:
    command = [sys.executable, "-m", "ml_assets_tests.monitoring.taking", lake.root, url, place, str(number)]
    return subprocess.run(command, cwd=PROJECT, env=environment(folder), check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize(("place", "number"), [("before", 2), ("after", 1), ("after", 5), ("mark", 1), ("mark", 3)])
def test_a_kill_loses_and_doubles_nothing(
    lake: Lake, store: EventStore, tmp_path: Path, place: str, number: int
) -> None:
    made = filled(store, 20)
    assert killed(lake, f"sqlite:///{tmp_path}/events.db", place, number, tmp_path) == -signal.SIGKILL
    store.retain("churn", NOW + 10**12)  # only what the lake has may go
    made += filled(store, 5, since=20)
    take(lake, store, "churn", DUE, limit=6)
    assert values(lake, "prediction_log") == [row.prediction_id for row in made]
    for table in ("outcomes", "exposures", "traffic"):
        assert len(values(lake, table)) == len(set(values(lake, table))) == 25
    assert set(store.count_behind("churn").values()) == {0}
    assert len(store.read_since(Traffic, 0, 99, model="retail").rows) == 25
