"""The models of a replay: trained by the loop's own code, kept on disk under their recipe, never registered.

Gates are judged as in the loop, but for those on latency: it says something about the machine of today, and nothing
about the as-of date.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import pyarrow as pa

from ml_assets.decisions.gate import Gate, GateEvidence, GateVerdict, decide
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS
from ml_assets.errors import TrainingError
from ml_assets.replay.history_index import HistoryIndex
from ml_assets.replay.store import ReplayStore
from ml_assets.storage.lake import Lake
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.record import TrainingRecord
from ml_assets.training.report import load_candidate, score_champion
from ml_assets.training.train import Fitted, fit, recipe, training_record

_RESAMPLES, _FEW_RESAMPLES = 1000, 100
_SHIPPED, _EVALUATION, _DONE = "model.onnx", "evaluation.onnx", "version.json"


@dataclass(frozen=True)
class ReplayedModel:
    """A trained version that only the replay knows.

    Args:
        recipe: rows, declaration and libraries, as a hash: the version's identity.
        record: what it was trained from.
        metrics: on its test rows, by the artifact of its evaluation; `accuracy` at the threshold, and `onnx_parity`.
        threshold: the score from which on acting was cheapest on the test rows.
        seconds: what search, fits, export and the metrics took when they were really done.
        rows: that it was fitted on; older stores do not say it.
    """

    recipe: str
    record: TrainingRecord
    metrics: Mapping[str, float]
    threshold: float
    seconds: float
    rows: int | None = None


@dataclass(frozen=True)
class ReplayedModels:
    """The models of a folder, trained when they are first asked for.

    Args:
        lake: where training sets are.
        folder: the model folder.
        store: where trained models are kept.
        index: what is there at each as-of date.
        workers: as-of dates computed side by side.
        located: recipe → what `locate` gives.
    """

    lake: Lake
    folder: ModelDefinition
    store: ReplayStore
    index: HistoryIndex
    workers: int = 2
    located: dict[str, TrainingRecord] = field(default_factory=dict)

    def candidate(self, as_of: date) -> ReplayedModel:
        """The candidate of an as-of date: trained now, or found where the same rows and recipe were trained before.

        Raises:
            TrainingError: as `dataset.build` and `train.fit`.
        """
        window = dataset.window(self.folder, as_of, as_of)
        version = self._kept(recipe(self.folder, dataset.identity(self.index.views, window)))
        return version or self._trained(as_of)

    def record(self, version: ReplayedModel) -> TrainingRecord:
        """See `Versions`."""
        return version.record

    def training_rows(self, version: ReplayedModel) -> pa.Table:
        """See `Versions`."""
        record = self.locate(version)
        return dataset.read(self.lake, record.table, record.as_of, record.version)

    def release_artifact(self, version: ReplayedModel) -> bytes:
        """See `Versions`."""
        return self._artifact(version, _SHIPPED)

    def evaluation_artifact(self, version: ReplayedModel) -> bytes:
        """See `Versions`."""
        return self._artifact(version, _EVALUATION)

    def rows_fitted(self, version: ReplayedModel) -> int:
        """See `Versions`."""
        return version.rows or sum(self.index.members.get(day, 0) for day in version.record.split.refit)

    def importance(self, version: ReplayedModel) -> Mapping[str, float]:
        """See `Versions`; measured when it is asked for the first time."""
        seed = self.folder.spec.seed
        weights: dict[str, float] = self.store.fact(
            "leaned", version.recipe, seed, make=lambda: self._importance(version, seed)
        )
        return weights

    def decide(self, candidate: ReplayedModel, champion: ReplayedModel | None) -> GateVerdict:
        """Decide whether a candidate may ship, by the gates of the folder that need no latency."""
        left_out = {"machine", "features"}  # they say nothing of a policy
        gates = [gate for gate in self.folder.spec.gates if METRICS[gate.metric].source not in left_out]
        others = {"baseline": None, **({"champion": champion} if champion else {})}
        differences = {
            name: self._differences(candidate, other, [gate for gate in gates if gate.against == name])
            for name, other in others.items()
        }
        return decide(gates, _evidence(gates, candidate, champion, differences))

    def locate(self, version: ReplayedModel) -> TrainingRecord:
        """The record of a version, with its training set as it stands in the lake today.

        The lake may have been built anew since: the rows are the same, the numbers of its versions are not.
        """
        if version.recipe not in self.located:
            built = dataset.build(self.lake, self.folder, version.record.as_of, workers=self.workers)
            record = replace(version.record, table=built.table, version=built.version, tables=built.tables)
            self.located[version.recipe] = record
        return self.located[version.recipe]

    def _trained(self, as_of: date) -> ReplayedModel:
        built = dataset.build(self.lake, self.folder, as_of, workers=self.workers)
        identity = recipe(self.folder, built.fingerprint)
        started = time.perf_counter()
        fitted = fit(self.lake, self.folder, built, _NoTrials())
        version = {
            "record": json.loads(training_record(self.folder, built, fitted).to_json()),
            **_evaluated(fitted, self.folder),
            "seconds": round(time.perf_counter() - started, 3),
        }
        for name, content in ((_SHIPPED, fitted.shipped), (_EVALUATION, fitted.evaluation)):
            self.store.write("versions", identity, name, content=content)
        # The last file says that the others are there.
        self.store.write("versions", identity, _DONE, content=json.dumps(version, indent=1).encode())
        return _model(identity, version)

    def _kept(self, identity: str) -> ReplayedModel | None:
        if not all(self.store.holds("versions", identity, name) for name in (_DONE, _SHIPPED, _EVALUATION)):
            return None
        return _model(identity, json.loads(self.store.read("versions", identity, _DONE) or b""))

    def _importance(self, version: ReplayedModel, seed: int) -> dict[str, float]:
        candidate = load_candidate(self, self.folder, version)
        weights = self.folder.task.importance(candidate.predict, candidate.test, seed)
        return {name: importance.mean for name, importance in weights.items()}

    def _artifact(self, model: ReplayedModel, name: str) -> bytes:
        content = self.store.read("versions", model.recipe, name)
        if content is None:
            raise TrainingError(f"{name} of {model.recipe} was removed from {self.store.root}: replay again")
        return content

    def _differences(
        self, candidate: ReplayedModel, other: ReplayedModel | None, gates: Sequence[Gate]
    ) -> dict[str, Interval]:
        """Candidate minus `other` (None = the best single feature) on the candidate's test rows."""
        metrics = sorted({gate.metric for gate in gates if METRICS[gate.metric].has_interval})
        if not metrics:
            return {}
        # A gate that looks at the estimate alone passes or not whatever the interval: it is only said.
        resamples = _RESAMPLES if any(gate.confident for gate in gates) else _FEW_RESAMPLES
        key = (candidate.recipe, other.recipe if other else None, metrics, resamples, self.folder.spec.seed)
        intervals = self.store.fact("compared", *key, make=lambda: self._compare(candidate, other, metrics, resamples))
        return {metric: Interval(**numbers) for metric, numbers in intervals.items()}

    def _compare(
        self, version: ReplayedModel, other: ReplayedModel | None, metrics: Sequence[str], resamples: int
    ) -> dict[str, dict[str, float]]:
        folder, candidate = self.folder, load_candidate(self, self.folder, version)
        if other is None:
            theirs = folder.task.baseline(candidate)[0]
        else:
            theirs = score_champion(self.lake, self, folder, other, version, candidate.test, workers=self.workers).p
        test, mine = candidate.test, candidate.predict(candidate.test.X)
        differences = folder.task.compare(
            test.y, mine, theirs, test.groups, metrics=metrics, resamples=resamples, seed=folder.spec.seed
        )
        return {metric: asdict(interval) for metric, interval in differences.items()}


class _NoTrials:
    """`Trials` that go nowhere: a replay has no run to note them in."""

    def trial(self, *_: object) -> None:
        """Nothing."""


def _model(identity: str, kept: Mapping[str, Any]) -> ReplayedModel:
    record = TrainingRecord.from_json(json.dumps(kept["record"]).encode())
    return ReplayedModel(identity, record, kept["metrics"], kept["threshold"], kept["seconds"], kept.get("rows"))


def _evaluated(made: Fitted, folder: ModelDefinition) -> dict[str, Any]:
    from ml_assets.training import export

    y, p = made.tested.y, export.probabilities(made.evaluation, made.tested.X)
    threshold = folder.task.threshold(y, p, folder.spec)
    metrics = folder.task.measure(y, p, threshold) | {"onnx_parity": made.parity}
    return {"metrics": metrics, "threshold": threshold, "rows": len(made.data.y)}


def _evidence(
    gates: Sequence[Gate],
    candidate: ReplayedModel,
    champion: ReplayedModel | None,
    differences: Mapping[str, Mapping[str, Interval]],
) -> GateEvidence:
    others = {gate.against for gate in gates if gate.against}
    return GateEvidence(
        candidate.metrics,
        {name: intervals for name, intervals in differences.items() if name in others},
        candidate.record.as_of,
        champion.record.as_of if champion else None,
    )
