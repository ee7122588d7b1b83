"""What several folders of tests share. Nothing heavy is imported here: most tests need DuckDB and Delta only."""

import contextlib
import functools
import gc
import os
import shutil

# Before any heavy library is imported: no telemetry, and no threads that spin while they wait.
os.environ.update({
    "GOMP_SPINCOUNT": "1000",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "False",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",
})  # fmt: skip

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from ml_assets.features.engine import compute
from ml_assets.features.query import check
from ml_assets.features.view import Relation, View
from ml_assets.ingest.ingest import Ingested, ingest
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition, assemble

settings.register_profile("untimed", settings.default, deadline=None)  # machines of tests are not idle
settings.load_profile("untimed")

Row = Mapping[str, Any]
MEMORY = "/dev/shm"  # noqa: S108 - pytest makes a folder of its user's own in it


def pytest_configure(config: pytest.Config) -> None:
    """Folders of the unit suite lie in memory, if there is room: SQLite waits for a disk at each commit.

    A process that is killed leaves the same there. What it takes to read and write a disk is no part of any test.
    """
    gc.set_threshold(20_000, 20, 20)  # one second in eleven went into looking for garbage
    with contextlib.suppress(OSError):
        volume = os.statvfs(MEMORY)
        roomy = volume.f_bavail * volume.f_frsize > 4 * 1024**3 and not volume.f_flag & os.ST_NOEXEC
        if roomy and config.option.markexpr == "not slow":
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: nobody need look through it for garbage with each test."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """At exit everything goes: bindings of native libraries report what is left."""
    gc.unfreeze()


@contextlib.contextmanager
def _restoring_process() -> Iterator[None]:
    """The umask, the environment and the folder of the process are those of before in the end.

    A command that is called within the test process makes its files private and names its home; MLflow exports the
    registry that was asked last.
    """
    folder, variables, umask = Path.cwd(), dict(os.environ), os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    os.chdir(folder)
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


@pytest.fixture(autouse=True, scope="module")
def restored_module() -> Iterator[None]:
    """What a file's own set-up leaves behind is not there for the next file."""
    with _restoring_process():
        yield


@pytest.fixture(autouse=True)
def restored_process() -> Iterator[None]:
    """What a test leaves behind is not there for the next one."""
    with _restoring_process():
        yield


TIME = pa.timestamp("us")
SCHEMAS = {
    "orders": pa.schema([("customer", pa.int64()), ("made_at", TIME), ("amount", pa.float64()), ("kind", pa.string())]),
    "tickets": pa.schema([("customer", pa.int64()), ("made_at", TIME), ("known", TIME), ("weight", pa.float64())]),
}
SOURCES = {
    "orders": SourceSpec(name="orders", files="orders/*.parquet", event_time="made_at"),
    "tickets": SourceSpec(name="tickets", files="tickets/*.parquet", event_time="made_at", known_at="known"),
}
RELATIONS = {
    "orders": Relation("orders", "shop/raw/orders", "made_at"),
    "tickets": Relation("tickets", "shop/raw/tickets", "made_at", "known"),
}


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1})


@contextlib.contextmanager
def shared() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to one DuckDB in memory, in place of a DuckDB of its own: that takes 15 ms, and there are hundreds.

    What a `Lake` puts into it is temporary, and so seen by this connection only.
    """
    with _database().cursor() as connection:
        yield connection


# The check of a query opens a DuckDB too, and is a pure function.
_checked = functools.cache(check)


def made(source: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as a file of a source has them; what a row leaves out is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMAS[source])


class Shop:
    """A drop zone, a lake and two sources: deliver rows, ask views."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake = Lake(str(root / "lake"), shared)
        self.delivered = 0

    def deliver(self, source: str, rows: Sequence[Row], **more: pa.Array) -> Ingested:
        """Ingest a file of rows, with `more` columns than the source has had."""
        self.delivered += 1
        path = self.root / "incoming" / source / f"{self.delivered:04}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = made(source, rows)
        for name, column in more.items():
            table = table.append_column(name, column)
        pq.write_table(table, path)
        return ingest(self.lake, RELATIONS[source].table, SOURCES[source], self.root / "incoming")

    def append(self, source: str, rows: Sequence[Row]) -> None:
        """Rows in the lake without the ingest: for tests of what reads them."""
        table = made(source, rows)
        table = table.append_column("_file", pa.repeat(pa.scalar("a"), len(table)))
        self.lake.append(RELATIONS[source].table, table)

    def view(
        self,
        sql: str,
        name: str = "features/view",
        *,
        lookback: timedelta | None = None,
        horizon: timedelta | None = None,
        views: tuple[tuple[str, View], ...] = (),
    ) -> View:
        """A view of `customer` over the sources."""
        query = _checked(sql, (*RELATIONS, *(other for other, _ in views)), where=f"shop/{name}.sql")
        read = tuple(RELATIONS[relation] for relation in query.relations if relation in RELATIONS)
        return View(f"shop/{name}", query, "customer", read, views, lookback, horizon)

    def at(self, view: View, *days: date) -> list[list[dict[str, Any]]]:
        """The view's rows at each day, without `as_of`, in the order of the entity."""
        return [
            sorted(rows.drop_columns("as_of").to_pylist(), key=lambda row: row["customer"])
            for _, rows in compute(self.lake, view, days, workers=1)
        ]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


FIRST = date(2025, 1, 5)
AS_OF = FIRST + timedelta(weeks=14)
QUERIES = {
    "population.sql": "SELECT DISTINCT customer FROM orders",
    "label.sql": "SELECT population.customer, CASE WHEN count(made_at) = 0 THEN 1 ELSE 0 END AS label "
    "FROM population LEFT JOIN orders USING (customer) GROUP BY population.customer",
    "features/habits.sql": "SELECT customer, count(*) AS orders, avg(amount) AS mean_amount, "
    "date_diff('second', max(made_at), $as_of) / 86400.0 AS days_since, max(kind) AS kind FROM orders "
    "GROUP BY customer",
}
MODEL: dict[str, Any] = {
    "entity": "customer",
    "cadence": {"every": "weekly", "start": FIRST},
    "label": {"sql": "label.sql", "horizon": "14d"},
    "features": ["habits"],
    "estimator": {"type": "sklearn.linear_model.LogisticRegression"},
    "window": {"train": 6, "test": 2},
}


class Tiny(Shop):
    """A shop with a model folder, `shop`: who will not order within two weeks?"""

    def __init__(self, root: Path, queries: Mapping[str, str] = QUERIES) -> None:
        super().__init__(root)
        self.path = root / "shop"
        for name, sql in queries.items():
            self.write(name, sql)

    def write(self, name: str, sql: str) -> None:
        """A query of the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql, encoding="utf-8")

    @property
    def registry(self) -> Registry:
        """An MLflow of its own."""
        return Registry(f"sqlite:///{self.root}/mlflow/mlflow.db", str(self.root / "artifacts"))

    def take_registry(self, empty: Path) -> None:
        """Start with a copy of an empty database: to create one takes MLflow seconds."""
        (self.root / "mlflow").mkdir(parents=True)
        shutil.copy(empty, self.root / "mlflow" / "mlflow.db")

    def folder(self, **changes: Any) -> ModelDefinition:
        """The folder, checked."""
        views = [ViewSpec(name="habits", sql="features/habits.sql", lookback=timedelta(weeks=8))]
        return assemble("shop", self.path, ModelSpec(**(MODEL | changes)), [*SOURCES.values()], views)


def habits(weeks: range, *, customers: int = 80, seed: int = 0) -> list[Row]:
    """Orders of customers who come with a rate of their own: the label can be learned."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.02, 0.9, customers)
    start = datetime(FIRST.year, FIRST.month, FIRST.day)  # noqa: DTZ001 - the lake's times are naive UTC
    found: list[Row] = []
    for week in weeks:
        for customer in map(int, np.flatnonzero(rng.random(customers) < rates)):
            at = start + timedelta(days=7 * week, hours=float(rng.uniform(1, 160)))
            amount = float(rng.normal(20, 5))
            found.append({"customer": customer, "made_at": at, "amount": amount, "kind": "ab"[customer % 2]})
    return found


@pytest.fixture(scope="session")
def stocked_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with orders from ten weeks before the first as-of date up to `AS_OF`; nobody writes to it."""
    stocked = Tiny(tmp_path_factory.mktemp("stocked"))
    stocked.deliver("orders", habits(range(-10, 14)))
    return stocked.root


@pytest.fixture
def tiny(tmp_path: Path, stocked_shop: Path) -> Tiny:
    """A copy of that shop."""
    copied = Tiny(Path(shutil.copytree(stocked_shop, tmp_path / "tiny")))
    copied.delivered = 1
    return copied


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without a model. To create one takes seconds, so processes side by side share it."""
    base = tmp_path_factory.getbasetemp()
    database = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty" / "mlflow.db"
    database.parent.mkdir(exist_ok=True)
    with _restoring_process():
        assert Registry(f"sqlite:///{database}").latest("any") is None
    return database


LONGEST = (
    "test_daemon.py", "test_killed.py", "test_readme.py", "rollouts/test_end_to_end.py", "commands/test_terminal.py",
    "test_life.py", "test_documents.py", "test_end_to_end.py", "rollouts/test_experiment_processes.py",
    "serving/test_degraded.py", "serving/test_rollback.py", "replay/test_walk.py", "test_connections.py",
    "serving/test_schema.py", "serving/test_degraded_registry.py", "commands/test_replay.py", "commands/test_new.py",
    "commands/test_up.py", "serving/test_serve.py", "storage/test_compaction.py", "training/test_dataset.py",
    "components/test_automation.py", "alerts/test_delivery.py", "monitoring/performance/test_report.py",
    "monitoring/predictions/test_class_mix.py", "features/test_corrections.py", "examples/documents/test_files.py",
    "monitoring/performance/test_served.py", "ingest/test_documents.py", "monitoring/drift/test_report.py",
    "examples/documents/test_extract.py", "replay/test_classes.py", "training/test_export.py",
    "documents/test_read_linear.py", "features/test_identity.py",
)  # fmt: skip
"""Files of many seconds, the longest first: those that begin last decide when two processes side by side end."""


def _rank(item: pytest.Item) -> int:
    name = item.path.relative_to(Path(__file__).parent).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first: two processes then end together."""
    items.sort(key=_rank)
