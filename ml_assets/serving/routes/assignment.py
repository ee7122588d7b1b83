"""`GET /experiments/{name}/assignment`: the variant of a unit, for products that show something and call no model."""

import re
import time
from typing import Any

import msgspec

from ml_assets.events.exposures import Exposure
from ml_assets.events.rows import LONG
from ml_assets.events.unit_outcomes import unit_outcome_id
from ml_assets.serving.models.loading import LoadedRoute
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.services import Services
from ml_assets.serving.variants.measures import EXPOSED

UNIT_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONG, "pattern": r"^[^\x00]+$"}
"""What a unit may be called."""

_UNIT = re.compile(rf"[^\x00]{{1,{LONG}}}")


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """The variant of a unit.

    Args:
        experiment: its name.
        unit: who asked.
        variant: that the unit is to see.
        version: of the model that answers for the variant.
    """

    experiment: str
    unit: str
    variant: str
    version: int


async def assign(services: Services, experiment: str, unit: str) -> bytes:
    """The variant of a unit, once its exposure is recorded.

    Args:
        services: of the process.
        experiment: its name.
        unit: who is to see it.

    Raises:
        Problem: there is no such experiment, it does not run, or the exposure cannot be recorded.
    """
    if not _UNIT.fullmatch(unit):
        raise Problem(
            422, "invalid-field", f"a unit has 1 to {LONG} characters, none of them NUL", "send ?unit=…", field="unit",
            value=unit,
        )  # fmt: skip
    split = _running_split(services, experiment)
    variant, units = split.assign(unit), services.measures.units(split)
    if units.new_marks(unit, EXPOSED):
        model = split.route.model
        known_as = unit_outcome_id(model, experiment, unit)
        await services.recorder.record([Exposure(model, experiment, unit, variant, known_as, time.time_ns() // 1000)])
        units.remember(unit, EXPOSED)
    version = next(each.version for each in split.route.variants if each.name == variant)
    return msgspec.json.encode(Assignment(experiment, unit, variant, version))


def model_of_experiment(services: Services, experiment: str) -> str:
    """The model whose experiment it is, whether it runs or has ended.

    Args:
        services: of the process.
        experiment: its name.

    Raises:
        Problem: there is none of that name.
    """
    route = running_route(services, experiment)
    if route is not None:
        return route.route.model
    ended = services.models.ended_experiments().get(experiment)
    if ended is None:
        raise _unknown(services, experiment)
    return ended[0]


def running_route(services: Services, experiment: str) -> LoadedRoute | None:
    """The route of an experiment; None where it does not run. Stages of rollouts have a `/` in their name."""
    routes = services.models.routes.values()
    found = (route for route in routes if route.route.experiment == experiment)
    return None if "/" in experiment else next(found, None)


def _running_split(services: Services, experiment: str) -> TrafficSplit:
    """The split of an experiment that runs, all of whose variants can answer here."""
    route = running_route(services, experiment)
    if route is None:
        ended = services.models.ended_experiments().get(experiment)
        raise _unknown(services, experiment) if ended is None else _ended(experiment, ended[1])
    if route.split is None:
        raise unavailable("loading", f"not every variant of experiment {experiment} is loaded here: see /health")
    if time.time_ns() > route.split.last:
        raise _ended(experiment, "its last day has passed, or nobody has looked at it for a day")
    return route.split


def _unknown(services: Services, experiment: str) -> Problem:
    services.models.require_loaded()
    names = [each.route.experiment or "" for each in services.models.routes.values()]
    running = ", ".join(name for name in names if name and "/" not in name) or "none"
    return Problem(
        404, "unknown-experiment", f"there is no experiment {experiment!r}", f"running are: {running}", field="name",
        value=experiment,
    )  # fmt: skip


def _ended(experiment: str, verdict: str) -> Problem:
    return Problem(
        409, "not-running", f"experiment {experiment} does not run: {verdict}", "show what everybody sees",
        field="name", value=experiment,
    )  # fmt: skip
