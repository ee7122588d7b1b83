"""The result of a replay: every decision of each policy, and what came of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Any

from ml_assets.decisions.cost import Cost, costs, spans
from ml_assets.decisions.metric import BINARY, METRICS, realisable
from ml_assets.spec.monitor import RetrainSpec

_LISTED = 6  # dates of one reason that a table names


@dataclass(frozen=True)
class Training:
    """A model that a policy had trained.

    Args:
        recipe: its identity.
        seconds: what training and evaluating it took when that was really done.
        shipped: whether it passed its gates and became champion.
        verdict: of the gates, in one sentence.
    """

    recipe: str
    seconds: float
    shipped: bool
    verdict: str


@dataclass(frozen=True)
class Step:
    """A policy at an as-of date.

    Args:
        as_of: `T`.
        action: `retrain`, `suspected` or `wait`.
        reason: of the decision, in one sentence.
        triggers: those that were detected.
        training: what a retraining gave; None where there was none.
        champion: the as-of date of the version that answers at `T`; None = nobody does yet.
        metrics: the realised metrics of its answers (`decisions.metric.realisable`); none where nobody answers, or all
            labels are equal.
    """

    as_of: date
    action: str
    reason: str
    triggers: tuple[str, ...]
    training: Training | None
    champion: date | None
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        training = self.training
        return {
            "as_of": str(self.as_of),
            "action": self.action,
            "reason": self.reason,
            "triggers": [*self.triggers],
            "training": None if training is None else {**vars(training)},
            "champion": None if self.champion is None else str(self.champion),
            "metrics": {**self.metrics},
        }


@dataclass(frozen=True)
class Walk:
    """A policy over the whole history."""

    spec: RetrainSpec
    steps: tuple[Step, ...]

    @property
    def retrainings(self) -> list[Step]:
        """The trainings after the first champion: the first model is no decision of the policy."""
        first = next((nr for nr, step in enumerate(self.steps) if step.champion is not None), len(self.steps))
        return [step for step in self.steps[first + 1 :] if step.training is not None]

    @property
    def refused(self) -> int:
        """Retrainings whose candidate did not pass its gates."""
        return sum(step.training is not None and not step.training.shipped for step in self.retrainings)

    @property
    def seconds(self) -> float:
        """The duration of the retrainings, each as measured when it was really done."""
        return sum(step.training.seconds for step in self.retrainings if step.training)

    def values(self, metric: str) -> list[float | None]:
        """A realised metric at each date; None where there is none."""
        return [step.metrics.get(metric) for step in self.steps]

    def mean(self, metric: str) -> float | None:
        """A realised metric, averaged over the dates at which there is one."""
        values = [value for value in self.values(metric) if value is not None]
        return math.fsum(values) / len(values) if values else None


@dataclass(frozen=True)
class Replay:
    """Policies over the same history.

    Args:
        model: the folder.
        metric: the realised metric that is compared.
        dates: the as-of dates, in order.
        until: up to when the last decision stood.
        walks: by policy.
        task: the kind of label, as `decisions.metric` names it.
    """

    model: str
    metric: str
    dates: tuple[date, ...]
    until: date
    walks: Mapping[str, Walk]
    task: str = BINARY

    @property
    def direction(self) -> int:
        """1 where a larger metric is better, -1 where a smaller one is."""
        return METRICS[self.metric].direction

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """Each policy against the pointwise best."""
        values = {name: walk.values(self.metric) for name, walk in self.walks.items()}
        return costs(values, spans(self.dates, self.until), self.direction)

    @property
    def beside(self) -> str:
        """The metric that is shown beside the one that is compared: ranking and probabilities age differently."""
        if self.direction > 0:
            return "brier"
        return next(name for name in realisable(self.task) if METRICS[name].direction > 0)

    @property
    def best(self) -> str:
        """The policy that lost least; of several, the one that trained least."""
        return min(self.walks, key=lambda name: (self.costs[name].lost, len(self.walks[name].retrainings)))

    def rows(self) -> list[dict[str, object]]:
        """A table: one row for each policy, those that lost least first."""
        return [self._row(name) for name in sorted(self.walks, key=lambda name: self.costs[name].lost)]

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        areas = {f"lost_{name}": cost.lost for name, cost in self.costs.items()}
        done = {f"retrainings_{name}": len(walk.retrainings) for name, walk in self.walks.items()}
        fixed = {"metric": self.metric, "lost_least": self.best, "dates": len(self.dates)}
        return {**fixed, "first": str(self.dates[0]), "last": str(self.dates[-1]), **areas, **done}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the same for the same history, but for `seconds`."""
        return {
            "model": self.model,
            "metric": self.metric,
            "from": str(self.dates[0]),
            "to": str(self.dates[-1]),
            "lost_least": self.best,
            "policies": {name: self._policy(name) for name in self.walks},
        }

    def _row(self, name: str) -> dict[str, object]:
        walk, cost = self.walks[name], self.costs[name]
        refused = f" ({walk.refused} refused)" if walk.refused else ""
        return {
            "policy": name,
            "retrained": f"{len(walk.retrainings)}{refused}",
            "seconds": f"{walk.seconds:.1f}",
            **{metric: _shown(walk.mean(metric)) for metric in (self.metric, self.beside)},
            "lost": f"{cost.lost:.3f}",
            "why and when": "; ".join(_grouped(walk)) or "never",
        }

    def _policy(self, name: str) -> dict[str, Any]:
        walk, cost = self.walks[name], self.costs[name]
        return {
            "policy": walk.spec.model_dump(mode="json"),
            "retrainings": len(walk.retrainings),
            "refused": walk.refused,
            "seconds": round(walk.seconds, 3),
            "means": {metric: walk.mean(metric) for metric in realisable(self.task)},
            "lost": cost.lost,
            "best_at": cost.best,
            "steps": [step.to_json() for step in walk.steps],
        }


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _grouped(walk: Walk) -> list[str]:
    """`drift 2011-01-09, 01-23`: for each reason the dates; of many, the first and the last."""
    groups: dict[str, list[date]] = {}
    for step in walk.retrainings:
        refused = "" if step.training is None or step.training.shipped else " (refused)"
        groups.setdefault(f"{'+'.join(step.triggers)}{refused}", []).append(step.as_of)
    return [f"{why} {_days(days)}" for why, days in groups.items()]


def _days(days: list[date]) -> str:
    if len(days) > _LISTED:
        return f"{days[0]} … {days[-1]}"
    short = [f"{day:%m-%d}" if day.year == before.year else str(day) for before, day in pairwise(days)]
    return ", ".join([str(days[0]), *short])
