"""The split of a route in a worker: to which variant a unit is assigned, and what is measured of its answer."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.decisions.route import Route
from ml_assets.serving.models.artifact import Value
from ml_assets.serving.models.model import ServedModel

GRACE = 60.0
"""Seconds by which the clocks of two machines may differ: for so long a route goes on whose time is over."""

_PATIENCE = 5.0  # times the default variant's p99 of before
_LEAST, _UNMEASURED = 0.05, 1.0  # seconds: at least, and where no latency was measured

Picker = Callable[[Sequence[Any]], Sequence[Value]]


@dataclass(frozen=True)
class TrafficSplit:
    """The variants among which the units of a model are split, loaded.

    Args:
        route: as the registry says it.
        default: answers by default, and for another variant that fails.
        others: name of each other variant → its model; None: it is refused here, so the default one answers for it.
        deadline: seconds after which the default variant answers for another one.
        last: nanoseconds since 1970 up to which units are split.
        limits: name of a variant → the latencies beyond which its answers are slow, microseconds.
        models: name of each variant → its model.
        stage: what tells the stage of a rollout from another one: what was seen in one says nothing of the next.
        splits: false: the other variants answer in shadow only.
        alone: whether a row may be answered by itself, by entity, and by instance: a unit is an entity, no document is
            read, and every variant can answer whatever the default one can.
        pickers: name of each other variant → what makes its inputs of an instance for the default one; None: an
            instance does not hold all of them.
    """

    route: Route
    default: ServedModel
    others: Mapping[str, ServedModel | None]
    deadline: float = field(init=False)
    last: float = field(init=False)
    limits: Mapping[str, tuple[float, ...]] = field(init=False)
    models: Mapping[str, ServedModel | None] = field(init=False)
    stage: object = field(init=False)
    splits: bool = field(init=False)
    alone: tuple[bool, bool] = field(init=False)
    pickers: Mapping[str, Picker | None] = field(init=False)

    def __post_init__(self) -> None:
        route, inputs = self.route, self.default.manifest.inputs
        derived = {
            "deadline": max(_LEAST, _PATIENCE * route.limits[-1] / 1e6) if route.limits else _UNMEASURED,
            "last": math.inf if route.until is None else (route.until + GRACE) * 1e9,
            "limits": {
                route.default.name: route.limits,
                **{name: tuple(limit * route.tolerance for limit in route.limits) for name in self.others},
            },
            "models": {route.default.name: self.default, **self.others},
            "stage": (route.experiment, route.salt, route.variants),
            "splits": any(route.shares.values()),
            "alone": self._alone(),
            "pickers": {name: model and model.picker_from(inputs) for name, model in self.others.items()},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def _alone(self) -> tuple[bool, bool]:
        """Of refused variants nothing is known, and nobody asks them."""
        own, others = self.default.manifest, [model for model in self.others.values() if model is not None]
        if self.route.unit != "entity" or own.documents:
            return False, False
        same = [model.manifest.feature_set == own.feature_set for model in others]
        return all(same), all(model.picker_from(own.inputs) is not None for model in others)

    def assign(self, unit: str) -> str:
        """The variant of a unit."""
        route = self.route
        if not self.splits:
            return route.default.name
        return assign_variant(unit_point(route.salt, unit), route.shares, route.default.name)

    def is_shadowed(self, unit: str) -> bool:
        """Tell whether the other variants answer a unit in shadow; drawn apart from who answers it."""
        return self.route.shadow > 0 and unit_point(f"{self.route.salt}|shadow", unit) < self.route.shadow


def make_split(route: Route, models: Mapping[str, ServedModel], refused: Collection[str] = ()) -> TrafficSplit | None:
    """The split of a route; None where the default variant answers everything, and no other in shadow.

    Nobody is split while a variant is still missing here, or another version answers in its place: units of one arm
    would be answered by the other, and those who compare them would not know. A variant that is refused is no reason:
    that it fails is what is to be known.

    Args:
        route: as the registry says it.
        models: name of the variant → its model, as far as they are loaded.
        refused: variants that are not loaded, because they cannot be.
    """
    if not (any(route.shares.values()) or (route.shares and route.shadow and route.experiment)):
        return None
    loaded = {
        variant.name: models[variant.name]
        for variant in route.variants
        if variant.name in models and models[variant.name].manifest.version == variant.version
    }
    if route.default.name not in loaded or any(name not in loaded and name not in refused for name in route.shares):
        return None
    return TrafficSplit(route, loaded[route.default.name], {name: loaded.get(name) for name in route.shares})
