"""The performance report of an as-of date: predictions joined with the labels that have matured since.

What was served online stands in groups of its own (`answered`), never mixed with the batch.
Before labels mature there is an estimate from the scores, in rows of their own kind: it never passes for a measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.features.store import fingerprints, refresh
from ml_assets.monitoring.performance.baseline import Evaluated, LabelledScores, entities, version_evaluation
from ml_assets.monitoring.performance.groups import MetricGroup, MetricRow, estimate, measure, measure_slice
from ml_assets.monitoring.performance.served import ServedAnswers, answers
from ml_assets.monitoring.performance.table import PAST, PerformanceReport, read, to_table
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.memo import memo
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import as_of_key
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import features
from ml_assets.training.reach import known_until
from ml_assets.training.record import TrainingRecord, record
from ml_assets.training.score import feature_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PerformanceReport", "performance_report", "read"]

_ENGINE = 2  # raised when the same rows give other numbers: all reports are then made anew


@dataclass(frozen=True)
class _Scored:
    """The predictions of one version: rows by as-of date that are measured, and dates that are estimated."""

    version: Version
    record: TrainingRecord
    measured: Mapping[date, int]
    estimated: tuple[date, ...]


@dataclass(frozen=True)
class _Part:
    """The numbers of one version, and what a person is to know about them."""

    rows: list[MetricRow]
    notes: list[str]


@dataclass(frozen=True)
class _Plan:
    """The contents of a report before they are computed, their fingerprint, and notes for people."""

    versions: tuple[_Scored, ...]
    notes: tuple[str, ...]
    fingerprint: int
    online: ServedAnswers


def performance_report(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: PerformanceSpec, as_of: date, *, workers: int = 2
) -> PerformanceReport:
    """The quality of predictions as far as it is known at `as_of`; kept in the lake, one row a number.

    Measured are the last `spec.window` scored dates whose labels are mature, and all that matured since the as-of date
    before; estimated the last ones whose labels are not. Nothing is computed where the same report stands already.
    Without predictions the report is empty and says so.

    Args:
        lake: where predictions and labels are, and the report is kept.
        registry: where versions are.
        folder: the model.
        spec: window, bounds, resamples and seed.
        as_of: `T`.
        workers: as-of dates computed side by side.
    """
    plan = _plan(lake, registry, folder, spec, as_of, workers)

    def make() -> pa.Table:
        parts = [_part(lake, registry, folder, spec, scored, workers) for scored in plan.versions]
        parts += [_served(lake, registry, folder, spec, plan.online)]
        notes = [*plan.notes, *(note for part in parts for note in part.notes)]
        return to_table(as_of, [row for part in parts for row in part.rows], notes)

    report = memo(lake, folder.tables.performance_report, as_of, plan.fingerprint, make)
    champion = registry.champion(folder.name)
    return read(lake, folder.name, as_of, champion=champion.number if champion else None, reused=report.reused)


def _plan(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: PerformanceSpec, as_of: date, workers: int
) -> _Plan:
    predictions = folder.tables.predictions
    counts = _predicted(lake, folder, predictions, as_of)
    online = answers(lake, folder, spec.window, as_of, workers=workers)
    if not counts:
        fingerprint = fingerprint_of(_ENGINE, "no predictions", online.fingerprint)
        return _Plan((), ("there are no predictions yet", *online.notes), fingerprint, online)
    measured, estimated = _dates(lake, folder, spec, sorted({row["as_of"] for row in counts}), as_of)
    # Fingerprints before rows: what arrives in between is then seen by the next run, and not lost.
    stood = lake.records(predictions, [as_of_key(day) for day in (*measured, *estimated)])
    labels = sorted(fingerprints(lake, folder.labels, measured).items())
    versions, unfair = _versions(registry, folder, counts, measured, estimated)
    sliced = [_sliced(lake, folder, each) for each in versions]
    judged = [(each.version.run_id, "verdict" in each.version.tags) for each in versions]
    parts = (measured, estimated, sorted(stood.items()), folder.labels.kept, labels, folder.spec.slices, sliced, judged)
    notes = [*unfair, *_waiting(folder, measured, estimated), *online.notes]
    fingerprint = fingerprint_of(_ENGINE, spec.model_dump_json(), online.fingerprint, *parts)
    return _Plan(tuple(versions), tuple(notes), fingerprint, online)


def _predicted(lake: Lake, folder: ModelDefinition, predictions: str, as_of: date) -> list[dict[str, Any]]:
    """How many rows each version predicted at each date up to `as_of`, as far back as a report looks."""
    if lake.version(predictions) is None:
        return []
    rows: list[dict[str, Any]] = lake.query(
        "SELECT as_of, model_version, count(*) AS n FROM p WHERE as_of BETWEEN $first AND $last "
        "GROUP BY ALL ORDER BY ALL",
        {"first": as_of - folder.spec.label.horizon - PAST, "last": as_of},
        p=predictions,
    ).to_pylist()
    return rows


def _dates(
    lake: Lake, folder: ModelDefinition, spec: PerformanceSpec, scored: Sequence[date], as_of: date
) -> tuple[list[date], list[date]]:
    """LabelledScores dates whose labels are mature, and those whose are not, as many of each as the report covers."""
    horizon, until = folder.spec.label.horizon, known_until(lake, folder, as_of)
    mature = [day for day in scored if day + horizon <= until]
    before = folder.spec.cadence.dates(as_of)[-2:][0]
    since = [day for day in mature if day + horizon > before]
    waiting = [day for day in scored if day + horizon > until]
    return sorted({*mature[-spec.window :], *since}), waiting[-spec.window :]


def _versions(
    registry: Registry,
    folder: ModelDefinition,
    found: Sequence[Mapping[str, Any]],
    measured: Sequence[date],
    estimated: Sequence[date],
) -> tuple[list[_Scored], list[str]]:
    """The predictions of each version, without those of dates whose labels it was fitted on."""
    numbers = {row["model_version"] for row in found if row["as_of"] in {*measured, *estimated}}
    versions, notes = [], []
    for number in sorted(numbers):
        version = registry.version(folder.name, number)
        training, rows = record(registry, version), {r["as_of"]: r["n"] for r in found if r["model_version"] == number}
        labelled_until = max(training.split.refit) + folder.spec.label.horizon
        fair = {day: n for day, n in rows.items() if day in measured and day >= labelled_until}
        if unfair := sorted(day for day in rows if day in measured and day < labelled_until):
            notes.append(
                f"{', '.join(map(str, unfair))}: not measured, for version {number}, which scored them, was fitted on "
                f"labels up to {labelled_until}"
            )
        versions.append(_Scored(version, training, fair, tuple(day for day in rows if day in estimated)))
    return versions, notes


def _sliced(lake: Lake, folder: ModelDefinition, scored: _Scored) -> object:
    """Fingerprints of the views that hold the values of the slices."""
    if not folder.spec.slices or not scored.measured:
        return None
    views = (folder.population, *scored.record.features)
    return [sorted(fingerprints(lake, view, sorted(scored.measured)).items()) for view in views]


def _waiting(folder: ModelDefinition, measured: Sequence[date], estimated: Sequence[date]) -> list[str]:
    if measured:
        return []
    due = min(estimated) + folder.spec.label.horizon
    return [f"no labels are mature yet, so all numbers are estimates: the first are due on {due}"]


def _part(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: PerformanceSpec, scored: _Scored, workers: int
) -> _Part:
    before = version_evaluation(lake, registry, scored.version, scored.record, spec, folder.labels.kept)
    measured = _measured(lake, folder, spec, scored, before, workers)
    estimated = [row for day in scored.estimated for row in _estimated(lake, folder, spec, scored, day, before)]
    notes = [*([before.reason] if before.reason else []), *measured.notes]
    return _Part([*measured.rows, *estimated], notes)


def _served(
    lake: Lake, registry: Registry, folder: ModelDefinition, spec: PerformanceSpec, online: ServedAnswers
) -> _Part:
    """Each version under each name that it answered by, the last dates pooled."""
    rows, notes = list[MetricRow](), list[str]()
    for (number, variant), group in online.groups().items():
        version = registry.version(folder.name, number)
        training = record(registry, version)
        fair = group.since(fitted := max(training.split.refit) + folder.spec.label.horizon)
        if unfair := len(group.days) - len(fair.days):
            notes.append(f"{unfair} served answers not measured: version {number} was fitted on labels up to {fitted}")
        if fair.days:
            before = version_evaluation(lake, registry, version, training, spec, folder.labels.kept)
            of = MetricGroup(min(fair.days), max(fair.days), True, number, variant=variant)
            rows += measure(of, fair.scored, before, spec)
    return _Part(rows, notes)


def _estimated(
    lake: Lake, folder: ModelDefinition, spec: PerformanceSpec, scored: _Scored, day: date, before: Evaluated
) -> list[MetricRow]:
    """Of one date alone: an entity's labels at two dates are nearly the same, and pooling would take them for two."""
    number = scored.version.number
    rows = lake.query(
        f"SELECT score FROM p WHERE as_of = $day AND model_version = $version ORDER BY {quote(folder.spec.entity)}",
        {"day": day, "version": number},
        p=folder.tables.predictions,
    )
    return estimate(MetricGroup(day, day, False, number), np.asarray(rows["score"]), before, spec)


def _measured(
    lake: Lake, folder: ModelDefinition, spec: PerformanceSpec, scored: _Scored, before: Evaluated, workers: int
) -> _Part:
    """Each date on its own, the last dates pooled, and the slices of those."""
    days, number = sorted(scored.measured), scored.version.number
    if not days:
        return _Part([], [])
    refresh(lake, folder.labels, days, workers=workers)
    slices = [name for name in folder.spec.slices if name in scored.record.columns.all]
    table = _joined(lake, folder, scored, days, slices, workers)
    numbers, on = [], np.asarray(table["as_of"])
    for day in days:
        one = _scored(table.filter(pa.array(on == np.datetime64(day))))
        numbers += measure(MetricGroup(day, day, False, number), one, before, spec)
    first = days[-spec.window :][0]
    recent = table.filter(pa.array(on >= np.datetime64(first)))
    pooled, rows = MetricGroup(first, days[-1], True, number), _scored(recent)
    numbers += measure(pooled, rows, before, spec)
    for name in slices:
        of = MetricGroup(**(asdict(pooled) | {"slice": name}))
        numbers += measure_slice(of, recent[f"slice {name}"].to_pylist(), rows, before, spec)
    return _Part(numbers, _left_out(folder, scored, slices, len(table)))


def _left_out(folder: ModelDefinition, scored: _Scored, slices: Sequence[str], rows: int) -> list[str]:
    number, predicted = scored.version.number, sum(scored.measured.values())
    notes = [f"{name} is no feature of version {number}: no slice" for name in folder.spec.slices if name not in slices]
    if rows < predicted:
        notes.append(f"{predicted - rows} of {predicted} predictions of version {number} have no label: left out")
    return notes


def _scored(table: pa.Table) -> LabelledScores:
    return LabelledScores(np.asarray(table["label"]), np.asarray(table["score"]), entities(table["entity"]))


def _joined(
    lake: Lake, folder: ModelDefinition, scored: _Scored, days: Sequence[date], slices: Sequence[str], workers: int
) -> pa.Table:
    """Predictions of a version with their labels and the values of slices, ordered by date and entity.

    A prediction without a label (its entity is no member any more, after late rows) is left out.
    """
    entity, names = quote(folder.spec.entity), [f"slice {name}" for name in slices]
    label = scored.record.task.outcome_sql("l.label", "p.predicted")
    with lake.open(p=folder.tables.predictions, l=folder.labels.kept) as connection:
        if slices:
            connection.register("s", _words(lake, folder, scored, days, slices, workers))
        joined = f"LEFT JOIN s ON s.as_of = p.as_of AND s.{entity} = p.{entity}" if slices else ""
        rows: pa.Table = connection.sql(
            f"SELECT {', '.join(['p.as_of', f'p.{entity} AS entity', 'p.score', f'{label} AS label'])}"
            f"{''.join(f', s.{quote(name)}' for name in names)} "
            f"FROM p JOIN l ON l.as_of = p.as_of AND l.{entity} = p.{entity} {joined} "
            "WHERE p.model_version = $version AND p.as_of IN (SELECT unnest($days)) AND l.label IS NOT NULL "
            f"ORDER BY p.as_of, p.{entity}",
            params={"version": scored.version.number, "days": list(days)},
        ).to_arrow_table()
    return rows


def _words(
    lake: Lake, folder: ModelDefinition, scored: _Scored, days: Sequence[date], slices: Sequence[str], workers: int
) -> pa.Table:
    """The values of the slices as the evaluation writes them, by date and entity."""
    table = feature_rows(lake, folder, scored.record, days, workers=workers)
    values = features(table, scored.record.columns)
    words = {f"slice {name}": pa.array(_text(values[name].to_numpy()), pa.string()) for name in slices}
    return pa.table({"as_of": table["as_of"], folder.spec.entity: table[folder.spec.entity], **words})


def _text(values: "NDArray[Any]") -> list[str | None]:
    missing = [value is None or value != value for value in values]  # noqa: PLR0124 - NaN of any type is not itself
    return [None if gone else str(value) for value, gone in zip(values, missing, strict=True)]
