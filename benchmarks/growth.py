"""Two years of takes, daily files and weekly training sets, on a clock of their own: files, bytes, what one more takes.

The clock ends now, because deltalake's own is the machine's. The last days have a take every five minutes, the days
before one: of a day that is over one file is left in either case.
"""

import csv
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

from benchmarks.figure import Figure, figures
from benchmarks.process import say
from ml_assets.events.rows import Event, Prediction, Traffic, outcome, prediction_id
from ml_assets.events.store import EventStore
from ml_assets.ingest.ingest import ingest
from ml_assets.monitoring.log.take import take
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets.storage.lake import Lake
from ml_assets.training.dataset import build
from ml_assets.training.definition import ModelDefinition, assemble

MARKS = (30, 182, 365, 730)
FILES, COUNT, INGEST, NOTHING = 8_000, 0.5, 2.0, 3.0
"""The lines of docs/data.md, for a model: files of what servers wrote, and seconds."""

_DAY = 86_400
_BUSY, _OFTEN = 4, 288  # days at the end with as many takes
_CUSTOMERS, _ORDERS, _ANSWERS = 200, 60, 20
_KEEP = timedelta(days=30)
_SUNDAY = 6
_EVENTS = ("prediction_log", "outcomes", "exposures", "searches", "traffic")
_FEATURES = '{"orders":12,"mean_amount":19.5,"days_since":3.25,"kind":"a","tickets":0,"plan":"monthly"}'
_QUERIES = {
    "population.sql": "SELECT DISTINCT customer FROM orders",
    "label.sql": "SELECT population.customer, CASE WHEN count(made_at) < 3 THEN 1 ELSE 0 END AS label "
    "FROM population LEFT JOIN orders USING (customer) GROUP BY population.customer",
    "features/habits.sql": "SELECT customer, count(*) AS orders, avg(amount) AS mean FROM orders GROUP BY customer",
}


class Scattered(Lake):
    """A lake in which nothing is gathered."""

    def compact(self, table: str, *, kept: timedelta | None = None) -> bool:  # noqa: ARG002 - as its parent
        """Do nothing."""
        return False


@dataclass
class History:
    """A model whose days go by.

    Args:
        root: its data folder.
        days: how many until now.
        often: takes of each of the last days.
        kind: the lake.
    """

    root: Path
    days: int
    often: int = _OFTEN
    kind: type[Lake] = Lake
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.real = time.time()
        self.now = self.real - self.real % _DAY - self.days * _DAY
        self.lake = self.kind(str(self.root / "lake"), clock=lambda: self.now)
        self.store = EventStore(f"sqlite:///{self.root}/events.db")
        self.spec = SourceSpec(name="orders", files="orders/*.csv", event_time="made_at")
        self.folder = self._folder()
        self.chance = random.Random(7)  # noqa: S311 - orders

    @property
    def day(self) -> date:
        """Today."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def live(self) -> Iterator[int]:
        """Let all days go by; says after each how many went."""
        writer = self.store.writer()
        for gone in range(1, self.days + 1):
            takes, midnight = self.often if gone > self.days - _BUSY else 1, self.now
            for number in range(takes):
                self.now = midnight + (number + 0.5) * _DAY / takes
                writer.write(self._events())
                self.take()
            self.deliver()
            self.ingest()
            self.now = midnight + _DAY
            if self.day.weekday() == _SUNDAY:
                self.train()
            self.store.retain("shop", round((self.now - _KEEP.total_seconds()) * 1e6))
            self._age()
            yield gone
        writer.close()

    def take(self) -> None:
        """What the prediction log does."""
        take(self.lake, self.store, "shop", self.day)

    def deliver(self) -> None:
        """The file of a day."""
        path = self.root / "incoming" / "orders" / f"{self.day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["customer", "made_at", "amount"])
            for number in range(_ORDERS):
                at = f"{self.day}T{number % 24:02}:00:00"
                rows.writerow([self.chance.randrange(_CUSTOMERS), at, round(self.chance.gauss(20, 5), 2)])

    def ingest(self) -> None:
        """What the raw table does."""
        at = datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None)
        ingest(self.lake, "shop/raw/orders", self.spec, self.root / "incoming", now=at)

    def train(self) -> None:
        """The training set of the last date, where there is history enough."""
        as_of = self.folder.spec.cadence.latest(self.day)
        if as_of >= self.folder.spec.cadence.start + timedelta(weeks=10):
            build(self.lake, self.folder, as_of)

    def size(self, *tables: str) -> tuple[int, int]:
        """Files and bytes of tables."""
        folders = [self.root / "lake" / "shop" / table for table in tables]
        found = [file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file()]
        return len(found), sum(found)

    def _events(self) -> list[Event]:
        at, made = round(self.now * 1e6), list[Event]()
        for entity in range(_ANSWERS):
            identity = prediction_id("shop", round(self.now * 1e9) + next(self.numbers))
            made.append(Prediction(
                identity, "shop", "7", "champion", str(entity), str(self.day), 0.25, "keep", _FEATURES, None, None, at,
                180,
            ))  # fmt: skip
            if entity % 4 == 0:
                made.append(outcome(identity, "label", 1.0, observed_at=at, received_at=at))
        made.append(Traffic("shop", "a", at - 60_000_000, at, _ANSWERS, 0, 0, "[]"))
        return made

    def _age(self) -> None:
        """Files that were written since the last call are of today, of this clock."""
        for folder in [self.root / "lake" / "shop" / table for table in _EVENTS]:
            for place in (folder, folder / "_delta_log"):
                for file in os.scandir(place) if place.exists() else ():
                    if file.is_file() and file.stat().st_mtime >= self.real - 1:
                        os.utime(file.path, (self.now, self.now))

    def _folder(self) -> ModelDefinition:
        for name, sql in _QUERIES.items():
            path = self.root / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sql)
        sunday = self.day + timedelta(days=6 - self.day.weekday())
        spec = ModelSpec.model_validate({
            "entity": "customer", "cadence": {"every": "weekly", "start": sunday},
            "label": {"sql": "label.sql", "horizon": "14d"}, "features": ["habits"],
            "estimator": {"type": "sklearn.linear_model.LogisticRegression"}, "window": {"train": 26, "test": 4},
        })  # fmt: skip
        views = [ViewSpec(name="habits", sql="features/habits.sql", lookback=timedelta(weeks=8))]
        return assemble("shop", self.root / "shop", spec, [self.spec], views)


def measure(quick: bool) -> list[Figure]:
    """At a month, half a year, a year and two years; and four busy days in which nothing is gathered."""
    marks, often = ((4, 8), 12) if quick else (MARKS, _OFTEN)
    return [*_measured(marks, often, Lake), *_measured((_BUSY,), often, Scattered)]


def _measured(marks: tuple[int, ...], often: int, kind: type[Lake]) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), marks[-1], often, kind)
        for day in history.live():
            if day in marks:
                name = f"{day} days" if kind is Lake else f"{day} busy days, nothing gathered"
                for figure in _figures(history, name, promised=kind is Lake):
                    say(f"{figure.name}: {figure.ours[0]:,.3g} {figure.unit}")
                    yield figure


def _figures(history: History, of: str, *, promised: bool) -> list[Figure]:
    (files, size), raw, sets = history.size(*_EVENTS), history.size("raw"), history.size("training_set")
    history.deliver()
    count = _seconds(lambda: history.lake.query("SELECT count(*) FROM p", p="shop/prediction_log"), 5)
    ingested = _seconds(history.ingest, 1)

    def nothing_new() -> None:
        history.take()
        history.ingest()
        history.train()

    nothing_new()
    lines: list[tuple[float, str]] = [(FILES, "files"), (COUNT, "s"), (INGEST, "s"), (NOTHING, "s")]
    names = ["files of what servers wrote", "a count over the prediction log", "an ingest", "a run with nothing new"]
    values: list[list[float]] = [[files], count, ingested, _seconds(nothing_new, 3)]
    rest = [("bytes of what servers wrote", size), ("bytes of raw tables", raw[1]), ("bytes of training sets", sets[1])]
    return [
        figures(f"{of}: {name}", unit, value, limit=most if promised else None)
        for name, value, (most, unit) in zip(names, values, lines, strict=True)
    ] + [figures(f"{of}: {name}", "MB", [value / 1e6]) for name, value in rest]


def _seconds(work: Callable[[], object], times: int) -> list[float]:
    """Of processors: the lines hold on a machine that is not quiet, too."""
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return found
