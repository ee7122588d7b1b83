"""The split of a route in a worker: to which variant a unit is assigned, and what is measured of its answer."""

import math
from collections.abc import Callable, Mapping, Sequence
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
        others: name of each other variant → its model.
        deadline: seconds after which the default variant answers for another one.
        last: nanoseconds since 1970 up to which units are split.
        limits: name of a variant → the latencies beyond which its answers are slow, microseconds.
        pickers: name of each other variant → what makes its inputs of an instance for the default one; None: an
            instance does not hold all of them.
    """

    route: Route
    default: ServedModel
    others: Mapping[str, ServedModel]
    deadline: float = field(init=False)
    last: float = field(init=False)
    limits: Mapping[str, tuple[float, ...]] = field(init=False)
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
            "pickers": {name: model.picker_from(inputs) for name, model in self.others.items()},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def assign(self, unit: str) -> str:
        """The variant of a unit."""
        route = self.route
        return assign_variant(unit_point(route.salt, unit), route.shares, route.default.name)


def make_split(route: Route, models: Mapping[str, ServedModel]) -> TrafficSplit | None:
    """The split of a route; None where the default variant answers everything.

    Nobody is split while a variant is missing here, or another version answers in its place: units of one arm would be
    answered by the other, and those who compare them would not know.

    Args:
        route: as the registry says it.
        models: name of the variant → its model, as far as they are loaded.
    """
    if len(route.variants) == 1 or not any(route.shares.values()):
        return None
    for variant in route.variants:
        if variant.name not in models or models[variant.name].manifest.version != variant.version:
            return None
    return TrafficSplit(route, models[route.default.name], {name: models[name] for name in route.shares})
