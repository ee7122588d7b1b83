"""The evaluation report: a version on rows that it never saw, beside the baseline and the champion, and its verdict."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.decisions.gate import GateAction, GateEvidence, GateVerdict, decide, leak
from ml_assets.decisions.metric import METRICS, headline, operations
from ml_assets.errors import TrainingError
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition, require_features
from ml_assets.training.evaluation import (
    REPORT,
    Evaluation,
    EvaluationInputs,
    EvaluationRecord,
    read_evaluation,
    required_evaluation,
)
from ml_assets.training.frame import Frame, frame
from ml_assets.training.score import feature_rows, probabilities
from ml_assets.training.task.task import Candidate
from ml_assets.training.versions import RegisteredVersions, V, Versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PLOTS = "evaluation/plots.png"


@dataclass(frozen=True)
class Report:
    """An evaluation and its verdict.

    Args:
        version: what was evaluated.
        evaluation: everything that was measured.
        verdict: of the gates.
        plots: a PNG.
        against: what the champion was when they were compared: its version and which of its artifacts; None = none.
    """

    version: Version
    evaluation: Evaluation
    verdict: GateVerdict
    plots: bytes
    against: str | None

    @property
    def metrics(self) -> dict[str, float]:
        """The candidate's metrics on the test rows."""
        return self.evaluation.metrics

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
        best = self.evaluation.baseline
        return dict(best.suspects) if best else {}

    def _baseline(self) -> dict[str, Any]:
        best = self.evaluation.baseline
        if best is None:
            return {}
        sentence = f"{best}: roc_auc {best.roc_auc:.4f} on the later training dates"
        return {"baseline": sentence, **({"suspected_leak": leak(self.suspects).lstrip("; ")} if self.suspects else {})}


def report(lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, *, workers: int = 2) -> Report:
    """Evaluate a version, or read the report that stands for the same version, champion and costs.

    Args:
        lake: where training sets, sources and views are.
        registry: where versions are.
        folder: the model.
        version: what is evaluated.
        workers: as-of dates computed side by side, for the champion's features.
    """
    champion = _other(registry.champion(folder.name), version)
    inputs, record = _inputs(folder, champion), read_evaluation(registry, version)
    if record is None or _differs(record.asked, inputs):
        evaluation, against = _evaluate(lake, registry, folder, version, champion, workers)
        record = EvaluationRecord(evaluation, against, inputs)
        registry.write(version.run_id, {REPORT: record.to_json()})
    done = _report(registry, folder, version, record)
    if version.tags.get("verdict") != _word(done.verdict) or version.tags.get("reason") != done.verdict.reason:
        registry.tag(version, verdict=_word(done.verdict), reason=done.verdict.reason[:4000])
    return done


def read_report(registry: Registry, folder: ModelDefinition, version: Version) -> Report:
    """The report of a version as `report` kept it; nothing is measured.

    Raises:
        TrainingError: there is none, or it was made beside another champion, or for other slices or costs.
    """
    record = required_evaluation(registry, version)
    if _differs(record.asked, _inputs(folder, _other(registry.champion(folder.name), version))):
        raise TrainingError(
            f"the evaluation of {folder.name} version {version.number} is beside another champion, or for other slices "
            f"or costs: materialize {folder.name}/evaluation_report first"
        )
    return _report(registry, folder, version, record)


def _report(registry: Registry, folder: ModelDefinition, version: Version, record: EvaluationRecord) -> Report:
    verdict = _decide(registry, folder, version, record.evaluation)
    plots = registry.read(version.run_id, PLOTS)
    return Report(version, record.evaluation, verdict, plots or b"", record.against)


def _inputs(folder: ModelDefinition, champion: Version | None) -> EvaluationInputs:
    return EvaluationInputs(None if champion is None else champion.number, folder.spec.judged_on)


def _differs(before: EvaluationInputs, now: EvaluationInputs) -> bool:
    """Whether a report is made anew; without another champion, the one that it was compared with still counts."""
    other = now.against is not None and before.against != now.against
    return other or before.declared != now.declared


def _other(champion: Version | None, version: Version) -> Version | None:
    return None if champion is None or champion.number == version.number else champion


def _word(verdict: GateVerdict) -> str:
    return "passed" if verdict.action is GateAction.SHIP else "failed"


def _decide(registry: Registry, folder: ModelDefinition, version: Version, evaluation: Evaluation) -> GateVerdict:
    """The verdict of the gates. Of the run only what its training measured is evidence, not all that anybody logged."""
    logged = registry.metrics(version.run_id)
    of_artifact = {name: logged[name] for name in operations() if name in logged}
    champion = _other(registry.champion(folder.name), version)
    best = evaluation.baseline  # of several classes there is none
    alone = {"single_feature_roc_auc": best.roc_auc} if best else {}
    evidence = GateEvidence(
        {**of_artifact, **alone, **evaluation.metrics},
        evaluation.intervals,
        version.as_of,
        champion.as_of if champion else None,
        {"baseline": str(best)} if best else {},
        best.suspects if best else {},
    )
    return decide(folder.spec.gates, evidence)


def _evaluate(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, champion: Version | None, workers: int
) -> tuple[Evaluation, str | None]:
    versions = RegisteredVersions(lake, registry)
    candidate = load_candidate(versions, folder, version)
    others: dict[str, NDArray[np.float64]] = {}
    against = None
    if champion is not None:
        scored = score_champion(lake, versions, folder, champion, version, candidate.test, workers=workers)
        others["champion"] = scored.p
        against = f"version {champion.number}, {'as released' if scored.released else 'as evaluated'}"
    candidate = replace(
        candidate, slices=_slices(folder, candidate.test), others=others, title=f"{folder.name} {version.as_of}"
    )
    evaluation, plots = versions.record(version).task.evaluate(candidate)
    registry.log(version.run_id, evaluation.metrics)
    registry.write(version.run_id, {PLOTS: plots})
    return evaluation, against


def load_candidate(versions: Versions[V], folder: ModelDefinition, version: V) -> Candidate:
    """A version to be judged: its train and test rows, and its artifact that was not fitted on the latter."""
    from ml_assets.training import export  # onnxruntime

    record = versions.record(version)
    data = frame(versions.training_rows(version), record.columns, record.entity, dataset.ROW, record.classes)
    session = export.session(versions.evaluation_artifact(version))
    train, test = data.at(record.split.train), data.at(record.split.test)
    return Candidate(folder.spec, train, test, partial(export.probabilities, session))


class ChampionScores(NamedTuple):
    """What a champion says of a candidate's test rows.

    Args:
        p: the probability of each class, [n, classes].
        released: whether the artifact that answers said it, or the one of its own evaluation.
    """

    p: "NDArray[np.float64]"
    released: bool


def score_champion(
    lake: Lake,
    versions: Versions[V],
    folder: ModelDefinition,
    champion: V,
    candidate: V,
    test: Frame,
    *,
    workers: int = 2,
) -> ChampionScores:
    """The champion on the candidate's test rows, by an artifact that was not fitted on them.

    That is the released one, where its labels ended before the test; else, for a recent champion, the one that its
    own evaluation fitted.

    Args:
        lake: where the rows are.
        versions: that keep both.
        folder: the model.
        champion: scores with its own features.
        candidate: that it is compared with.
        test: the candidate's test rows, n of them.
        workers: as-of dates computed side by side.

    Raises:
        TrainingError: late rows arrived since the candidate was trained.
    """
    record, judged = versions.record(champion), versions.record(candidate)
    table = feature_rows(lake, folder, record, judged.split.test, workers=workers)
    if judged.task.names_classes:  # some members have no label
        labelled = versions.training_rows(candidate)
        known = _keys(labelled[dataset.ROW], labelled[judged.entity])
        table = table.filter(pc.is_in(_keys(table["as_of"], table[judged.entity]), value_set=known))
    if len(table) != len(test.y):
        raise TrainingError(
            f"{folder.name}: the population has {len(table)} members on the test dates, the training set "
            f"{len(test.y)}: late rows arrived in between; run again"
        )
    released = record.precedes(judged.split.test, folder.spec.label.horizon)
    artifact = versions.release_artifact(champion) if released else versions.evaluation_artifact(champion)
    return ChampionScores(probabilities(artifact, record, table), released)


def _slices(folder: ModelDefinition, test: Frame) -> "dict[str, NDArray[Any]]":
    require_features(folder.spec.slices, [*map(str, test.X.columns)], f"{folder.name}/defs.yaml: slices")
    return {name: test.X[name].to_numpy() for name in folder.spec.slices}


def _keys(days: pa.ChunkedArray, entities: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(days.cast(pa.string()), entities.cast(pa.string()), " ")
