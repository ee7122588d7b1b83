"""History as a replay walks through it: at each as-of date what was known strictly before it, and nothing else.

What became known later, the labels of the date itself, is asked for by `realised` only, which no decision sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.decisions.interval import Interval
from ml_assets.decisions.metric import METRICS
from ml_assets.decisions.retrain import RetrainEvidence, drift_weight
from ml_assets.errors import DataError, TrainingError
from ml_assets.features.join import point_in_time
from ml_assets.monitoring.drift.reference import Reference, choose, opened
from ml_assets.monitoring.performance.baseline import LabelledScores, bootstrap_metrics
from ml_assets.monitoring.performance.groups import expected_metrics
from ml_assets.replay.models import ReplayedModel, ReplayedModels
from ml_assets.replay.store import ReplayStore
from ml_assets.spec.drift import DriftSpec
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.storage.registry import Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import labels
from ml_assets.training.record import TrainingRecord
from ml_assets.training.score import probabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_UNKNOWN = -1  # a member whose label nobody knows


@dataclass(frozen=True)
class PolicyState:
    """Where a policy stands between two as-of dates.

    Args:
        champion: who answers; None before the first release.
        attempted: the as-of date of the last training, shipped or not.
        before: of `decide`, for the next date; the counts of another champion are not of this one.
        answered: the as-of dates that this champion answered, in order.
    """

    champion: ReplayedModel | None = None
    attempted: date | None = None
    before: Mapping[str, int] = field(default_factory=dict)
    answered: tuple[date, ...] = ()


class ReplayHistory:
    """The evidence and the outcomes of one folder; everything is kept in the store under what it depends on."""

    def __init__(self, models: ReplayedModels, monitor: MonitorSpec) -> None:
        self.models, self.known, self.monitor = models, models.known, monitor
        self.candidate = lru_cache(maxsize=1)(models.at)  # several policies ask for the same one
        # The population of one date is held at a time: memory does not grow with history.
        self._rows = lru_cache(maxsize=1)(self._load)
        self._outcomes = lru_cache(maxsize=2 * monitor.performance.window)(self._labelled)
        self._placed: dict[str, TrainingRecord] = {}

    @property
    def folder(self) -> ModelDefinition:
        """The model folder."""
        return self.models.folder

    @property
    def store(self) -> ReplayStore:
        """Where answers are kept."""
        return self.models.store

    def evidence(self, spec: RetrainSpec, state: PolicyState, as_of: date) -> RetrainEvidence:
        """What a policy may know at `as_of`; what it does not ask for is not computed."""
        champion = state.champion
        if champion is None:
            return RetrainEvidence(as_of, trained=None)
        measured = spec.floor is not None or spec.drop is not None
        return RetrainEvidence(
            as_of=as_of,
            trained=champion.record.as_of,
            attempted=state.attempted,
            rows=champion.rows or sum(self.known.members.get(day, 0) for day in champion.record.split.refit),
            new_rows=self.new_rows(champion, as_of),
            drifted=self.drifted(champion, as_of) if spec.drift is not None else None,
            evaluated=champion.metrics.get(spec.metric),
            measured=self.measured(champion, state.answered, as_of, spec.metric) if measured else None,
            estimated=self.estimated(champion, as_of, spec.metric) if spec.estimate is not None else None,
            direction=METRICS[spec.metric].direction,
            before=state.before,
        )

    def new_rows(self, champion: ReplayedModel, as_of: date) -> int:
        """Members of the population at the dates whose labels matured since the champion was fitted."""
        fitted, last = max(champion.record.split.refit), as_of - self.folder.spec.label.horizon
        return sum(n for day, n in self.known.members.items() if fitted < day <= last)

    def drifted(self, champion: ReplayedModel, as_of: date) -> float | None:
        """The share of the champion's importance that drifted features hold; None where that cannot be told."""
        spec, chosen = self.monitor.drift, against(self.folder, self.monitor.drift, champion.record.as_of, as_of)
        if chosen.missing is not None:
            return None
        before = None if chosen.day is None else self.known.features[chosen.day]
        said = spec.model_dump_json(exclude={"keep", "evidently"})  # what is kept of the pages says nothing of drift
        key = (champion.recipe, self.known.features[as_of], before, said)
        found: float | None = self.store.fact("drifted", *key, make=lambda: self._drifted(champion, as_of, chosen))
        return found

    def measured(self, champion: ReplayedModel, answered: Sequence[date], as_of: date, metric: str) -> Interval | None:
        """The metric of what the champion said on the last dates whose labels are mature, with its interval."""
        spec = self.monitor.performance
        days = [day for day in answered if day + self.folder.spec.label.horizon <= as_of][-spec.window :]
        if not days:
            return None
        prints = [(self.known.features[day], self.known.labels[day]) for day in days]
        key = (champion.recipe, prints, metric, spec.model_dump_json())
        return _measure(self.store.fact("measured", *key, make=lambda: self._measured(champion, days, metric)))

    def estimated(self, champion: ReplayedModel, as_of: date, metric: str) -> Interval | None:
        """The metric that calibrated scores of `as_of` let expect."""
        key = (champion.recipe, self.known.features[as_of], metric, self.monitor.performance.model_dump_json())
        return _measure(self.store.fact("estimated", *key, make=lambda: self._estimated(champion, as_of, metric)))

    def realised(self, champion: ReplayedModel, as_of: date) -> dict[str, float] | None:
        """All metrics of what the champion said at `as_of`, by labels that were known a horizon later.

        For the comparison only. None where the population holds one class.
        """
        key = (champion.recipe, self.known.features[as_of], self.known.labels[as_of])
        found: dict[str, float] | None = self.store.fact("realised", *key, make=lambda: self._realised(champion, as_of))
        return found

    def scores(self, champion: ReplayedModel, as_of: date) -> "Floats":
        """The score of each member at `as_of`, [members], in the order of the entities."""
        return self.folder.task.score(self.probabilities(champion, as_of))

    def probabilities(self, champion: ReplayedModel, as_of: date) -> "Floats":
        """The probability of each class, [members, classes]; of two classes the second is kept."""
        import numpy as np

        def make() -> "Floats":
            p = probabilities(self.models.shipped(champion), champion.record, self._rows(as_of))
            return p[:, 1] if p.shape[1] == 2 else p

        kept = self.store.vector("scores", champion.recipe, self.known.features[as_of], make=make)
        return kept if kept.ndim == 2 else np.stack([1 - kept, kept], axis=1)

    def _load(self, as_of: date) -> pa.Table:
        return point_in_time(self.models.lake, self.folder.population, [as_of], self.folder.features)

    def _labelled(self, as_of: date) -> "tuple[NDArray[Any], NDArray[Any]]":
        folder = self.folder
        found = point_in_time(self.models.lake, folder.population, [as_of], (), label=folder.labels)
        if len(found) != (members := self.known.members.get(as_of, 0)):
            raise DataError(
                f"{folder.name}: the population has {members} members at {as_of} and labels cover {len(found)}: "
                "label.sql must return one row for each member (LEFT JOIN from population)"
            )
        y = labels(found["label"], folder.spec.label.classes).fill_null(_UNKNOWN)
        return found[folder.spec.entity].to_numpy(), y.to_numpy()

    def _scored(self, champion: ReplayedModel, as_of: date) -> "tuple[NDArray[Any], NDArray[Any], Floats]":
        """Entities, labels and probabilities of the members whose label is known."""
        entities, y = self._outcomes(as_of)
        known = y != _UNKNOWN
        return entities[known], y[known], self.probabilities(champion, as_of)[known]

    def _record(self, champion: ReplayedModel) -> TrainingRecord:
        if champion.recipe not in self._placed:
            self._placed[champion.recipe] = self.models.placed(champion)
        return self._placed[champion.recipe]

    def _drifted(self, champion: ReplayedModel, as_of: date, chosen: Reference) -> float | None:
        from ml_assets.monitoring.drift.compare import drift

        if not self.known.members.get(as_of):
            return None
        kept, current = self._record(champion), self._rows(as_of)
        with opened(self.models.lake, self.folder, kept, chosen, workers=self.models.workers) as before:
            if before is None:
                return None
            found = drift(before, current, kept.columns.numeric, kept.columns.categorical, self.monitor.drift)
        verdicts = {name: feature.drifted for name, feature in found.features.items()}
        return drift_weight(verdicts, self.models.importance(champion))

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


def against(folder: ModelDefinition, spec: DriftSpec, trained: date, as_of: date) -> Reference:
    """What the drift report of `as_of` compares with, where the champion was trained at `trained`."""
    champion = Version(folder.name, 0, "", {"as_of": str(trained)})  # no number: the registry does not know it
    return choose(spec, folder.spec.cadence, as_of, champion)
