"""The models of a replay: trained by the loop's own code, kept on disk under their recipe, never registered.

Gates are judged as in the loop, but for those on latency: it says something about the machine of today, and nothing
about the as-of date.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.decisions.gate import Gate, GateEvidence, GateVerdict, decide
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS
from ml_assets.errors import TrainingError
from ml_assets.replay.history_index import HistoryIndex
from ml_assets.replay.store import ReplayStore
from ml_assets.storage.lake import Lake
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import frame
from ml_assets.training.record import TrainingRecord
from ml_assets.training.score import probabilities
from ml_assets.training.task.task import Candidate
from ml_assets.training.train import Fitted, fit, recipe, training_record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        known: what is there at each as-of date.
        workers: as-of dates computed side by side.
    """

    lake: Lake
    folder: ModelDefinition
    store: ReplayStore
    known: HistoryIndex
    workers: int = 2

    def at(self, as_of: date) -> ReplayedModel:
        """The candidate of an as-of date: trained now, or found where the same rows and recipe were trained before.

        Raises:
            TrainingError: as `dataset.build` and `train.fit`.
        """
        window = dataset.window(self.folder, as_of, as_of)
        found = self._kept(recipe(self.folder, dataset.identity(self.known.views, window)))
        return found or self._trained(as_of)

    def shipped(self, model: ReplayedModel) -> bytes:
        """The artifact that answers (ONNX)."""
        return self._artifact(model, _SHIPPED)

    def decide(self, candidate: ReplayedModel, champion: ReplayedModel | None) -> GateVerdict:
        """Whether a candidate may ship, by the gates of the folder that need no latency."""
        left_out = {"machine", "features"}  # they say nothing of a policy
        gates = [gate for gate in self.folder.spec.gates if METRICS[gate.metric].source not in left_out]
        others = {"baseline": None, **({"champion": champion} if champion else {})}
        differences = {
            name: self._differences(candidate, other, [gate for gate in gates if gate.against == name])
            for name, other in others.items()
        }
        return decide(gates, _evidence(gates, candidate, champion, differences))

    def importance(self, model: ReplayedModel) -> Mapping[str, float]:
        """How much a model leans on each feature, on its test rows; computed for those whose drift is asked for."""
        seed = self.folder.spec.seed
        found: dict[str, float] = self.store.fact(
            "leaned", model.recipe, seed, make=lambda: self._importance(model, seed)
        )
        return found

    def placed(self, model: ReplayedModel) -> TrainingRecord:
        """The record of a model, with its training set as it stands in the lake today.

        The lake may have been built anew since: the rows are the same, the numbers of its versions are not.
        """
        built = dataset.build(self.lake, self.folder, model.record.as_of, workers=self.workers)
        return replace(model.record, table=built.table, version=built.version, tables=built.tables)

    def _trained(self, as_of: date) -> ReplayedModel:
        built = dataset.build(self.lake, self.folder, as_of, workers=self.workers)
        identity = recipe(self.folder, built.fingerprint)
        started = time.perf_counter()
        made = fit(self.lake, self.folder, built, _Nobody())
        kept = {
            "record": json.loads(training_record(self.folder, built, made).to_json()),
            **_evaluated(made, self.folder),
            "seconds": round(time.perf_counter() - started, 3),
        }
        for name, content in ((_SHIPPED, made.shipped), (_EVALUATION, made.evaluation)):
            self.store.write("versions", identity, name, content=content)
        # The last file says that the others are there.
        self.store.write("versions", identity, _DONE, content=json.dumps(kept, indent=1).encode())
        return _model(identity, kept)

    def _kept(self, identity: str) -> ReplayedModel | None:
        if not all(self.store.holds("versions", identity, name) for name in (_DONE, _SHIPPED, _EVALUATION)):
            return None
        return _model(identity, json.loads(self.store.read("versions", identity, _DONE) or b""))

    def _rows(self, model: ReplayedModel) -> pa.Table:
        kept = self.placed(model)
        return dataset.read(self.lake, kept.table, kept.as_of, kept.version)

    def _importance(self, model: ReplayedModel, seed: int) -> dict[str, float]:
        told = self._candidate(model)
        leaned = self.folder.task.importance(told.predict, told.test, seed)
        return {name: importance.mean for name, importance in leaned.items()}

    def _candidate(self, model: ReplayedModel) -> Candidate:
        from ml_assets.training import export  # onnxruntime

        record = model.record
        data = frame(self._rows(model), record.columns, record.entity, dataset.ROW, record.classes)
        session = export.session(self._artifact(model, _EVALUATION))
        train, test = data.at(record.split.train), data.at(record.split.test)
        return Candidate(self.folder.spec, train, test, partial(export.probabilities, session))

    def _artifact(self, model: ReplayedModel, name: str) -> bytes:
        content = self.store.read("versions", model.recipe, name)
        if content is None:
            raise TrainingError(f"{name} of {model.recipe} was removed from {self.store.root}: replay again")
        return content

    def _differences(
        self, candidate: ReplayedModel, other: ReplayedModel | None, gates: Sequence[Gate]
    ) -> dict[str, Interval]:
        """Candidate minus `other` (None = the best single feature) on the candidate's test rows."""
        asked = sorted({gate.metric for gate in gates if METRICS[gate.metric].has_interval})
        if not asked:
            return {}
        # A gate that looks at the estimate alone passes or not whatever the interval: it is only said.
        resamples = _RESAMPLES if any(gate.confident for gate in gates) else _FEW_RESAMPLES
        key = (candidate.recipe, other.recipe if other else None, asked, resamples, self.folder.spec.seed)
        found = self.store.fact("compared", *key, make=lambda: self._compare(candidate, other, asked, resamples))
        return {metric: Interval(**numbers) for metric, numbers in found.items()}

    def _compare(
        self, candidate: ReplayedModel, other: ReplayedModel | None, metrics: Sequence[str], resamples: int
    ) -> dict[str, dict[str, float]]:
        told, task, seed = self._candidate(candidate), self.folder.task, self.folder.spec.seed
        mine = told.predict(told.test.X)
        theirs = self._other(other, candidate) if other else task.baseline(told)[0]
        compared = task.compare(
            told.test.y, mine, theirs, told.test.groups, metrics=metrics, resamples=resamples, seed=seed
        )
        return {metric: asdict(interval) for metric, interval in compared.items()}

    def _other(self, champion: ReplayedModel, candidate: ReplayedModel) -> "NDArray[np.float64]":
        """The champion's probabilities of the test rows, by an artifact that was not fitted on them (as `report`)."""
        test, rows = candidate.record.split.test, self._rows(candidate)
        fresh = champion.record.precedes(test, self.folder.spec.label.horizon)
        tested = rows.filter(pc.is_in(rows[dataset.ROW], pa.array(test, rows[dataset.ROW].type)))
        return probabilities(self._artifact(champion, _SHIPPED if fresh else _EVALUATION), champion.record, tested)


class _Nobody:
    """Who is told about the trials of a search: a replay has no run to note them in."""

    def trial(self, number: int, parameters: Mapping[str, object], value: float, metric: str) -> None:
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
    asked = {gate.against for gate in gates if gate.against}
    return GateEvidence(
        candidate.metrics,
        {name: found for name, found in differences.items() if name in asked},
        candidate.record.as_of,
        champion.record.as_of if champion else None,
    )
