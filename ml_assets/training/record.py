"""What a version was trained from: kept with its run, so that it can be scored, judged and repeated."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from ml_assets.errors import TrainingError
from ml_assets.features.view import TimedView, View
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.split import Split

EVALUATION = "evaluation/model.onnx"
"""The artifact that was fitted on the training dates only."""

RECORD = "training.json"


@dataclass(frozen=True)
class TrainingRecord:
    """What a version was trained from; kept with its run.

    Args:
        entity: the column that identifies what is scored.
        table: the training set's table.
        version: the table's version that is the training set.
        as_of: `T`.
        split: which rows trained, tested and refitted.
        columns: the model's inputs.
        features: the feature views, with their queries: the version is scored with these, whatever the folder says.
        ttls: for each view, for how many seconds its values may be used.
        parameters: of the estimator, searched ones included.
        tables: every table that went in, with its version.
        classes: the values of a label of several, in the order of the model's probabilities; else none.
        terms: class → word → how much it speaks for the class, of running text.
    """

    entity: str
    table: str
    version: int
    as_of: date
    split: Split
    columns: FeatureColumns
    features: tuple[View, ...]
    ttls: tuple[float, ...]
    parameters: dict[str, Any]
    tables: dict[str, int]
    classes: tuple[str, ...] = ()
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def used(self) -> list[TimedView]:
        """The feature views with their TTL."""
        return [TimedView(view, timedelta(seconds=ttl)) for view, ttl in zip(self.features, self.ttls, strict=True)]

    def to_json(self) -> bytes:
        """As JSON."""
        plain = asdict(self) | {"features": [view.to_json() for view in self.features]}
        return json.dumps(plain, default=str, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "TrainingRecord":
        """The record that `to_json` wrote."""
        plain = json.loads(content)
        dates = {name: tuple(map(date.fromisoformat, days)) for name, days in plain["split"].items()}
        made = {
            "as_of": date.fromisoformat(plain["as_of"]),
            "split": Split(**dates),
            "columns": FeatureColumns(
                *(tuple(plain["columns"].get(name, ())) for name in ("numeric", "categorical", "text"))
            ),
            "features": tuple(View.from_json(view) for view in plain["features"]),
            "ttls": tuple(plain["ttls"]),
            "classes": tuple(plain.get("classes", ())),
        }
        return cls(**(plain | made))


def record(registry: Registry, version: Version) -> TrainingRecord:
    """What a version was trained from."""
    return TrainingRecord.from_json(required(registry, version, RECORD))


def required(registry: Registry, version: Version, path: str) -> bytes:
    """A file that the training kept with a version.

    Raises:
        TrainingError: the version has none.
    """
    content = registry.read(version.run_id, path)
    if content is None:
        raise TrainingError(f"{version.model} version {version.number} has no {path}: it was not trained here")
    return content
