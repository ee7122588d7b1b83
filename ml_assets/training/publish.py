"""The manifest of a version that passed its gates: all that a release hands to the server."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from ml_assets.features.view import View, feature_set
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import (
    Band,
    Input,
    InputKind,
    Manifest,
    PassedGate,
    ReleasedReasons,
    RowQuery,
    ServedProperties,
)
from ml_assets.storage.registry import Registry
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.explanations import explain_version
from ml_assets.training.record import TrainingRecord, record

if TYPE_CHECKING:
    from ml_assets.training.report import Report

_EXAMPLE = "this lease is made between the landlord and the tenant"
_TAGS = ("dagster_run_id", "mlflow.source.git.commit")


def manifest(lake: Lake, registry: Registry, folder: ModelDefinition, report: "Report") -> bytes:
    """The manifest of a reported version; the same version and declaration give the same bytes.

    Args:
        lake: where the training set is.
        registry: where the version is.
        folder: the declaration, of which bands and the properties of `serve:` are taken.
        report: of the version, with its metrics and gates.
    """
    version, origin = report.version, record(registry, report.version)
    return Manifest(
        model=folder.name,
        version=version.number,
        as_of=str(version.as_of),
        entity=origin.entity,
        sha256=version.tags["sha256"],
        inputs=_inputs(lake, origin),
        ttls={_short(item.view): item.ttl.total_seconds() for item in origin.used},
        feature_set=feature_set(folder.name, origin.used),
        bands=_bands(folder, origin, report.evaluation),
        metrics=report.metrics,
        gates=tuple(PassedGate(gate.name, gate.value, gate.limit, gate.reason) for gate in report.verdict.numbers),
        reason=report.verdict.reason,
        run_id=version.run_id,
        run_url=registry.link(version),
        tags={name: version.tags[name] for name in _TAGS if name in version.tags},
        tables=origin.tables,
        classes=origin.classes,
        documents=_documents(folder, origin),
        extract=folder.extract or msgspec.UNSET,
        reasons=_reasons(lake, registry, folder, report),
        **{each.name: getattr(folder.spec.serve, each.name) for each in fields(ServedProperties)},
    ).to_json()


def _reasons(lake: Lake, registry: Registry, folder: ModelDefinition, report: "Report") -> ReleasedReasons:
    found, spec = explain_version(lake, registry, folder, report.version, report.evaluation), folder.spec.reasons
    texts = {name: words for name, words in spec.texts.items() if name in found.players}
    return ReleasedReasons(found.sha256, (5 if folder.spec.text else 0) if spec.always is None else spec.always, texts)


def _documents(folder: ModelDefinition, kept: TrainingRecord) -> tuple[RowQuery, ...]:
    """The views, where each needs nothing but the document itself; else a file that is sent has no features."""
    source = folder.spec.documents and folder.spec.documents.source
    alone = [view for view in kept.features if [relation.name for relation in view.relations] == [source]]
    if not source or len(alone) < len(kept.features):
        return ()
    return tuple(RowQuery(view.query.sql, source, bool(view.query.parameters)) for view in alone)


def _short(view: View) -> str:
    return view.table.rpartition("/")[2]


def _inputs(lake: Lake, kept: TrainingRecord) -> tuple[Input, ...]:
    owners = {name: _short(view) for view in kept.features for name in lake.schema(view.kept).names}
    table = dataset.read(lake, kept.table, kept.as_of, kept.version)
    common, missing = (
        _common(lake, kept, table),
        {name: table[name].null_count / len(table) for name in kept.columns.all},
    )
    kinds: dict[InputKind, tuple[str, ...]] = {
        "number": kept.columns.numeric,
        "text": kept.columns.categorical,
        "document": kept.columns.text,
    }
    return tuple(
        Input(name, kind, owners[name], common[name], round(missing[name], 4))
        for kind, names in kinds.items()
        for name in names
    )


def _common(lake: Lake, kept: TrainingRecord, rows: pa.Table) -> dict[str, Any]:
    """The median of each number and the most frequent of each text: nobody's own values; of running text no example."""
    numbers = [f"median({quote(name)}::DOUBLE) AS {quote(name)}" for name in kept.columns.numeric]
    words = [f"mode({quote(name)}) AS {quote(name)}" for name in kept.columns.categorical]
    with lake.connect() as connection:
        connection.register("training_set", rows)
        (row,) = connection.sql(f"SELECT {', '.join(numbers + words)} FROM training_set").to_arrow_table().to_pylist()
    return {**row, **dict.fromkeys(kept.columns.text, _EXAMPLE)}


def _bands(folder: ModelDefinition, kept: TrainingRecord, evaluation: Evaluation) -> tuple[Band, ...]:
    return tuple(Band(name, start) for name, start in kept.task.bands(folder.spec.serve.bands, evaluation).items())
