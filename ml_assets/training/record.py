"""The origin of a version: kept with its run, so that it can be scored, judged and repeated."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

import msgspec

from ml_assets.errors import TrainingError
from ml_assets.features.view import TimedView, View
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.split import Split
from ml_assets.training.task.task import Task
from ml_assets.training.task.tasks import task_of

EVALUATION = "evaluation/model.onnx"
"""The artifact that was fitted on the training dates only."""

RECORD = "training.json"


@dataclass(frozen=True)
class TrainingRecord:
    """The origin of a version: the rows, columns, views and parameters that it was trained from; kept with its run.

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

    @property
    def task(self) -> Task:
        """The task of its kind of label."""
        return task_of(self.classes)

    @property
    def used(self) -> list[TimedView]:
        """The feature views with their TTL."""
        return [TimedView(view, timedelta(seconds=ttl)) for view, ttl in zip(self.features, self.ttls, strict=True)]

    def precedes(self, days: Sequence[date], horizon: timedelta) -> bool:
        """True if all labels that it was fitted on ended before these as-of dates: it may be tested on their rows."""
        return max(self.split.refit) + horizon <= min(days)

    def to_json(self) -> bytes:
        """As JSON: dates as text, durations as seconds."""
        plain = msgspec.to_builtins(self, builtin_types=(timedelta,), enc_hook=_plain)
        return json.dumps(plain, default=timedelta.total_seconds, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The record that `to_json` wrote, also in an older release: what that did not say has its default.

        Raises:
            TrainingError: the content is something else.
        """
        try:
            return msgspec.json.decode(content, type=cls, strict=False)  # not strict: seconds are durations
        except msgspec.MsgspecError as error:
            raise TrainingError(f"{RECORD} of a version cannot be read ({error}): train the model again") from error


def _plain(value: object) -> object:
    """A number of NumPy as that number; text of what JSON has no word for."""
    return float(value) if isinstance(value, float) else str(value)


def record(registry: Registry, version: Version) -> TrainingRecord:
    """The origin of a version, as its training kept it."""
    return TrainingRecord.from_json(required_file(registry, version, RECORD))


def required_file(registry: Registry, version: Version, path: str) -> bytes:
    """A file that the training kept with a version.

    Raises:
        TrainingError: the version has none.
    """
    content = registry.read(version.run_id, path)
    if content is None:
        raise TrainingError(f"{version.model} version {version.number} has no {path}: it was not trained here")
    return content
