"""History as a replay walks through it: at each as-of date what was known strictly before it, and nothing else.

What became known later, the labels of the date itself, is asked for by `realise` only, which no decision sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS
from ml_assets.decisions.retrain import RetrainEvidence
from ml_assets.errors import DataError, TrainingError
from ml_assets.features.join import point_in_time
from ml_assets.monitoring.drift.reference import Reference, choose, open_reference
from ml_assets.monitoring.performance.baseline import LabelledScores, bootstrap_metrics
from ml_assets.monitoring.performance.groups import expected_metrics
from ml_assets.monitoring.verdict import DecisionState, ReportSummary, collect_evidence
from ml_assets.replay.models import ReplayedModel, ReplayedModels
from ml_assets.replay.store import ReplayStore
from ml_assets.spec.drift import DriftSpec
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.storage.registry import Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import labels
from ml_assets.training.score import probabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_UNKNOWN = -1  # a member whose label nobody knows


@dataclass(frozen=True)
class PolicyState(DecisionState[ReplayedModel]):
    """Where a policy stands between two as-of dates.

    Args:
        answered: the as-of dates that this champion answered, in order.
    """

    answered: tuple[date, ...] = ()


class ReplayHistory:
    """The evidence and the outcomes of one folder; everything is kept in the store under what it depends on."""

    def __init__(self, models: ReplayedModels, monitor: MonitorSpec) -> None:
        self.models, self.index, self.monitor = models, models.index, monitor
        self.candidate = lru_cache(maxsize=1)(models.candidate)  # several policies ask for the same one
        # The population of one date is held at a time: memory does not grow with history.
        self._rows = lru_cache(maxsize=1)(self._load)
        self._outcomes = lru_cache(maxsize=2 * monitor.performance.window)(self._labelled)

    @property
    def folder(self) -> ModelDefinition:
        """The model folder."""
        return self.models.folder

    @property
    def store(self) -> ReplayStore:
        """Where answers are kept."""
        return self.models.store

    def evidence(self, spec: RetrainSpec, state: PolicyState, as_of: date) -> RetrainEvidence:
        """The evidence of a policy at `as_of`, by the function of the loop."""
        mature = as_of - self.folder.spec.label.horizon
        members = self.index.members.items()
        return collect_evidence(
            self.models, state, self._summary(spec, state, as_of), as_of, direction=METRICS[spec.metric].direction,
            count_rows=lambda fitted: sum(rows for day, rows in members if fitted < day <= mature),
        )  # fmt: skip

    def _summary(self, spec: RetrainSpec, state: PolicyState, as_of: date) -> ReportSummary:
        """The summary that the loop's reports would give; what a policy does not ask for is not computed."""
        champion = state.champion
        if champion is None:
            return ReportSummary({})
        measured = spec.floor is not None or spec.drop is not None
        return ReportSummary(
            self.drift_verdicts(champion, as_of) if spec.drift is not None else {},
            champion.metrics.get(spec.metric),
            self.measure(champion, state.answered, as_of, spec.metric) if measured else None,
            self.estimate(champion, as_of, spec.metric) if spec.estimate is not None else None,
        )

    def drift_verdicts(self, champion: ReplayedModel, as_of: date) -> Mapping[str, bool | None]:
        """Feature → whether it drifted; none where that cannot be told."""
        spec = self.monitor.drift
        reference = drift_reference(self.folder, spec, champion.record.as_of, as_of)
        if reference.missing is not None:
            return {}
        before = None if reference.day is None else self.index.features[reference.day]
        declared = spec.model_dump_json(
            exclude={"keep", "evidently"}
        )  # what is kept of the pages says nothing of drift
        key = (champion.recipe, self.index.features[as_of], before, declared)
        verdicts: dict[str, bool | None] = self.store.fact(
            "drift_verdicts", *key, make=lambda: self._drift_verdicts(champion, as_of, reference)
        )
        return verdicts

    def measure(self, champion: ReplayedModel, answered: Sequence[date], as_of: date, metric: str) -> Interval | None:
        """The metric of what the champion said on the last dates whose labels are mature, with its interval.

        Args:
            champion: that answered.
            answered: the as-of dates at which it did, in order.
            as_of: `T`.
            metric: of `decisions.metric`.
        """
        spec = self.monitor.performance
        days = [day for day in answered if day + self.folder.spec.label.horizon <= as_of][-spec.window :]
        if not days:
            return None
        prints = [(self.index.features[day], self.index.labels[day]) for day in days]
        key = (champion.recipe, prints, metric, spec.model_dump_json())
        return _measure(self.store.fact("measured", *key, make=lambda: self._measured(champion, days, metric)))

    def estimate(self, champion: ReplayedModel, as_of: date, metric: str) -> Interval | None:
        """The metric to be expected from calibrated scores of `as_of`."""
        key = (champion.recipe, self.index.features[as_of], metric, self.monitor.performance.model_dump_json())
        return _measure(self.store.fact("estimated", *key, make=lambda: self._estimated(champion, as_of, metric)))

    def realise(self, champion: ReplayedModel, as_of: date) -> dict[str, float] | None:
        """All metrics of what the champion said at `as_of`, by labels that were known a horizon later.

        For the comparison only. None where the population holds one class.
        """
        key = (champion.recipe, self.index.features[as_of], self.index.labels[as_of])
        metrics: dict[str, float] | None = self.store.fact(
            "realised", *key, make=lambda: self._realised(champion, as_of)
        )
        return metrics

    def scores(self, champion: ReplayedModel, as_of: date) -> "Floats":
        """The score of each member at `as_of`, [members], in the order of the entities."""
        return self.folder.task.score(self.probabilities(champion, as_of))

    def probabilities(self, champion: ReplayedModel, as_of: date) -> "Floats":
        """The probability of each class, [members, classes]; of two classes the second is kept."""
        import numpy as np

        def make() -> "Floats":
            p = probabilities(self.models.release_artifact(champion), champion.record, self._rows(as_of))
            return p[:, 1] if p.shape[1] == 2 else p

        stored = self.store.vector("scores", champion.recipe, self.index.features[as_of], make=make)
        return stored if stored.ndim == 2 else np.stack([1 - stored, stored], axis=1)

    def _load(self, as_of: date) -> pa.Table:
        return point_in_time(self.models.lake, self.folder.population, [as_of], self.folder.features)

    def _labelled(self, as_of: date) -> "tuple[NDArray[Any], NDArray[Any]]":
        folder = self.folder
        rows = point_in_time(self.models.lake, folder.population, [as_of], (), label=folder.labels)
        if len(rows) != (members := self.index.members.get(as_of, 0)):
            raise DataError(
                f"{folder.name}: the population has {members} members at {as_of} and labels cover {len(rows)}: "
                "label.sql must return one row for each member (LEFT JOIN from population)"
            )
        y = labels(rows["label"], folder.spec.label.classes).fill_null(_UNKNOWN)
        return rows[folder.spec.entity].to_numpy(), y.to_numpy()

    def _scored(self, champion: ReplayedModel, as_of: date) -> "tuple[NDArray[Any], NDArray[Any], Floats]":
        """Entities, labels and probabilities of the members whose label is known."""
        entities, y = self._outcomes(as_of)
        labelled = y != _UNKNOWN
        return entities[labelled], y[labelled], self.probabilities(champion, as_of)[labelled]

    def _drift_verdicts(self, champion: ReplayedModel, as_of: date, reference: Reference) -> dict[str, bool | None]:
        from ml_assets.monitoring.drift.compare import drift

        if not self.index.members.get(as_of):
            return {}
        record, current = self.models.locate(champion), self._rows(as_of)
        with open_reference(self.models.lake, self.folder, record, reference, workers=self.models.workers) as before:
            if before is None:
                return {}
            report = drift(before, current, record.columns.numeric, record.columns.categorical, self.monitor.drift)
        return {name: feature.drifted for name, feature in report.features.items()}

    def _measured(self, champion: ReplayedModel, days: Sequence[date], metric: str) -> dict[str, float] | None:
        import numpy as np

        spec, task = self.monitor.performance, self.folder.task
        parts = zip(*(self._scored(champion, day) for day in days), strict=True)
        entities, y, p = (np.concatenate(part) for part in parts)
        if len(y) < spec.min_rows:
            return None
        rows = LabelledScores(task.outcome(y, p), task.score(p), entities)
        return _plain(bootstrap_metrics(rows, champion.threshold, spec, [metric])[0].get(metric))

    def _estimated(self, champion: ReplayedModel, as_of: date, metric: str) -> dict[str, float] | None:
        metrics, _ = expected_metrics(self.scores(champion, as_of), champion.threshold, self.monitor.performance)
        return _plain(metrics.get(metric))

    def _realised(self, champion: ReplayedModel, as_of: date) -> dict[str, float] | None:
        try:
            _, y, p = self._scored(champion, as_of)
            return self.folder.task.measure(y, p, champion.threshold)
        except TrainingError:  # one class only, or nobody
            return None


def _plain(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)


def _measure(found: dict[str, float] | None) -> Interval | None:
    return None if found is None else Interval(**found)


def drift_reference(folder: ModelDefinition, spec: DriftSpec, trained: date, as_of: date) -> Reference:
    """The reference of the drift report of `as_of`, where the champion was trained at `trained`.

    Args:
        folder: the model.
        spec: which reference is declared.
        trained: the champion's as-of date.
        as_of: `T`.
    """
    champion = Version(folder.name, 0, "", {"as_of": str(trained)})  # no number: the registry does not know it
    return choose(spec, folder.spec.cadence, as_of, champion)
