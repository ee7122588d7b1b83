"""A shop whose predictions stand in the lake, and a registry without MLflow: what the monitoring reports read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ml_assets.features.store import refresh
from ml_assets.storage.lake import fingerprint_of
from ml_assets.storage.registry import Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.record import RECORD, TrainingRecord
from ml_assets.training.split import Split
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny

WEEK = timedelta(weeks=1)


def weeks(*numbers: int) -> list[date]:
    """As-of dates so many weeks from `AS_OF`."""
    return [AS_OF + number * WEEK for number in numbers]


class Shelf:
    """Versions with their records; the last one is the champion. None has an evaluation."""

    def __init__(self, folder: ModelDefinition) -> None:
        self.folder, self.versions, self.files = folder, dict[int, Version](), dict[tuple[str, str], bytes]()

    def add(self, refit: date = FIRST) -> int:
        """A version that was fitted on rows up to `refit`."""
        number = len(self.versions) + 1
        self.versions[number] = Version("shop", number, f"run{number}", {"as_of": str(refit), "sha256": str(number)})
        views = tuple(item.view for item in self.folder.features)
        kept = TrainingRecord("customer", "shop/training_set", 0, refit, Split((refit,), (refit,), (refit,)),
                      FeatureColumns(("orders",), ("kind",)), views, (86400.0 * 14,), {}, {})  # fmt: skip
        self.files[f"run{number}", RECORD] = kept.to_json()
        return number

    def version(self, _: str, number: int) -> Version:
        return self.versions[number]

    def champion(self, _: str) -> Version | None:
        return self.versions[max(self.versions)] if self.versions else None

    def read(self, run_id: str, path: str) -> bytes | None:
        return self.files.get((run_id, path))


class Predicted:
    """A shop, its folder, and scores of its population."""

    def __init__(self, shop: Tiny, **changes: Any) -> None:
        self.shop, self.lake, self.folder = shop, shop.lake, shop.folder(**changes)
        self.shelf: Any = Shelf(self.folder)
        self.shelf.add()

    def score(self, days: Sequence[date], *, version: int = 1, shuffle: bool = False, only: int | None = None) -> None:
        """Predictions of the population, or of its first `only` members: who ordered lately will again."""
        refresh(self.lake, self.folder.population, days)
        habits = self.folder.features[0].view
        refresh(self.lake, habits, days)
        for day in days:
            found = self.lake.query(
                "SELECT p.as_of, p.customer, 1 / (1 + exp(2 - coalesce(h.days_since, 60) / 12)) AS score, "
                "$version::BIGINT AS model_version FROM p LEFT JOIN h USING (as_of, customer) WHERE as_of = $day "
                "ORDER BY customer",
                {"day": day, "version": version},
                p=self.folder.population.kept,
                h=habits.kept,
            )
            order = np.random.default_rng(1).permutation(len(found)) if shuffle else np.arange(len(found))
            rows = found.take(pa.array(order[:only]))
            record = {f"as_of={day}": fingerprint_of(version, only)}
            self.lake.replace("shop/predictions", rows, values=[day], records=record)

    def copy(self, **changes: Any) -> "Predicted":
        """The same shop with another declaration."""
        made = Predicted(self.shop, **changes)
        made.shelf = self.shelf
        return made


def younger(shelf: Shelf, number: int, refit: date) -> None:
    """Let a version have been fitted on rows up to `refit`."""
    kept = TrainingRecord.from_json(shelf.files[f"run{number}", RECORD])
    shelf.files[f"run{number}", RECORD] = replace(kept, split=Split((refit,), (refit,), (refit,))).to_json()
