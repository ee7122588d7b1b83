"""Drift as the champion sees it: its scores of two samples, and the features that it leans on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.monitoring.drift import attribution, reference, score_drift
from ml_assets.monitoring.drift.attribution import AttributionDrift
from ml_assets.monitoring.drift.histogram import Histogram
from ml_assets.monitoring.drift.reference import Reference
from ml_assets.monitoring.drift.samples import InMemory, SampleColumns, draw
from ml_assets.monitoring.drift.score_drift import EntityScores, ScoreDrift
from ml_assets.spec.drift import DriftSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.evaluation import read_evaluation
from ml_assets.training.frame import features
from ml_assets.training.record import EVALUATION, TrainingRecord, required_file

if TYPE_CHECKING:
    import pyarrow as pa
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class ModelDrift:
    """The champion on both samples, with the histogram of its scores."""

    scores: ScoreDrift
    histogram: Histogram
    attribution: AttributionDrift


def compare(
    lake: Lake,
    registry: Registry,
    champion: Version,
    record: TrainingRecord,
    chosen: Reference,
    before: SampleColumns,
    after: SampleColumns,
    spec: DriftSpec,
) -> ModelDrift:
    """Score at most `spec.sample` rows of both samples; shuffle the features of a few of them.

    A model knows the rows that it was fitted on: a forest is sure of each. Against its training sample the champion
    is therefore compared on its test rows, by its artifact that saw neither them nor the current sample; against
    another as-of date by the artifact that answers.

    Args:
        lake: where the training sample is.
        registry: where the artifacts are.
        champion: the version that scores.
        record: what it was trained from.
        chosen: the reference.
        before: its rows.
        after: the rows of the population.
        spec: sizes of samples and limits.
    """
    from ml_assets.training.export import session  # onnxruntime

    trained = chosen.day is None
    model = session(required_file(registry, champion, EVALUATION) if trained else registry.onnx(champion))
    names = [record.entity, *record.columns.all]
    with _reference(lake, record, before, tested=trained) as then:
        tables = [draw(rows, names, spec.sample, spec.seed) for rows in (then, after)]
    scored = [_scored(model, record, table) for table in tables]
    scores = score_drift.compare(scored[0], scored[1], threshold(registry, champion), spec)
    leant = [_leant(model, record, table, spec.seed) for table in tables]
    histogram = score_drift.score_histogram(scored[0], scored[1])
    return ModelDrift(scores, histogram, attribution.compare(leant[0], leant[1], spec.attribution))


def threshold(registry: Registry, champion: Version) -> float | None:
    """The score from which on acting was cheapest in its evaluation; None without one, or where acting never was."""
    record = read_evaluation(registry, champion)
    return record.evaluation.threshold if record and math.isfinite(record.evaluation.threshold) else None


@contextmanager
def _reference(lake: Lake, record: TrainingRecord, rows: SampleColumns, *, tested: bool) -> Iterator[SampleColumns]:
    if not tested:
        yield rows
        return
    with reference.open_test_rows(lake, record) as test_rows:
        yield test_rows


def _scored(model: "InferenceSession", kept: TrainingRecord, table: "pa.Table") -> EntityScores:
    from ml_assets.training.export import score  # onnxruntime

    return EntityScores(score(model, features(table, kept.columns)), np.asarray(table[kept.entity]))


def _leant(model: "InferenceSession", kept: TrainingRecord, table: "pa.Table", seed: int) -> dict[str, float]:
    few = draw(InMemory(table), kept.columns.all, attribution.ROWS, seed)
    return attribution.attributions(model, features(few, kept.columns), seed)
