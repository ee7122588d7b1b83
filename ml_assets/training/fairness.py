"""The fairness report: a candidate's rates in declared groups on its test rows, and whether they are alike.

A version's run keeps it as `evaluation/fairness.json`, with its picture. Other groups, limits or decisions are another
report, which is made of the same draws.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.decisions.fairness import BASE_RATE, SELECTION
from ml_assets.decisions.group_equalities import Equality, equalities
from ml_assets.decisions.group_rates import GroupComparison, compare_groups
from ml_assets.errors import TrainingError
from ml_assets.features.store import fingerprints
from ml_assets.features.view import View
from ml_assets.spec.fairness import FairnessSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.bootstrap import Clusters
from ml_assets.training.dataset import ROW
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import required_evaluation
from ml_assets.training.fairness_plot import figure
from ml_assets.training.fairness_record import (
    NO_GROUPS,
    PLOT,
    REPORT,
    FairnessInputs,
    FairnessOutcome,
    FairnessRecord,
    FairnessReport,
)
from ml_assets.training.frame import frame
from ml_assets.training.group_values import group_values
from ml_assets.training.record import TrainingRecord
from ml_assets.training.versions import RegisteredVersions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def report_fairness(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, *, workers: int = 2
) -> FairnessReport:
    """Measure a version that was evaluated, or read the report that stands for the same groups and threshold.

    Args:
        lake: where training sets, sources and groups are.
        registry: where versions are.
        folder: the model, which declares groups.
        version: what is measured.
        workers: as-of dates computed side by side.

    Raises:
        TrainingError: no groups are declared, or the version was not evaluated.
        DeclarationError: the query of the groups fails.
    """
    lake, spec, groups = lake.session(), *_declared(folder)
    versions = RegisteredVersions(lake, registry)
    kept = versions.record(version)
    prints = fingerprints(lake, groups, kept.split.test)  # first: what comes in meanwhile gives others
    asked = _inputs(registry, folder, version, spec, tuple(prints[day] for day in kept.split.test))
    content = registry.read(version.run_id, REPORT)
    if content is None or FairnessRecord.from_json(content).asked != asked:
        record = _measure(lake, versions, folder, version, kept, asked, workers)
        title = f"{folder.name} {version.as_of}: groups against all others"
        registry.write(version.run_id, {PLOT: figure(record.comparison.differences, spec.policy, title)})
        content = record.to_json()
        registry.write(version.run_id, {REPORT: content})
    return _report(registry, version, spec, content)


def read_fairness(registry: Registry, folder: ModelDefinition, version: Version) -> FairnessReport:
    """The report of a version as `report_fairness` kept it; nothing is measured.

    Raises:
        TrainingError: there is none, or it is of other groups, limits or decisions; or no groups are declared.
    """
    spec, _ = _declared(folder)
    content = registry.read(version.run_id, REPORT)
    if content is not None:
        asked = FairnessRecord.from_json(content).asked
        if asked == _inputs(registry, folder, version, spec, asked.groups):
            return _report(registry, version, spec, content)
    what = (
        "there is no fairness report"
        if content is None
        else "the fairness report is of other groups, limits or decisions"
    )
    raise TrainingError(
        f"{what} of {folder.name} version {version.number}: materialize {folder.name}/fairness_report first"
    )


def fairness_outcome(registry: Registry, folder: ModelDefinition, version: Version) -> FairnessOutcome:
    """The outcome of a version's report, for a list of checks; `not_judged` where no groups are declared.

    Raises:
        TrainingError: groups are declared and the version has no report of them.
    """
    return NO_GROUPS if folder.groups is None else read_fairness(registry, folder, version).outcome


def _declared(folder: ModelDefinition) -> tuple[FairnessSpec, View]:
    if folder.spec.fairness is None or folder.groups is None:
        raise TrainingError(f"{folder.name} declares no groups: add fairness: to its Model")
    return folder.spec.fairness, folder.groups


def _inputs(
    registry: Registry, folder: ModelDefinition, version: Version, spec: FairnessSpec, groups: tuple[int, ...]
) -> FairnessInputs:
    declared = spec.model_dump_json(exclude={"sql", "blocking"})
    threshold = required_evaluation(registry, version).evaluation.threshold
    return FairnessInputs(declared, threshold, folder.spec.seed, groups)


def _report(registry: Registry, version: Version, spec: FairnessSpec, content: bytes) -> FairnessReport:
    plot = registry.read(version.run_id, PLOT) or b""
    evidence = hashlib.sha256(content).hexdigest()
    return FairnessReport(version, FairnessRecord.from_json(content), spec.policy, evidence, plot)


def _measure(
    lake: Lake,
    versions: RegisteredVersions,
    folder: ModelDefinition,
    version: Version,
    kept: TrainingRecord,
    asked: FairnessInputs,
    workers: int,
) -> FairnessRecord:
    from ml_assets.training import export  # onnxruntime

    spec, groups = _declared(folder)
    rows = _test_rows(versions, version, kept)
    data = frame(rows, kept.columns, kept.entity, ROW, kept.classes)
    p = export.probabilities(versions.evaluation_artifact(version), data.X)
    ids = pc.dictionary_encode(rows[kept.entity]).combine_chunks().dictionary
    first = np.full(len(ids), data.days.max())
    np.minimum.at(first, data.groups, data.days)
    values = group_values(lake, groups, spec.groups, ids, first, workers=workers)
    ratios, labels = kept.task.entity_ratios(data.y, p, Clusters(data.groups, len(ids)), asked.threshold)
    comparison = compare_groups(ratios, values, labels, level=spec.level, seed=asked.seed, selection=SELECTION)
    apart = _equalities(comparison, values, data.groups, data.y, kept.task.score(p), asked.threshold, spec.level)
    return FairnessRecord(asked, len(ids), len(rows), comparison, apart)


def _test_rows(versions: RegisteredVersions, version: Version, kept: TrainingRecord) -> pa.Table:
    rows = versions.training_rows(version)
    tested = np.isin(np.asarray(rows[ROW]).astype("datetime64[D]"), np.array(kept.split.test, "datetime64[D]"))
    return rows.filter(pa.array(tested))


def _equalities(
    comparison: GroupComparison, values: "Mapping[str, NDArray[Any]]", entity: "NDArray[Any]", y: "NDArray[Any]",
    p: "NDArray[Any]", threshold: float, level: float,
) -> tuple[Equality, ...]:  # fmt: skip
    """Of the groups whose base rate differs; none where there are several classes, which have no base rate."""
    found: list[Equality] = []
    for each in comparison.differences:
        if each.metric == BASE_RATE and each.p is not None and each.p <= level:
            inside = (values[each.group.attribute] == each.group.name)[entity]
            found += equalities(each.group.attribute, each.group.name, inside, y.astype(np.float64), p, threshold)
    return tuple(found)
