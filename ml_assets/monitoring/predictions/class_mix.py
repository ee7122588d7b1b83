"""The classes that a model names and the words that it reads, beside the same of its own test rows.

The reference is by the artifact that was not fitted on those rows: of words, too, the released one knows more of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import fmean

import pyarrow as pa

from ml_assets.documents import vocabulary
from ml_assets.monitoring.performance.baseline import Tested
from ml_assets.spec.names import REVIEW
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.record import EVALUATION, TrainingRecord, required_file
from ml_assets.training.score import familiar_rows


@dataclass(frozen=True)
class Compared:
    """A share, from 0 to 1, of a class or column: at `T`, and of the test rows; None where nothing can have one."""

    name: str
    share: float | None
    reference: float | None


@dataclass(frozen=True)
class ClassMix:
    """The shares of classes and of reviews; empty for a model of two classes.

    Args:
        classes: of each class, the share of entities that are `predicted` so, however sure the model is.
        review_share: of the entities, those whose decision is `REVIEW`.
        reference_review_share: the same of the test rows.
    """

    classes: tuple[Compared, ...] = ()
    review_share: float | None = None
    reference_review_share: float | None = None


@dataclass(frozen=True)
class Unseen:
    """Words that a model of running text does not know; empty for another one.

    Args:
        unseen: of each text column, the share of its running words that the vocabulary does not hold.
        unseen_share: the mean of them.
        reference_unseen_share: the same of the test rows.
    """

    unseen: tuple[Compared, ...] = ()
    unseen_share: float | None = None
    reference_unseen_share: float | None = None


def class_mix(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    version: Version,
    kept: TrainingRecord,
    as_of: date,
    test: Tested,
) -> ClassMix:
    """The class mix of the predictions of an as-of date, of which there is at least one.

    Args:
        lake: with `<folder>/predictions`.
        registry: with the version's artifacts.
        folder: its `serve` is what the reference is decided by, as the predictions were.
        version: that predicted.
        kept: its record.
        as_of: `T`.
        test: the version's test rows.
    """
    if not kept.task.names_classes:
        return ClassMix()
    query = "SELECT predicted, decision FROM p WHERE as_of = $day"
    now, unsure = _shares(lake.query(query, {"day": as_of}, p=folder.tables.predictions), kept)
    sure = familiar_rows(required_file(registry, version, EVALUATION), folder, kept, test.rows)
    then, unsure_then = _shares(pa.table(kept.task.answer_columns(test.p, folder.spec.serve.review_below, sure)), kept)
    return ClassMix(tuple(Compared(name, now[name], then[name]) for name in kept.classes), unsure, unsure_then)


def unseen_words(registry: Registry, version: Version, kept: TrainingRecord, rows: pa.Table, test: Tested) -> Unseen:
    """The words that the released artifact does not know, and of the test rows, those that the evaluated one did not.

    Args:
        registry: with both artifacts.
        version: that predicted.
        kept: its record.
        rows: the population at `T`, with its text columns.
        test: the version's test rows.
    """
    if not kept.columns.text:
        return Unseen()
    now = _unseen(registry.onnx(version), kept, rows)
    then = _unseen(required_file(registry, version, EVALUATION), kept, test.rows)
    shares = tuple(Compared(name, now[name], then[name]) for name in kept.columns.text)
    return Unseen(shares, _mean(now.values()), _mean(then.values()))


def _shares(said: pa.Table, kept: TrainingRecord) -> tuple[Mapping[str, float], float]:
    """The share of each class, and of the rows that go to review."""
    counts, rows = Counter(said["predicted"].to_pylist()), len(said)
    return {name: counts[name] / rows for name in kept.classes}, said["decision"].to_pylist().count(REVIEW) / rows


def _unseen(onnx: bytes, kept: TrainingRecord, rows: pa.Table) -> dict[str, float | None]:
    words = vocabulary.vocabulary(onnx, kept.columns.text)
    return {
        name: vocabulary.unseen(rows[name].to_pylist(), words[name]) if name in words else None
        for name in kept.columns.text
    }


def _mean(shares: Iterable[float | None]) -> float | None:
    numbers = [share for share in shares if share is not None]
    return fmean(numbers) if numbers else None
