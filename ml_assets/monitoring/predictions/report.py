"""The prediction report of an as-of date: how many were scored, what was said, what was lacking, what was served.

Whether scores or features moved beyond chance is the drift report's question; here stand the shares themselves.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ml_assets.features.store import fingerprints, refresh
from ml_assets.monitoring.performance.baseline import scored_test_rows
from ml_assets.monitoring.predictions import missing as gaps
from ml_assets.monitoring.predictions.class_mix import class_mix, unseen_words
from ml_assets.monitoring.predictions.table import Bin, PredictionReport, Scores, from_row, to_table
from ml_assets.monitoring.predictions.traffic import served_traffic
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.memo import memo
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables, as_of_key
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import read_evaluation
from ml_assets.training.reach import known_until
from ml_assets.training.record import TrainingRecord, record
from ml_assets.training.score import feature_rows, input_fingerprints

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ENGINE = 3  # raised when the same rows give other numbers: all reports are then made anew
_BINS = 20


@dataclass(frozen=True)
class _Plan:
    """The inputs of a report, and its fingerprint. `labelled` is the latest date with mature labels."""

    version: Version
    record: TrainingRecord
    before: date | None
    labelled: date | None
    silent: tuple[bool, ...]
    fingerprint: int


def prediction_report(
    lake: Lake, registry: Registry, folder: ModelDefinition, as_of: date, *, workers: int = 2
) -> PredictionReport:
    """The report of the predictions at `as_of`, one row of the lake; it is not computed where it stands already.

    Without predictions the report is empty and says so.

    Args:
        lake: where predictions are, and the report is kept.
        registry: where versions are.
        folder: the model.
        as_of: `T`.
        workers: as-of dates computed side by side.
    """
    plan = _plan(lake, registry, folder, as_of)
    online = served_traffic(lake, folder.name, as_of)
    scored = "nothing was scored" if plan is None else plan.fingerprint
    fingerprint = fingerprint_of(_ENGINE, scored, online.fingerprint)

    def make() -> pa.Table:
        report = _nothing(as_of) if plan is None else _report(lake, registry, folder, as_of, plan, workers)
        return to_table(replace(report, **asdict(online)))

    stored = memo(lake, folder.tables.prediction_report, as_of, fingerprint, make)
    return read(lake, folder.name, as_of, reused=stored.reused)


def read(lake: Lake, name: str, as_of: date, *, reused: bool = True) -> PredictionReport:
    """The report of a folder at an as-of date, as it stands; empty, with the reason, where there is none.

    Args:
        lake: where it is kept.
        name: the model's folder.
        as_of: of the report.
        reused: what the report says of itself: whether it had been made before.
    """
    table = ModelTables(name).prediction_report
    if lake.record(table, as_of_key(as_of)) is None:
        return PredictionReport(as_of, reason=f"there is no prediction report of {name} for {as_of} yet")
    (row,) = lake.query("SELECT * FROM r WHERE as_of = $day", {"day": as_of}, r=table).to_pylist()
    return from_row(row, reused=reused, table_version=lake.version(table))


def _nothing(as_of: date) -> PredictionReport:
    return PredictionReport(as_of, reason=f"nothing was scored at {as_of}")


def _plan(lake: Lake, registry: Registry, folder: ModelDefinition, as_of: date) -> _Plan | None:
    predictions, grid = folder.tables.predictions, folder.spec.cadence.dates(as_of)
    stand = lake.records(predictions, [as_of_key(day) for day in grid[-2:]])
    if as_of_key(as_of) not in stand:
        return None
    query = "SELECT max(model_version) AS number FROM p WHERE as_of = $day"
    number = lake.query(query, {"day": as_of}, p=predictions)["number"][0].as_py()
    if number is None:
        return None
    version = registry.version(folder.name, number)
    training = record(registry, version)
    until = known_until(lake, folder, as_of)
    mature = [day for day in grid if day + folder.spec.label.horizon <= until]
    labelled = None if training.task.names_classes else max(mature, default=None)
    labels = fingerprints(lake, folder.labels, [labelled]) if labelled else {}
    silent = gaps.silent(lake, training, as_of)
    before = next((day for day in grid[-2:-1] if as_of_key(day) in stand), None)
    inputs = input_fingerprints(lake, folder, training, as_of)
    parts = (sorted(stand.items()), version.run_id, "verdict" in version.tags, inputs)
    fingerprint = fingerprint_of(_ENGINE, parts, sorted(labels.items()), silent)
    return _Plan(version, training, before, labelled, silent, fingerprint)


def _report(
    lake: Lake, registry: Registry, folder: ModelDefinition, as_of: date, plan: _Plan, workers: int
) -> PredictionReport:
    version, training, threshold = plan.version, plan.record, _threshold(registry, plan.version)
    test = scored_test_rows(lake, registry, version, training)
    scores, reference = _scores(lake, folder, as_of), test.scores
    count = None if plan.before is None else len(_scores(lake, folder, plan.before))
    table = feature_rows(lake, folder, training, [as_of], workers=workers)
    missing = gaps.missing_shares(table, training.columns.all)
    stale = gaps.stale_shares(lake, folder.population, training.features, plan.silent, as_of)
    return PredictionReport(
        as_of,
        rows=len(scores),
        rows_before=count,
        rows_change=len(scores) / count - 1 if count else None,
        model_version=version.number,
        scores=Scores.of(scores, threshold),
        reference=Scores.of(reference, threshold),
        threshold=threshold,
        base_rate=None if plan.labelled is None else _base_rate(lake, folder, plan.labelled, workers),
        base_rate_of=plan.labelled,
        missing_share=fmean(each.share for each in missing),
        stale_share=fmean(each.share for each in stale),
        missing=missing,
        stale=stale,
        histogram=_histogram(scores, reference),
        **vars(class_mix(lake, registry, folder, version, training, as_of, test)),
        **vars(unseen_words(registry, version, training, table, test)),
    )


def _scores(lake: Lake, folder: ModelDefinition, day: date) -> "Floats":
    rows = lake.query("SELECT score FROM p WHERE as_of = $day", {"day": day}, p=folder.tables.predictions)
    return np.sort(np.asarray(rows["score"], dtype=np.float64))  # in one order, for the same digits every time


def _histogram(scores: "Floats", reference: "Floats") -> tuple[Bin, ...]:
    edges = np.linspace(0, max(float(scores.max()), float(reference.max()), 1e-9), _BINS + 1)
    shares = [np.histogram(p, edges)[0] / len(p) for p in (scores, reference)]
    bins = zip(edges[:-1].tolist(), edges[1:].tolist(), *(share.tolist() for share in shares), strict=True)
    return tuple(Bin(*each) for each in bins)


def _threshold(registry: Registry, version: Version) -> float | None:
    record = read_evaluation(registry, version)
    return record.evaluation.threshold if record else None


def _base_rate(lake: Lake, folder: ModelDefinition, day: date, workers: int) -> float | None:
    refresh(lake, folder.labels, [day], workers=workers)
    rows = lake.query("SELECT avg(label) AS rate FROM l WHERE as_of = $day", {"day": day}, l=folder.labels.kept)
    rate: float | None = rows["rate"][0].as_py()
    return rate
