"""A shop that answers online: an event store whose answers come from the offline store's own rows."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import take
from ml_assets.training.record import record
from ml_assets.training.score import feature_rows
from ml_assets_tests.monitoring.predicted import Predicted
from ml_assets_tests.serving.traffic import write


class Answered:
    """Predictions of a shop, answered online as well."""

    def __init__(self, of: Predicted, store: EventStore) -> None:
        self.of, self.store = of, store
        self.lake = of.lake

    def answer(
        self, day: date, *, version: int = 1, variant: str = "champion", seconds: int = 0, most: int = 1_000
    ) -> list[Prediction]:
        """An answer to each member of the population, with the batch's score, in the event store."""
        kept = record(self.of.shelf, self.of.shelf.version("shop", version))
        seen = feature_rows(self.lake, self.of.folder, kept, [day]).to_pylist()[:most]
        scores = self.lake.query(
            "SELECT customer, score FROM p WHERE as_of = $day", {"day": day}, p="shop/predictions"
        ).to_pylist()
        known = {row["customer"]: row["score"] for row in scores}
        made = [_row(day, row, known[row["customer"]], kept.columns.all, (version, variant, seconds)) for row in seen]
        write(self.store, *made)
        return made

    def take(self, due: date) -> None:
        """Into the lake."""
        take(self.lake, self.store, "shop", due)


def microseconds(day: date) -> int:
    """Midnight UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000


def _row(day: date, row: Mapping[str, Any], score: float, names: list[str], how: tuple[int, str, int]) -> Prediction:
    version, variant, seconds = how
    at = microseconds(day) + 1_000_000 * seconds
    features = json.dumps({name: row[name] for name in names})
    return Prediction(
        prediction_id("shop", at * 1000), "shop", str(version), variant, str(row["customer"]), str(day), score, None,
        features, None, None, at, 900,
    )  # fmt: skip


@contextmanager
def answering(of: Predicted, folder: Path) -> Iterator[Answered]:
    """With an event store of its own."""
    with EventStore(f"sqlite:///{folder}/events.db") as store:
        yield Answered(of, store)
