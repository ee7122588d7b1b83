"""The evaluation report: a version on rows that it never saw, beside the baseline and the champion, and its verdict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.decisions.gate import GateAction, GateEvidence, GateVerdict, decide, leak
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS, headline
from ml_assets.errors import TrainingError
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition, require_features
from ml_assets.training.frame import Frame, frame
from ml_assets.training.record import EVALUATION, TrainingRecord, record, required_file
from ml_assets.training.score import probabilities, rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPORT = "evaluation/report.json"
PLOTS = "evaluation/plots.png"


@dataclass(frozen=True)
class Report:
    """An evaluation and its verdict.

    Args:
        version: what was evaluated.
        evaluation: everything measured, as plain JSON (`Evaluation.as_dict`).
        verdict: of the gates.
        plots: a PNG.
        against: what the champion was when they were compared: its version and which of its artifacts; None = none.
    """

    version: Version
    evaluation: Mapping[str, Any]
    verdict: GateVerdict
    plots: bytes
    against: str | None

    @property
    def metrics(self) -> dict[str, float]:
        """The candidate's metrics on the test rows."""
        return dict(self.evaluation["metrics"])

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        keys = [*headline(), *(name for name in METRICS if METRICS[name].source == "scores" and name != "mean_score")]
        return {
            **{name: self.metrics[name] for name in keys if name in self.metrics},
            "version": self.version.number,
            "verdict": _word(self.verdict),
            "reason": self.verdict.reason,
            "compared_with": self.against or "no other champion",
            **self._baseline(),
        }

    @property
    def suspects(self) -> dict[str, float]:
        """Features that rank so well alone that the future may have leaked into them → their ROC AUC."""
        return dict(self.evaluation.get("baseline", {}).get("suspects", {}))

    def _baseline(self) -> dict[str, Any]:
        best = self.evaluation.get("baseline")
        if not best:
            return {}
        said = f"{best['feature']} {best['form']}: roc_auc {best['roc_auc']:.4f} on the later training dates"
        return {"baseline": said, **({"suspected_leak": leak(self.suspects).lstrip("; ")} if self.suspects else {})}


def report(lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, *, workers: int = 2) -> Report:
    """Evaluate a version, or read the report that stands for the same version, champion and costs."""
    champion = _other(registry.champion(folder.name), version)
    stands = _stored(registry, version)
    asked = {"against": None if champion is None else champion.number, "declared": folder.spec.judged_on}
    if stands is None or _differs(stands["asked"], asked):
        stands = _evaluate(lake, registry, folder, version, champion, workers) | {"asked": asked}
        registry.write(version.run_id, {REPORT: json.dumps(stands, default=float, indent=1).encode()})
    verdict = _decide(registry, folder, version, stands)
    if version.tags.get("verdict") != _word(verdict) or version.tags.get("reason") != verdict.reason:
        registry.tag(version, verdict=_word(verdict), reason=verdict.reason[:4000])
    plots = registry.read(version.run_id, PLOTS)
    return Report(version, stands["evaluation"], verdict, plots or b"", stands["against"])


def _differs(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a report is made anew; without another champion, the one that it was compared with still counts."""
    other = now["against"] is not None and before["against"] != now["against"]
    return bool(other or before["declared"] != now["declared"])


def _other(champion: Version | None, version: Version) -> Version | None:
    return None if champion is None or champion.number == version.number else champion


def _word(verdict: GateVerdict) -> str:
    return "passed" if verdict.action is GateAction.SHIP else "failed"


def _stored(registry: Registry, version: Version) -> dict[str, Any] | None:
    content = registry.read(version.run_id, REPORT)
    return None if content is None else dict(json.loads(content))


def _decide(registry: Registry, folder: ModelDefinition, version: Version, stands: Mapping[str, Any]) -> GateVerdict:
    evaluation = stands["evaluation"]
    operations = {
        name: value for name, value in registry.metrics(version.run_id).items() if name not in evaluation["metrics"]
    }
    differences = {
        other: {metric: Interval(i["estimate"], i["low"], i["high"]) for metric, i in intervals.items()}
        for other, intervals in evaluation["intervals"].items()
    }
    champion = _other(registry.champion(folder.name), version)
    best = evaluation.get("baseline") or {}  # of several classes there is none
    alone = {"single_feature_roc_auc": best["roc_auc"]} if best else {}
    evidence = GateEvidence(
        {**operations, **alone, **evaluation["metrics"]},
        differences,
        version.as_of,
        champion.as_of if champion else None,
        {"baseline": f"{best['feature']} {best['form']}"} if best else {},
        best.get("suspects", {}),
    )
    return decide(folder.spec.gates, evidence)


def _evaluate(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, champion: Version | None, workers: int
) -> dict[str, Any]:
    from ml_assets.training import export  # onnxruntime
    from ml_assets.training.task.task import Candidate

    kept = record(registry, version)
    table = dataset.read(lake, kept.table, kept.as_of, kept.version)
    data = frame(table, kept.columns, kept.entity, dataset.ROW, kept.classes)
    train, test = data.at(kept.split.train), data.at(kept.split.test)
    judged = export.session(required_file(registry, version, EVALUATION))
    said: dict[str, NDArray[np.float64]] = {}
    against = None
    if champion is not None:
        said["champion"], against = _champion(lake, registry, folder, champion, kept, test, workers)
    candidate = Candidate(folder.spec, train, test, partial(export.probabilities, judged))
    made, plots = kept.task.evaluate(candidate, _slices(folder, test), said, f"{folder.name} {version.as_of}")
    registry.log(version.run_id, made.metrics)
    registry.write(version.run_id, {PLOTS: plots})
    return {"evaluation": made.as_dict(), "against": against}


def _champion(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    champion: Version,
    candidate: TrainingRecord,
    test: Frame,
    workers: int,
) -> "tuple[NDArray[np.float64], str]":
    """The champion's probabilities of the same rows, by an artifact that was not fitted on them.

    That is the released one, where its labels ended before the test; else, for a recent champion, the one that its
    own evaluation fitted.
    """
    kept = record(registry, champion)
    fresh = kept.precedes(candidate.split.test, folder.spec.label.horizon)
    artifact = registry.onnx(champion) if fresh else required_file(registry, champion, EVALUATION)
    table = _tested(lake, candidate, rows(lake, folder, kept, candidate.split.test, workers=workers))
    if len(table) != len(test.y):
        raise TrainingError(
            f"{folder.name}: the population has {len(table)} members on the test dates, the training set "
            f"{len(test.y)}: late rows arrived in between; run again"
        )
    return probabilities(
        artifact, kept, table
    ), f"version {champion.number}, {'as released' if fresh else 'as evaluated'}"


def _slices(folder: ModelDefinition, test: Frame) -> "dict[str, NDArray[Any]]":
    require_features(folder.spec.slices, [*map(str, test.X.columns)], f"{folder.name}/defs.yaml: slices")
    return {name: test.X[name].to_numpy() for name in folder.spec.slices}


def _tested(lake: Lake, candidate: TrainingRecord, table: pa.Table) -> pa.Table:
    """The rows of the population that have a label: of several classes, some have none."""
    if not candidate.task.names_classes:
        return table
    kept = dataset.read(lake, candidate.table, candidate.as_of, candidate.version)
    known = _keys(kept[dataset.ROW], kept[candidate.entity])
    return table.filter(pc.is_in(_keys(table["as_of"], table[candidate.entity]), value_set=known))


def _keys(days: pa.ChunkedArray, entities: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(days.cast(pa.string()), entities.cast(pa.string()), " ")
