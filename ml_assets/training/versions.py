"""The versions of a model as decisions ask for them: the loop keeps its own in MLflow, a replay in a store of its own.

Whether a candidate may ship, and whether it is time for another, is found out by one function each over `Versions`, so
a replay cannot decide otherwise than the loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.evaluation import required_evaluation
from ml_assets.training.record import EVALUATION, TrainingRecord, record, required_file

V = TypeVar("V")
V_contra = TypeVar("V_contra", contravariant=True)


class Versions(Protocol[V_contra]):
    """What was kept of each version when it was trained and evaluated."""

    def record(self, version: V_contra) -> TrainingRecord:
        """What it was trained from."""

    def training_rows(self, version: V_contra) -> pa.Table:
        """Its training set, the test rows included."""

    def release_artifact(self, version: V_contra) -> bytes:
        """The artifact that answers (ONNX), fitted on every mature row."""

    def evaluation_artifact(self, version: V_contra) -> bytes:
        """The artifact that was evaluated (ONNX), fitted on the training dates only."""

    def rows_fitted(self, version: V_contra) -> int:
        """How many rows the artifact that answers was fitted on."""

    def importance(self, version: V_contra) -> Mapping[str, float]:
        """How much it leans on each feature, on its test rows."""


@dataclass(frozen=True)
class RegisteredVersions:
    """The versions of MLflow's registry, with their training sets in the lake."""

    lake: Lake
    registry: Registry

    def record(self, version: Version) -> TrainingRecord:
        """See `Versions`."""
        return record(self.registry, version)

    def training_rows(self, version: Version) -> pa.Table:
        """See `Versions`."""
        kept = self.record(version)
        return dataset.read(self.lake, kept.table, kept.as_of, kept.version)

    def release_artifact(self, version: Version) -> bytes:
        """See `Versions`."""
        return self.registry.onnx(version)

    def evaluation_artifact(self, version: Version) -> bytes:
        """See `Versions`."""
        return required_file(self.registry, version, EVALUATION)

    def rows_fitted(self, version: Version) -> int:
        """See `Versions`."""
        return int(self.registry.metrics(version.run_id)["rows_refit"])

    def importance(self, version: Version) -> Mapping[str, float]:
        """See `Versions`.

        Raises:
            TrainingError: it was not evaluated.
        """
        importance = required_evaluation(self.registry, version).evaluation.importance
        return {name: feature.mean for name, feature in importance.items()}
