"""What servers recorded, taken by the loop: each row of the event store is in the lake, and the reports can be made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from ml_assets.events.rows import Event, Kind, Outcome, Prediction, Search, Traffic
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import table, take
from ml_assets.monitoring.performance.report import performance_report
from ml_assets.monitoring.predictions.traffic import served_traffic
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.storage.duck import memory
from ml_assets.storage.lake import Lake
from ml_assets_tests.conftest import AS_OF, Tiny, habits
from ml_assets_tests.monitoring.answered import answering
from ml_assets_tests.monitoring.predicted import Predicted, weeks
from ml_assets_tests.serving.traffic import write

_KINDS: tuple[Kind, ...] = (Prediction, Outcome, Search, Traffic)
_PAGE = 5_000


@dataclass(frozen=True)
class Recorded:
    """Events of an event store, and how many of them the lake has not."""

    rows: int
    missing: int


def taken(url: str, lake: Lake, *models: str) -> Recorded:
    """Take all events of models, and count on both sides."""
    recorded = missing = 0
    with EventStore(url) as store:
        for model in models:
            take(lake, store, model, date(2026, 11, 15))
            for kind in _KINDS:
                there, name = sum(1 for _ in _read(store, kind, model)), table(model, kind)
                found = 0 if lake.version(name) is None else len(lake.query("SELECT 1 FROM t", t=name))
                recorded, missing = recorded + there, missing + there - found
            served_traffic(lake, model, date(2026, 11, 15))
    return Recorded(recorded, missing)


def reported(url: str, model: str, folder: Path) -> int:
    """The outcomes of a model, said of the answers of a shop whose labels are known: rows of its performance report."""
    shop = Tiny(folder / "tiny")
    shop.deliver("orders", habits(range(-10, 14)))
    of = Predicted(shop)
    of.score(weeks(*range(-6, 1)))
    with EventStore(url) as store, answering(of, folder) as answered:
        ids = [row.prediction_id for row in answered.answer(weeks(-2)[0])]
        rows = (row for row in _read(store, Outcome, model) if isinstance(row, Outcome))
        moved = (row._replace(model="shop", prediction_id=ids[at % len(ids)]) for at, row in enumerate(rows))
        while page := tuple(islice(moved, _PAGE)):
            write(answered.store, *page)
        answered.take(AS_OF)
        report = performance_report(of.lake, of.shelf, of.folder, PerformanceSpec(min_rows=20, resamples=100), AS_OF)
    return len(report.rows)


def memory_lake(folder: Path) -> Lake:
    """A lake of a folder of its own."""
    return Lake(str(folder / "lake"), memory)


def _read(store: EventStore, kind: Kind, model: str) -> Iterator[Event]:
    """All rows of a kind."""
    since = 0
    while (page := store.read_since(kind, since, _PAGE, model=model)).rows:
        yield from page.rows
        since = page.last
