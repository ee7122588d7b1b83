"""Scores of a version with its own features, whatever the folder declares today."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.documents.vocabulary import familiarity, vocabulary
from ml_assets.errors import DataError
from ml_assets.features.join import point_in_time
from ml_assets.features.store import fingerprints, refresh
from ml_assets.storage.duck import literal
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.memo import memo
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.stream import stream_rows
from ml_assets.storage.tables import ModelTables
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import features
from ml_assets.training.record import TrainingRecord, record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predicted:
    """Batch predictions of one as-of date in the lake; `reused` if they stood already."""

    table: str
    table_version: int | None
    version: Version
    fingerprint: int
    reused: bool


def champion_record(registry: Registry, folder: ModelDefinition) -> tuple[Version, TrainingRecord]:
    """The champion, and what it was trained from.

    Raises:
        DataError: there is none yet.
    """
    champion = registry.champion(folder.name)
    if champion is None:
        raise DataError(f"{folder.name} has no champion yet: see why in {folder.name}/evaluation_report")
    return champion, record(registry, champion)


def input_fingerprints(lake: Lake, folder: ModelDefinition, kept: TrainingRecord, as_of: date) -> list[int]:
    """The fingerprints of what a version sees of the population at a date: `feature_rows` are a function of them.

    Ask for them before the rows: what arrives in between is then seen by the next run, and not lost.

    Args:
        lake: where the sources are.
        folder: the model.
        kept: what the version was trained from.
        as_of: the date.
    """
    return [fingerprints(lake, view, [as_of])[as_of] for view in (folder.population, *kept.features)]


def feature_rows(
    lake: Lake, folder: ModelDefinition, kept: TrainingRecord, days: Sequence[date], *, workers: int = 2
) -> pa.Table:
    """The population at some dates with the features that a version was trained on, computed where they are lacking.

    Args:
        lake: where sources and views are.
        folder: the model.
        kept: what the version was trained from.
        days: as-of dates.
        workers: dates computed side by side.

    Raises:
        DataError: a source has no table yet.
    """
    for view in (folder.population, *kept.features):
        refresh(lake, view, days, workers=workers)
    return point_in_time(lake, folder.population, days, kept.used)


def scores(onnx: bytes, kept: TrainingRecord, table: pa.Table) -> "NDArray[np.float64]":
    """P(label = 1) of each row, from a released artifact; of several classes, of the most probable one."""
    from ml_assets.training.export import score  # onnxruntime

    return score(onnx, features(table, kept.columns))


def probabilities(onnx: bytes, kept: TrainingRecord, table: pa.Table) -> "NDArray[np.float64]":
    """The probability of each class of each row, [n, classes], from an artifact."""
    from ml_assets.training import export  # onnxruntime

    return export.probabilities(onnx, features(table, kept.columns))


def predict(lake: Lake, registry: Registry, folder: ModelDefinition, as_of: date, *, workers: int = 2) -> Predicted:
    """Score the population at `as_of` with the champion; nothing is computed where the same scores stand already.

    Args:
        lake: where sources, views and predictions are.
        registry: where versions are.
        folder: the model.
        as_of: `T`.
        workers: as-of dates computed side by side.

    Raises:
        DataError: there is no champion yet.
    """
    champion, origin = champion_record(registry, folder)
    serve = folder.spec.serve
    unsure = [serve.review_below, serve.review_unseen, serve.review_words] if origin.task.names_classes else []
    fingerprint = fingerprint_of(champion.tags["sha256"], *input_fingerprints(lake, folder, origin, as_of), *unsure)

    def make() -> pa.Table:
        scored = feature_rows(lake, folder, origin, [as_of], workers=workers)
        onnx = registry.onnx(champion)
        familiar = familiar_rows(onnx, folder, origin, scored)
        answers = origin.task.answer_columns(probabilities(onnx, origin, scored), serve.review_below, familiar)
        columns = {
            "as_of": scored["as_of"],
            folder.spec.entity: scored[folder.spec.entity],
            **answers,
            "model_version": pa.repeat(pa.scalar(champion.number, pa.int64()), len(scored)),
        }
        return pa.table(columns)

    stands = memo(lake, folder.tables.predictions, as_of, fingerprint, make)
    return Predicted(folder.tables.predictions, stands.version, champion, fingerprint, stands.reused)


def familiar_rows(onnx: bytes, folder: ModelDefinition, kept: TrainingRecord, table: pa.Table) -> "NDArray[np.bool_]":
    """A mask of the rows, [n], of whose words a model knows enough, by `serve.review_words` and `review_unseen`.

    Args:
        onnx: the artifact, which holds the vocabulary.
        folder: the model.
        kept: what the version was trained from.
        table: the rows, n of them, with the columns of running text.
    """
    import numpy as np

    words = vocabulary(onnx, kept.columns.text) if kept.columns.text and kept.task.names_classes else {}
    if not words:
        return np.ones(len(table), bool)
    serve, texts = folder.spec.serve, zip(*(table[name].to_pylist() for name in words), strict=True)
    rows = (familiarity(dict(zip(words, row, strict=True)), words) for row in texts)
    return np.array([row.enough(serve.review_words, serve.review_unseen) for row in rows], bool)


def summary(lake: Lake, predicted: Predicted, as_of: date) -> Mapping[str, float]:
    """The number of scored entities, and the mean and quantiles of their scores."""
    numbers = lake.query(
        "SELECT count(*) AS rows, avg(score) AS mean_score, quantile_cont(score, 0.1) AS p10, "
        "quantile_cont(score, 0.5) AS p50, quantile_cont(score, 0.9) AS p90 FROM p WHERE as_of = $day",
        {"day": as_of},
        p=predicted.table,
    )
    return {name: numbers[name][0].as_py() or 0 for name in numbers.column_names}


@dataclass(frozen=True)
class LatestPredictions:
    """The predictions of the last as-of date.

    Args:
        as_of: the date.
        entities: how many were scored.
        model_version: by which version.
        mean_score: of all scores.
    """

    as_of: date
    entities: int
    model_version: int
    mean_score: float


def latest_predictions(lake: Lake, model: str) -> LatestPredictions | None:
    """The predictions of a model's last as-of date, summed up; None before the first ones."""
    table = ModelTables(model).predictions
    if lake.version(table) is None:
        return None
    last = (
        "SELECT as_of, count(*) AS entities, max(model_version) AS model_version, avg(score) AS mean_score "
        "FROM t WHERE as_of = (SELECT max(as_of) FROM t) GROUP BY as_of"
    )
    rows = lake.query(last, t=table).to_pylist()
    return LatestPredictions(**rows[0]) if rows else None


def count_scored(lake: Lake, model: str, as_of: date) -> int:
    """The number of entities with a prediction of an as-of date."""
    table = ModelTables(model).predictions
    if lake.version(table) is None:
        return 0
    return int(lake.query("SELECT count(*) AS n FROM t WHERE as_of = $day", {"day": as_of}, t=table)["n"][0].as_py())


def list_predicted_dates(lake: Lake, model: str) -> list[date]:
    """The as-of dates that a model has predictions of, in order."""
    table, sql = ModelTables(model).predictions, "SELECT DISTINCT as_of FROM p ORDER BY as_of"
    return [] if lake.version(table) is None else lake.query(sql, p=table)["as_of"].to_pylist()


def stream_predictions(lake: Lake, model: str, as_of: date) -> AbstractContextManager[pa.RecordBatchReader]:
    """The predictions of a model at an as-of date, a batch at a time."""
    return stream_rows(lake, ModelTables(model).predictions, f"as_of = DATE {literal(as_of)}")
