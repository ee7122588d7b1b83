"""The disagreement that is expected of two versions: on the candidate's test rows, where both were evaluated.

What they say of live rows is compared with it: a candidate that misses a feature while it serves, and had it when it
was tested, disagrees more often than that, long before a label is known.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import TrainingError
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import Manifest
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.record import EVALUATION, TrainingRecord, record
from ml_assets.training.score import familiar_rows, feature_rows, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray


def expected_disagreement(
    lake: Lake, registry: Registry, folder: ModelDefinition, champion: Version, candidate: Version, *, workers: int = 2
) -> float:
    """The share of the candidate's test rows on which the two versions decide differently.

    Each scores them with its own features, by the artifact that was fitted on training dates only, where it has one.

    Args:
        lake: where the rows are.
        registry: where both versions are.
        folder: the model.
        champion: of today.
        candidate: whose test rows they are.
        workers: as-of dates computed side by side.

    Raises:
        TrainingError: a version was not trained here, or the two have no row in common.
        RegistryError: a version was never released, or a file of it was changed.
    """
    mine, theirs = record(registry, candidate), record(registry, champion)
    tested = dataset.read(lake, mine.table, mine.as_of, mine.version)
    tested = tested.filter(pc.is_in(tested[dataset.ROW], value_set=pa.array(mine.split.test, pa.date32())))
    rows = feature_rows(lake, folder, theirs, mine.split.test, workers=workers)
    decided = _by_row(tested, dataset.ROW, mine.entity, _decide(registry, folder, candidate, mine, tested))
    other = _by_row(rows, "as_of", theirs.entity, _decide(registry, folder, champion, theirs, rows))
    common = decided.keys() & other.keys()
    if not common:
        raise TrainingError(
            f"{folder.name}: versions {champion.number} and {candidate.number} have no test row in common: train again"
        )
    return sum(decided[row] != other[row] for row in common) / len(common)


def _by_row(table: pa.Table, day: str, entity: str, decisions: "NDArray[np.object_]") -> dict[tuple[str, str], object]:
    days, entities = (table[name].cast(pa.string()).to_pylist() for name in (day, entity))
    return dict(zip(zip(days, entities, strict=True), decisions, strict=True))


def _decide(
    registry: Registry, folder: ModelDefinition, version: Version, kept: TrainingRecord, rows: pa.Table
) -> "NDArray[np.object_]":
    """The decision of a version for each row, [n], as servers make it."""
    manifest = Manifest.from_json(registry.manifest(version))
    onnx = registry.read(version.run_id, EVALUATION) or registry.onnx(version)
    p = probabilities(onnx, kept, rows)
    if manifest.classes:
        familiar = familiar_rows(onnx, folder, kept, rows)
        return np.array(kept.task.answer_columns(p, manifest.review_below, familiar)["decision"].to_pylist(), object)
    starts, names = [band.start for band in manifest.bands], [band.name for band in manifest.bands]
    return np.array(names, object)[np.searchsorted(starts, kept.task.score(p), side="right") - 1]
